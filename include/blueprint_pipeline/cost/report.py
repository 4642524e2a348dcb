"""``geniesim/cost/report.json``: what a run cost, by stage and by kept episode, with the rejects priced in.

Every sum has three columns: measured, estimated and the count of entries that nobody knows. The one number that adds
the first two up says so: it carries the certainty of the worse of them, and is absent where anything is unknown.
"""

from decimal import Decimal
from typing import Literal

from pydantic import Field

from blueprint_pipeline.cost.storage import StorageForecast
from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.price.ledger import CostTotal
from blueprint_pipeline.registry.records import NANO, Certainty, LedgerEntry, Usd
from blueprint_pipeline.workspace.storage import Id, SceneFolder

COST_REPORT_PATH = "geniesim/cost/report.json"

COLUMNS = ("stage", "units", "CPU s", "wall s", "measured USD", "estimated USD", "not known", "USD per kept episode")


class KeptPrice(FrozenModel):
    """What one kept episode cost: the cost of all attempts, divided by those that were kept."""

    measured_usd: Usd
    estimated_usd: Usd
    unknown_entries: int

    @property
    def total_usd(self) -> Decimal | None:
        """Measured and estimated together; ``None`` where some of it is unknown."""
        return None if self.unknown_entries else self.measured_usd + self.estimated_usd


class StageCost(FrozenModel):
    """One stage, all its units."""

    stage: str
    units: int = Field(ge=0)
    """Commits that were found."""
    missing_units: tuple[str, ...]
    """Shards of the plan without a commit: each counts as an unknown entry."""
    wall_s: float
    """Sum over the units, which may have run side by side."""
    cpu_s: float
    peak_memory_bytes: int
    """Of the largest process of any unit."""
    bytes_read: int | None
    bytes_written: int | None
    total: CostTotal
    per_kept_episode: KeptPrice | None
    """``None`` where no episode was kept."""


class EpisodeCost(FrozenModel):
    """One attempt, kept or not."""

    episode_id: Id
    shard_index: int
    success: bool
    kept: bool
    cpu_plan_s: float
    cpu_simulate_s: float
    simulation_usd: Usd | None
    """Its share of ``simulate_shard`` by CPU time, an estimate; ``None`` where that stage's cost is not known."""


class FailuresCost(FrozenModel):
    """What it takes to sell failures, over and above what the job took anyhow: drawing, judging, writing and certifying them.

    Their simulation is in the price of the kept episodes already, and is not charged twice; ``simulation_usd`` says what its share is.
    """

    episodes: int
    """Failures that are sold."""
    stages: tuple[StageCost, ...]
    """``per_kept_episode`` is here per failure."""
    total: CostTotal
    per_failure: KeptPrice | None
    usd_per_failure: Usd | None
    """Measured and estimated added up; ``None`` where some of the cost is unknown, or no failure is sold."""
    usd_per_failure_certainty: Certainty
    simulation_usd: Usd | None
    """Share of the simulation's cost that went into them, an estimate; ``None`` where that is not known."""


class CostReport(FrozenModel):
    """``report.json``."""

    schema_version: Literal["1.0"] = "1.0"
    scene_id: Id
    job_id: Id
    machines: dict[Id, str]
    """Machine profiles that the stages ran on, with their descriptions; each stage is priced by its own."""
    price_tables: tuple[str, ...]
    """Tables by date; more than one where the run crossed a change."""
    attempted: int
    kept: int
    stages: tuple[StageCost, ...]
    total: CostTotal
    per_kept_episode: KeptPrice | None
    usd_per_kept_episode: Usd | None
    """Measured and estimated added up; ``None`` where some of the cost is unknown, or nothing was kept."""
    usd_per_kept_episode_certainty: Certainty
    cpu_s_per_kept_episode: float | None
    rejected_simulation_usd: Usd | None
    """Share of the simulation's cost that went into attempts that were not kept; an estimate."""
    episodes: tuple[EpisodeCost, ...]
    failures: FailuresCost | None = None
    """``None`` where the run's lab buys none: then nothing was spent on them."""
    storage_forecast: StorageForecast
    entries: tuple[LedgerEntry, ...]
    not_included: tuple[str, ...]
    """What this report cannot know."""


def describe_failures_cost(failures: FailuresCost | None) -> dict[str, float | int | str | None] | None:
    """The line of failures on a statement or a card; ``None``: the lab buys none."""
    if failures is None:
        return None
    return {
        "episodes": failures.episodes,
        "usd_per_failure": None if failures.usd_per_failure is None else float(failures.usd_per_failure),
        "certainty": failures.usd_per_failure_certainty.value,
        "measured_usd": float(failures.total.measured_usd),
        "estimated_usd": float(failures.total.estimated_usd),
        "unknown_entries": failures.total.unknown_entries,
    }


def load_cost_report(scene: SceneFolder) -> CostReport:
    """Read ``report.json``."""
    return CostReport.model_validate_json(scene.read_bytes(COST_REPORT_PATH))


def price_of_kept(total: CostTotal, kept: int) -> KeptPrice | None:
    """Divide a total by the kept episodes, rounded half even to a nano dollar; ``None`` where none was kept."""
    if kept == 0:
        return None
    return KeptPrice(
        measured_usd=(total.measured_usd / kept).quantize(NANO),
        estimated_usd=(total.estimated_usd / kept).quantize(NANO),
        unknown_entries=total.unknown_entries,
    )


def build_rows(report: CostReport) -> list[tuple[str, ...]]:
    """The report as a table for people: :data:`COLUMNS`, a row for each stage, the sum last."""
    rows = [
        (
            stage.stage,
            str(stage.units) if not stage.missing_units else f"{stage.units} ({len(stage.missing_units)} missing)",
            f"{stage.cpu_s:.1f}",
            f"{stage.wall_s:.1f}",
            *_amounts(stage.total, stage.per_kept_episode),
        )
        for stage in report.stages
    ]
    cpu_s, wall_s = sum(stage.cpu_s for stage in report.stages), sum(stage.wall_s for stage in report.stages)
    units = sum(stage.units for stage in report.stages)
    return [*rows, ("all", str(units), f"{cpu_s:.1f}", f"{wall_s:.1f}", *_amounts(report.total, report.per_kept_episode))]


def _amounts(total: CostTotal, kept: KeptPrice | None) -> tuple[str, str, str, str]:
    if kept is None:
        each = "none kept"
    elif kept.total_usd is None:
        each = "not known"
    else:
        each = f"{kept.total_usd:.6f}"
    return f"{total.measured_usd:.6f}", f"{total.estimated_usd:.6f}", str(total.unknown_entries), each
