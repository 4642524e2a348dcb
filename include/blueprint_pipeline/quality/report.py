"""What the gates said of a job, and which episodes continue: the files that later stages read.

- ``geniesim/quality/gates.json``: a :class:`GateReport` after ``gate_episodes``.
- ``geniesim/quality/render_gates.json``: another one after ``gate_renders``; what it keeps is final.
- ``geniesim/quality/failure_gates.json``: the same of honest failures; what it keeps may be sold as such.

A report has the verdict of every episode. What each gate measured stands in a file a shard beside it
(:mod:`blueprint_pipeline.quality.verdicts`).
"""

from collections.abc import Container, Iterator
from typing import Literal

from blueprint_pipeline.episode.record import Selection
from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.quality.approval_log import approved_episode_ids, load_approvals
from blueprint_pipeline.quality.errors import TooAlike
from blueprint_pipeline.quality.verdicts import (
    QUALITY_FOLDER,
    EpisodeVerdict,
    Evidence,
    GateResult,
    JudgedShard,
    Tier,
    Verdict,
    read_shard,
    read_verdicts,
    verdicts_path,
)
from blueprint_pipeline.workspace.storage import Id, SceneFolder

GATES_PATH = f"{QUALITY_FOLDER}/gates.json"
RENDER_GATES_PATH = f"{QUALITY_FOLDER}/render_gates.json"
RENDER_REPORTS: dict[Selection, str] = {"kept": RENDER_GATES_PATH, "failures": f"{QUALITY_FOLDER}/failure_gates.json"}
RENDER_EVIDENCE: dict[Selection, Evidence] = {"kept": "render_verdicts", "failures": "failure_verdicts"}
QUALITY_GATE_REPORT_PATH = "geniesim/quality_gate_report.json"


class GateReport(FrozenModel):
    """``gates.json`` and ``render_gates.json``."""

    schema_version: Literal["1.0"] = "1.0"
    scene_id: Id
    job_id: Id
    tier: Tier
    tiers_version: str
    """Version of ``include/config/tiers.yaml``."""
    evidence: Evidence
    """The folder beside this file that has, shard by shard, what each gate measured."""
    shards: tuple[JudgedShard, ...]
    """In the plan's order."""
    set_metrics: dict[str, float | None] = {}
    """Of the kept episodes together: how wide they spread over what the scene allows, and how different they are."""
    set_gates: tuple[GateResult, ...] = ()
    """Gates on these; empty where too few episodes were kept to tell."""

    @property
    def judged(self) -> int:
        """Number of episodes that were judged."""
        return sum(len(shard.verdicts) for shard in self.shards)

    def count(self, verdict: Verdict) -> int:
        """How many episodes have a verdict."""
        return sum(shard.count(verdict) for shard in self.shards)

    def with_verdict(self, verdict: Verdict) -> list[str]:
        """Ids of the episodes with a verdict, in the plan's order."""
        return [episode_id for shard in self.shards for episode_id, found in shard.verdicts.items() if found == verdict]

    def selected(self, approved: Container[str] = ()) -> list[tuple[int, str]]:
        """``(shard_index, episode_id)`` of what continues: kept, and borderline ones that a person approved; in the plan's order."""
        return [(shard.shard_index, episode_id) for shard in self.shards for episode_id in shard.selected(approved)]

    def failed_set_gates(self) -> list[GateResult]:
        """Gates on the kept episodes together that did not pass."""
        return [gate for gate in self.set_gates if not gate.passed]


def load_gate_report(scene: SceneFolder) -> GateReport:
    """Read ``gates.json``."""
    return GateReport.model_validate_json(scene.read_bytes(GATES_PATH))


def load_render_report(scene: SceneFolder, selection: Selection = "kept") -> GateReport:
    """Read ``render_gates.json``, or ``failure_gates.json``."""
    return GateReport.model_validate_json(scene.read_bytes(RENDER_REPORTS[selection]))


def load_verdicts(scene: SceneFolder, report: GateReport) -> Iterator[EpisodeVerdict]:
    """All gates on every episode of a report, with one shard in memory at a time.

    Raises:
        VerdictsDiffer: A shard's file is not the one that the report was made with.
    """
    return read_verdicts(scene.read_bytes, report.evidence, report.shards)


def load_borderline(scene: SceneFolder, report: GateReport) -> list[EpisodeVerdict]:
    """All gates on the episodes that wait for a person.

    Raises:
        VerdictsDiffer: A shard's file is not the one that the report was made with.
    """
    shards = [shard for shard in report.shards if shard.count("borderline")]
    return [episode for episode in read_verdicts(scene.read_bytes, report.evidence, shards) if episode.verdict == "borderline"]


def load_rendered_selection(scene: SceneFolder, report: GateReport) -> list[tuple[int, str]]:
    """``(shard_index, episode_id)`` of what is to be rendered, in the plan's order: kept, and borderline ones that a person approved."""
    return report.selected(approved_episode_ids(load_approvals(scene), {shard.sha256 for shard in report.shards}))


def load_shard_selection(scene: SceneFolder, shard_index: int) -> list[str]:
    """Episodes of one shard that are to be rendered, in the plan's order, by the shard's own file of verdicts."""
    shard = read_shard(scene.read_bytes(verdicts_path("verdicts", shard_index)))
    return shard.selected(approved_episode_ids(load_approvals(scene), {shard.sha256}))


def validate_spread(report: GateReport, stage: str) -> None:
    """Check the gates on the kept episodes together, in the name of a stage.

    Raises:
        TooAlike: One did not pass.
    """
    failed = [gate.sentence() for gate in report.failed_set_gates()]
    if failed:
        raise TooAlike(report.scene_id, stage, failed, kept=report.count("kept"))


def load_kept(scene: SceneFolder, selection: Selection = "kept") -> list[tuple[int, str]]:
    """``(shard_index, episode_id)`` of what is delivered, in the plan's order, which is that of the dataset."""
    return load_render_report(scene, selection).selected()
