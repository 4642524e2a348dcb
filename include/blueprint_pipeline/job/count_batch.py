"""Writes down in the registry what a scene's batch covers: after it was planned, and again when more is known of it."""

from blueprint_pipeline.registry.coverage import CoverageEvidence, CoverageRecord
from blueprint_pipeline.registry.database import Registry
from blueprint_pipeline.simulators import TWIN_PATH
from blueprint_pipeline.task.coverage import BatchCoverage
from blueprint_pipeline.task.plan import PLAN_PATH, JobPlan, load_plan
from blueprint_pipeline.workspace.canonical import key_of
from blueprint_pipeline.workspace.storage import SceneFolder

SETTLED_PATH = "layout/settled.json"


def identify_scene(scene: SceneFolder) -> str:
    """Hash of a scene as it is: its twin and where its objects rest. Batches of another form of it fill no cells of this one."""
    return key_of({name: scene.digest(name).sha256 for name in (TWIN_PATH, SETTLED_PATH)})


def count_planned(scene: SceneFolder, registry: Registry) -> None:
    """Count the episodes of a scene's plan as asked for, unless this very plan is counted already, maybe with what became of it."""
    plan = load_plan(scene)
    evidence = CoverageEvidence(plan_sha256=scene.digest(PLAN_PATH).sha256)
    if plan.coverage is not None and not is_counted(registry, plan, evidence):
        nobody = [None] * len(plan.episodes)
        count_batch(scene, registry, plan, evidence, plan.coverage.sum_up(plan.seed, nobody, [False] * len(nobody)))


def is_counted(registry: Registry, plan: JobPlan, evidence: CoverageEvidence) -> bool:
    """Whether a plan is counted from this evidence already, or from more."""
    found = None if plan.coverage is None else registry.coverage.evidence(plan.scene_id, plan.coverage.batch)
    return found is not None and evidence.tells_no_more_than(found)


def count_batch(scene: SceneFolder, registry: Registry, plan: JobPlan, evidence: CoverageEvidence, batch: BatchCoverage) -> None:
    """Keep the counts of a plan's batch; those that it had are replaced."""
    if plan.coverage is None:
        return
    record = CoverageRecord(
        scene_id=plan.scene_id,
        batch=plan.coverage.batch,
        robot=plan.robot.embodiment,
        job_id=plan.job_id,
        scene_sha256=identify_scene(scene),
        evidence=evidence,
        document=batch.model_dump(mode="json"),
    )
    registry.coverage.record(record)
