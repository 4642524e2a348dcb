"""What the gates said of every episode, and which episodes continue: the files that later stages read.

- ``geniesim/quality/gates.json``: a :class:`GateReport` after ``gate_episodes``.
- ``geniesim/quality/verdicts/{shard}.json``: a :class:`ShardVerdicts` each, of the same: what drawing a shard goes by.
- ``geniesim/quality/approvals/{batch}.json``: an :class:`ApprovalLog` each; what people decided on borderline episodes.
  A file is never changed: each recording of decisions adds one (an empty one where nobody was asked).
- ``geniesim/quality/render_gates.json``: a :class:`RenderGateReport` after ``gate_renders``; its ``kept`` is final.
"""

from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Literal

from pydantic import Field

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.origin import Origin
from blueprint_pipeline.quality.errors import TooAlike
from blueprint_pipeline.task.plan import shard_name
from blueprint_pipeline.workspace.storage import Id, SceneFolder

GATES_PATH = "geniesim/quality/gates.json"
APPROVALS_FOLDER = "geniesim/quality/approvals"
VERDICTS_FOLDER = "geniesim/quality/verdicts"
"""One file a shard, so that what a shard reads does not grow with the job."""
RENDER_GATES_PATH = "geniesim/quality/render_gates.json"
QUALITY_GATE_REPORT_PATH = "geniesim/quality_gate_report.json"

Tier = Literal["core", "plus", "full"]
Verdict = Literal["kept", "rejected", "borderline"]


class GateResult(FrozenModel):
    """One gate on one episode."""

    gate: str
    """Name of the gate, a key of ``include/config/tiers.yaml``."""
    tier: Tier
    passed: bool
    """Whether ``value`` keeps to ``limit``; false where there is no value."""
    borderline: bool = False
    """So near to the limit that a person decides (see the gate's ``borderline_fraction``)."""
    value: float | None
    """What was measured; ``None``: it could not be, so the gate fails."""
    limit: float
    direction: Literal["at_most", "at_least"] = "at_most"
    unit: str
    origin: Origin
    message: str
    """For people: what was found where."""

    def sentence(self) -> str:
        """The gate with what was measured and its limit."""
        value = "not measured" if self.value is None else f"{self.value:.3g}"
        return f"{self.gate}: {value}, {self.direction.replace('_', ' ')} {self.limit:.3g} {self.unit}"


class EpisodeVerdict(FrozenModel):
    """All gates on one episode."""

    episode_id: Id
    shard_index: int = Field(ge=0)
    verdict: Verdict
    gates: tuple[GateResult, ...]
    metrics: dict[str, float | None]
    """Reported only: skill scores never drop an episode. ``None``: it could not be measured."""

    def failed(self) -> list[GateResult]:
        """Gates that did not pass, in the order in which they were asked."""
        return [gate for gate in self.gates if not gate.passed]


class GateReport(FrozenModel):
    """``gates.json``."""

    schema_version: Literal["1.0"] = "1.0"
    scene_id: Id
    job_id: Id
    tier: Tier
    tiers_version: str
    """Version of ``include/config/tiers.yaml``."""
    episodes: tuple[EpisodeVerdict, ...]
    """In the plan's order."""
    set_metrics: dict[str, float | None] = {}
    """Of the kept episodes together: how wide they spread over what the scene allows, and how different they are."""
    set_gates: tuple[GateResult, ...] = ()
    """Gates on these; empty where too few episodes were kept to tell."""

    def with_verdict(self, verdict: Verdict) -> list[EpisodeVerdict]:
        return [episode for episode in self.episodes if episode.verdict == verdict]

    def failed_set_gates(self) -> list[GateResult]:
        """Gates on the kept episodes together that did not pass."""
        return [gate for gate in self.set_gates if not gate.passed]


class ShardVerdicts(FrozenModel):
    """``verdicts/shard_NNNN.json``: of ``gates.json`` what decides which of a shard's episodes are drawn."""

    gates_sha256: str
    """Of the ``gates.json`` that it was taken from: approvals name it."""
    verdicts: dict[Id, Verdict]


class ApprovalDecision(FrozenModel):
    """What one person said of one borderline episode."""

    episode_id: Id
    approved: bool
    decided_by: str = Field(min_length=1)
    reason: str
    decided_at: datetime


class ApprovalEntry(FrozenModel):
    """One line of the audit; entries are only ever appended."""

    request_id: str
    """``apr_<12 hex>``: over the report that the person saw and the episode."""
    gate_id: str
    """The gates that were near their limits, joined by ``,``."""
    scene_id: Id
    episode_id: Id
    shard_index: int
    checkpoint: Literal["episodes_gated"] = "episodes_gated"
    status: Literal["approved", "rejected"]
    failure_message: str
    gates_sha256: str
    """Of the ``gates.json`` that was judged; the decision counts for that report alone."""
    approved_by: str
    approved_at: datetime
    approval_notes: str


class ApprovalLog(FrozenModel):
    """Decisions that were recorded at one time, or all of them, oldest first."""

    schema_version: Literal["1.0"] = "1.0"
    scene_id: Id
    job_id: Id
    entries: tuple[ApprovalEntry, ...]


class KeptEpisode(FrozenModel):
    """An episode that is delivered."""

    episode_id: Id
    shard_index: int = Field(ge=0)


class RenderGateReport(GateReport):
    """``render_gates.json``: the gates on what was rendered, and the final selection."""

    kept: tuple[KeptEpisode, ...]
    """In the plan's order."""


def load_gate_report(scene: SceneFolder) -> GateReport:
    """Read ``gates.json``."""
    return GateReport.model_validate_json(scene.read_bytes(GATES_PATH))


def load_render_report(scene: SceneFolder) -> RenderGateReport:
    """Read ``render_gates.json``."""
    return RenderGateReport.model_validate_json(scene.read_bytes(RENDER_GATES_PATH))


def load_approvals(scene: SceneFolder) -> list[ApprovalEntry]:
    """All decisions that were ever recorded for a scene, oldest first; empty where nobody was asked."""
    logs = [ApprovalLog.model_validate_json(scene.read_bytes(name)) for name in scene.files_under(APPROVALS_FOLDER)]
    return sorted((entry for log in logs for entry in log.entries), key=lambda entry: (entry.approved_at, entry.request_id, entry.status))


def approved_episode_ids(entries: list[ApprovalEntry], gates_sha256: str) -> set[str]:
    """Episodes whose last decision on this very report was an approval; no decision is a rejection."""
    last = {entry.episode_id: entry.status for entry in entries if entry.gates_sha256 == gates_sha256}
    return {episode_id for episode_id, status in last.items() if status == "approved"}


def load_rendered_selection(scene: SceneFolder) -> list[tuple[int, str]]:
    """``(shard_index, episode_id)`` of what is to be rendered, in the plan's order: kept, and borderline ones that a person approved."""
    report = load_gate_report(scene)
    approved = approved_episode_ids(load_approvals(scene), scene.digest(GATES_PATH).sha256)
    return [
        (episode.shard_index, episode.episode_id)
        for episode in report.episodes
        if _is_selected(episode.episode_id, episode.verdict, approved)
    ]


def load_shard_selection(scene: SceneFolder, shard_index: int) -> set[str]:
    """Episodes of one shard that are to be rendered: the same selection."""
    found = ShardVerdicts.model_validate_json(scene.read_bytes(verdicts_path(shard_index)))
    approved = approved_episode_ids(load_approvals(scene), found.gates_sha256)
    return {episode_id for episode_id, verdict in found.verdicts.items() if _is_selected(episode_id, verdict, approved)}


def _is_selected(episode_id: str, verdict: Verdict, approved: AbstractSet[str]) -> bool:
    return verdict == "kept" or (verdict == "borderline" and episode_id in approved)


def split_verdicts(report: GateReport, gates_sha256: str) -> dict[str, ShardVerdicts]:
    """The verdicts of a report by shard, each under the path of its file."""
    by_shard: dict[int, dict[str, Verdict]] = {}
    for episode in report.episodes:
        by_shard.setdefault(episode.shard_index, {})[episode.episode_id] = episode.verdict
    return {verdicts_path(index): ShardVerdicts(gates_sha256=gates_sha256, verdicts=found) for index, found in by_shard.items()}


def verdicts_path(shard_index: int) -> str:
    """The verdicts of one shard, in the scene's folder."""
    return f"{VERDICTS_FOLDER}/{shard_name(shard_index)}.json"


def validate_spread(report: GateReport, stage: str) -> None:
    """Check the gates on the kept episodes together, in the name of a stage.

    Raises:
        TooAlike: One did not pass.
    """
    failed = [gate.sentence() for gate in report.failed_set_gates()]
    if failed:
        raise TooAlike(report.scene_id, stage, failed, kept=len(report.with_verdict("kept")))


def load_kept(scene: SceneFolder) -> list[tuple[int, str]]:
    """``(shard_index, episode_id)`` of what is delivered, in the plan's order, which is that of the dataset."""
    return [(episode.shard_index, episode.episode_id) for episode in load_render_report(scene).kept]
