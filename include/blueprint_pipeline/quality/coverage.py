"""Counts in the registry what became of a scene's batch, once its gates have spoken."""

from blueprint_pipeline.job.count_batch import count_batch, is_counted
from blueprint_pipeline.quality.fates import judge_batch
from blueprint_pipeline.quality.report import GATES_PATH, RENDER_GATES_PATH, GateReport, load_gate_report, load_render_report
from blueprint_pipeline.registry.coverage import CoverageEvidence
from blueprint_pipeline.registry.database import Registry
from blueprint_pipeline.task.plan import PLAN_PATH, load_plan
from blueprint_pipeline.workspace.storage import SceneFolder


def count_gated(scene: SceneFolder, registry: Registry) -> None:
    """Count a scene's batch by what the gates said of its simulated episodes; where they said nothing, nothing is counted."""
    if not scene.exists(GATES_PATH):
        return
    evidence = CoverageEvidence(plan_sha256=scene.digest(PLAN_PATH).sha256, gates_sha256=scene.digest(GATES_PATH).sha256)
    _count(scene, registry, evidence, None)


def count_rendered(scene: SceneFolder, registry: Registry) -> None:
    """Count it by what they said of its pictures, too; what they keep is final. Without pictures nothing is counted."""
    if not scene.exists(RENDER_GATES_PATH):
        return
    digests = {name: scene.digest(path).sha256 for name, path in _EVIDENCE.items()}
    _count(scene, registry, CoverageEvidence(**digests), load_render_report(scene))


_EVIDENCE = {"plan_sha256": PLAN_PATH, "gates_sha256": GATES_PATH, "renders_sha256": RENDER_GATES_PATH}


def _count(scene: SceneFolder, registry: Registry, evidence: CoverageEvidence, renders: GateReport | None) -> None:
    plan = load_plan(scene)
    if plan.coverage is not None and not is_counted(registry, plan, evidence):
        batch = judge_batch(scene, plan, plan.coverage, load_gate_report(scene), renders)
        count_batch(scene, registry, plan, evidence, batch)
