"""``failures.json``: which of a job's attempts failed, how, and which of them are sold; also where none is."""

from typing import Literal

from blueprint_pipeline.dataset.layout import FAILURES_INDEX, write_json
from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.quality.failures import count_kinds, kind_of, load_failures
from blueprint_pipeline.quality.report import load_gate_report, load_kept
from blueprint_pipeline.stage.contract import StageContext
from blueprint_pipeline.task.plan import load_plan
from blueprint_pipeline.workspace.storage import Id, SceneFolder


class FailuresIndex(FrozenModel):
    """The failures of a job in short."""

    schema_version: Literal["1.0"] = "1.0"
    scene_id: Id
    job_id: Id
    attempted: int
    rejected: int
    """After simulation. Most of those that are no failures never moved, or were refused for what says nothing of the robot."""
    honest: int
    """Failures of the robot, beyond doubt (``when_failed`` in ``tiers.yaml``)."""
    written: int
    """Those of them that replay, with sound pictures: the episodes of the dataset."""
    kinds: dict[str, int]
    """Of the written ones, the most frequent first."""
    episodes: dict[Id, str]
    """Kind of each written one, in the order of the dataset."""


def write_failures_index(context: StageContext) -> None:
    """Write ``failures.json`` beside the dataset of failures."""
    plan, gates = load_plan(context.scene), load_gate_report(context.scene)
    found = {verdict.episode_id: kind_of(verdict) for verdict in load_failures(context.scene, gates)}
    written = {episode_id: found[episode_id] for _, episode_id in load_kept(context.scene, "failures")}
    index = FailuresIndex(
        scene_id=plan.scene_id,
        job_id=plan.job_id,
        attempted=len(plan.episodes),
        rejected=gates.count("rejected"),
        honest=len(found),
        written=len(written),
        kinds=count_kinds(written.values()),
        episodes=written,
    )
    write_json(context.output(FAILURES_INDEX), index.model_dump(mode="json"))


def load_failures_index(scene: SceneFolder) -> FailuresIndex:
    """Read ``failures.json``."""
    return FailuresIndex.model_validate_json(scene.read_bytes(FAILURES_INDEX))
