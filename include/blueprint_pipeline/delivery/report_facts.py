"""What the report page shows, as plain data: gathered by the package stage, drawn by the page."""

from typing import Literal

from blueprint_pipeline.dataset.formats import FormatRow
from blueprint_pipeline.episode.record import ReplayRule
from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.licence.bundle import BundleLicence
from blueprint_pipeline.quality.explain import Reason
from blueprint_pipeline.task.coverage_facts import CombinationFacts

CheckStatus = Literal["passed", "failed", "not_run"]


class KeptRow(FrozenModel):
    """One delivered episode."""

    episode_id: str
    instruction: str
    target: str
    duration_s: float
    frames: int
    seed: int
    tightest: str
    """The condition of success that was nearest to its limit, with value and limit; empty: not measured."""
    replay: ReplayRule
    replay_evidence: str
    """Executions that did the task, and how far the target ended off; empty where a bit-identical replay says it all."""


class GateDot(FrozenModel):
    """One gate's value on one episode, as a share of its limit: 1 is the limit, less is better."""

    gate: str
    share_of_limit: float
    kept: bool


class MetricRow(FrozenModel):
    """One reported metric over the kept episodes."""

    name: str
    median: float
    low: float
    high: float
    measured: int


class StartDot(FrozenModel):
    """Where a target stood at the start and should stand at the end, seen from above [m]."""

    target: str
    start_m: tuple[float, float]
    goal_m: tuple[float, float]
    kept: bool


class CostRow(FrozenModel):
    """What one stage cost."""

    stage: str
    measured_usd: float
    estimated_usd: float
    unknown_entries: int


class CostFacts(FrozenModel):
    """Cost of the run; rejects are priced into the kept episodes."""

    stages: tuple[CostRow, ...]
    usd_per_kept_episode: float | None
    """``None``: some of the cost is not known."""
    cpu_s_per_kept_episode: float | None
    price_table: str


class FailureFacts(FrozenModel):
    """Failed episodes that the lab gets, as a dataset of their own."""

    honest: int
    """Failures of the robot, beyond doubt."""
    written: int
    """Those of them that replay, with sound pictures: these are in the bundle."""
    kinds: dict[str, int]
    certification: str
    usd_per_failure: float | None


class CertificateRow(FrozenModel):
    """One check of the certificate."""

    name: str
    status: CheckStatus
    detail: str


class LeftOutRow(FrozenModel):
    """An object that a skill never takes."""

    object_id: str
    skill: str
    reason: str


class ReportFacts(FrozenModel):
    """All of the page."""

    lab_name: str
    scene_id: str
    job_id: str
    robot: str
    skills: str
    """What it does, in words."""
    simulator: str
    replays: str
    """How the delivered episodes came out when they were executed again."""
    replayed: int
    """How many of them did."""
    certification: str
    """Whether the dataset is certified, and by how many checks."""
    tier: str
    cameras: tuple[str, ...]
    resolution: str
    fps: int
    variation: str
    """What differs in the scene from episode to episode, in words."""
    formats: tuple[FormatRow, ...]
    """Each that the lab gets."""
    attempted: int
    rendered: int
    kept: tuple[KeptRow, ...]
    reasons: tuple[Reason, ...]
    left_out: tuple[LeftOutRow, ...]
    set_aside: dict[str, str]
    """Objects that are fixed because they never come to rest, each with the reason."""
    coverage: tuple[CombinationFacts, ...]
    """Which cells the delivered episodes fill, and why others are empty; empty where the plan declares none."""
    gate_dots: tuple[GateDot, ...]
    metrics: tuple[MetricRow, ...]
    starts: tuple[StartDot, ...]
    cost: CostFacts
    failures: FailureFacts | None
    """``None``: the lab buys none."""
    certificate: tuple[CertificateRow, ...]
    licence: BundleLicence
    dataset_size_bytes: int
    signing_keyid: str
    code_version: str
