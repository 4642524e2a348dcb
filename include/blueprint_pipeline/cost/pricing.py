"""Price a run: from the commits of its stages and its episodes to the cost of an episode that was kept."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from blueprint_pipeline.cost.report import CostReport, EpisodeCost, FailuresCost, StageCost, price_of_kept
from blueprint_pipeline.cost.storage import forecast_storage
from blueprint_pipeline.episode.record import EpisodeRecord, EpisodeUsage, Selection, recording_path, usage_path
from blueprint_pipeline.errors import InputError
from blueprint_pipeline.price.ledger import CostTotal, add_totals, kept_entries, ledger_entries, total_of
from blueprint_pipeline.price.table import load_price_table
from blueprint_pipeline.price.usage import add_usages
from blueprint_pipeline.quality.report import load_kept
from blueprint_pipeline.registry.records import NANO, Certainty, LedgerEntry
from blueprint_pipeline.stage.flow import STAGES, stages_before
from blueprint_pipeline.task.plan import JobPlan, load_plan
from blueprint_pipeline.workspace.commits import Commit, UnitUsage, load_commits
from blueprint_pipeline.workspace.storage import SceneFolder

STORAGE_MONTHS = 12
"""Months of storage that the forecast covers."""

NOT_INCLUDED = (
    "what attempts at a stage that failed or were killed took, beyond the episodes and pictures that were kept of them",
    "what earlier runs took to start the processes that made the episodes and pictures which this one kept",
    "what pods held beyond finished work (their start, their waits): the ledger has it",
    "the stages after price_run (packaging, delivery) and Airflow itself",
    "people's time",
)


class NothingToPrice(InputError):
    """A run has no commits or no episodes, so it has no cost of an episode."""

    code = "cost.nothing_to_price"
    template = "Scene {scene_id} has no {what}; run the stages before price_run first."

    scene_id: str
    what: str


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """All that a cost report is made of."""

    plan: JobPlan
    commits: Sequence[Commit]
    """Of the stages before price_run, and of shards in the plan."""
    episodes: Sequence[EpisodeRecord]
    """All attempts."""
    usages: Mapping[str, EpisodeUsage]
    """What each attempt took, by episode."""
    kept: frozenset[str]
    failures: frozenset[str] | None = None
    """Failures that are sold; ``None`` where the run's lab buys none."""

    def of(self, selection: Selection) -> Sequence[Commit]:
        """The commits of one selection; what is done before there are any is of the kept ones."""
        return [commit for commit in self.commits if commit.request.get("selection", "kept") == selection]


def load_run(scene: SceneFolder, *, failures: bool = False) -> RunFacts:
    """Read plan, commits, episodes and the final selection of a scene.

    Args:
        scene: Its folder.
        failures: Whether failures are sold, too; if not, nothing of them is priced, though an earlier run may have made them.

    Raises:
        NothingToPrice: There is no commit, or no episode.
    """
    plan = load_plan(scene)
    shards = {shard.shard_index for shard in plan.shards}
    priced = _stages_before_pricing()
    commits = [
        commit
        for commit in load_commits(scene)
        if commit.stage in priced and (not STAGES[commit.stage].sharded or commit.request.get("shard_index") in shards)
    ]
    if not commits:
        raise NothingToPrice(scene.scene_id, "commit of a stage")
    names = [name for shard in sorted(shards) for name in scene.files_under(recording_path(shard)) if name.endswith("/episode.json")]
    episodes = [EpisodeRecord.model_validate_json(scene.read_bytes(name)) for name in names]
    if not episodes:
        raise NothingToPrice(scene.scene_id, "recorded episode")
    usages = {episode.episode_id: _load_usage(scene, episode) for episode in episodes}
    kept = frozenset(episode_id for _, episode_id in load_kept(scene))
    sold = frozenset(episode_id for _, episode_id in load_kept(scene, "failures")) if failures else None
    wanted = [commit for commit in commits if failures or commit.request.get("selection", "kept") == "kept"]
    return RunFacts(plan=plan, commits=wanted, episodes=episodes, usages=usages, kept=kept, failures=sold)


def _load_usage(scene: SceneFolder, episode: EpisodeRecord) -> EpisodeUsage:
    return EpisodeUsage.model_validate_json(scene.read_bytes(usage_path(episode.shard_index, episode.episode_id)))


def build_report(run: RunFacts) -> CostReport:
    """The cost report of a run.

    Raises:
        UnknownMachine: The price table does not have the machine of a commit.
    """
    made = _made(run.commits)
    tables = {unit.machine: load_price_table(unit.finished_at.date()) for unit in made}
    entries = [entry for commit in run.commits for entry in _entries(run, commit)]
    stages = _stage_costs(run, "kept", len(run.kept))
    total = add_totals([stage.total for stage in stages])
    each = price_of_kept(total, len(run.kept))
    episodes = _episode_costs(run, next((stage.total for stage in stages if stage.stage == "simulate_shard"), None))
    last = max(run.commits, key=lambda commit: commit.finished_at)
    dataset = [digest for commit in run.of("kept") if commit.stage == "write_dataset" for digest in commit.outputs.values()]
    rejected = [episode.simulation_usd for episode in episodes if not episode.kept]
    return CostReport(
        scene_id=run.plan.scene_id,
        job_id=run.plan.job_id,
        machines={machine: table.machine(machine).description for machine, table in tables.items()},
        price_tables=tuple(sorted({load_price_table(unit.finished_at.date()).table_id for unit in made})),
        attempted=len(run.episodes),
        kept=len(run.kept),
        stages=tuple(stages),
        total=total,
        per_kept_episode=each,
        usd_per_kept_episode=None if each is None else each.total_usd,
        usd_per_kept_episode_certainty=_certainty_of(total) if each is not None else Certainty.UNKNOWN,
        cpu_s_per_kept_episode=sum(stage.cpu_s for stage in stages) / len(run.kept) if run.kept else None,
        rejected_simulation_usd=None if None in rejected else sum(filter(None, rejected), Decimal(0)),
        episodes=tuple(episodes),
        failures=None if run.failures is None else _failures_cost(run, run.failures, episodes),
        storage_forecast=forecast_storage(
            sum(digest.size_bytes for digest in dataset),
            len(dataset),
            months=STORAGE_MONTHS,
            prices=load_price_table(last.finished_at.date()),
            on=last.finished_at.date(),
        ),
        entries=tuple(entries),
        not_included=NOT_INCLUDED,
    )


def share_out(amount: Decimal, weights: Sequence[float]) -> list[Decimal]:
    """Parts of ``amount`` in proportion to ``weights`` (>= 0, not all 0), whole nano dollars that add up to it exactly.

    Source: largest remainder method (Hamilton).
    """
    whole = sum(map(_exact, weights), Decimal(0))
    exact = [amount * _exact(weight) / whole for weight in weights]
    parts = [part.quantize(NANO, rounding=ROUND_DOWN) for part in exact]
    left = int((amount - sum(parts, Decimal(0))) / NANO)
    for index in sorted(range(len(parts)), key=lambda index: (parts[index] - exact[index], index))[:left]:
        parts[index] += NANO
    return parts


def _exact(value: float) -> Decimal:
    return Decimal(repr(value))


def _stages_before_pricing() -> list[str]:
    return [row.name for row in stages_before("price_run")]


def _made(commits: Iterable[Commit]) -> list[Commit | UnitUsage]:
    """What was worked on for a run: the commits, and the folders that they kept of earlier runs."""
    units: list[Commit | UnitUsage] = []
    for commit in commits:
        units += [commit, *commit.kept]
    return units


def _entries(run: RunFacts, commit: Commit) -> list[LedgerEntry]:
    """What a commit cost, with what it kept: every episode's own work once, whichever run did it."""
    made = ledger_entries(commit, load_price_table(commit.finished_at.date()), job_id=run.plan.job_id)
    return made + kept_entries(commit, job_id=run.plan.job_id)


def _stage_costs(run: RunFacts, selection: Selection, sold: int) -> list[StageCost]:
    """Cost of each stage's work for a selection of which so many episodes are sold."""
    commits = run.of(selection)
    names = [
        name
        for name in _stages_before_pricing()
        if any(commit.stage == name for commit in commits) or (STAGES[name].sharded and (STAGES[name].selects or selection == "kept"))
    ]
    return [_stage_cost(run, name, [commit for commit in commits if commit.stage == name], sold) for name in names]


def _failures_cost(run: RunFacts, failures: AbstractSet[str], episodes: Sequence[EpisodeCost]) -> FailuresCost:
    stages = _stage_costs(run, "failures", len(failures))
    total = add_totals([stage.total for stage in stages])
    each = price_of_kept(total, len(failures))
    shares = [episode.simulation_usd for episode in episodes if episode.episode_id in failures]
    return FailuresCost(
        episodes=len(failures),
        stages=tuple(stages),
        total=total,
        per_failure=each,
        usd_per_failure=None if each is None else each.total_usd,
        usd_per_failure_certainty=_certainty_of(total) if each is not None else Certainty.UNKNOWN,
        simulation_usd=None if None in shares else sum(filter(None, shares), Decimal(0)),
    )


def _missing_units(run: RunFacts, stage: str, commits: Sequence[Commit]) -> tuple[str, ...]:
    if not STAGES[stage].sharded:
        return ()
    done = {commit.request.get("shard_index") for commit in commits}
    return tuple(f"{shard.shard_index:04d}" for shard in run.plan.shards if shard.shard_index not in done)


def _stage_cost(run: RunFacts, stage: str, commits: Sequence[Commit], sold: int) -> StageCost:
    usage = add_usages([unit.usage for unit in _made(commits)])
    missing = _missing_units(run, stage, commits)
    known = total_of(entry for commit in commits for entry in _entries(run, commit))
    total = known.model_copy(update={"unknown_entries": known.unknown_entries + len(missing)})
    return StageCost(
        stage=stage,
        units=len(commits),
        missing_units=missing,
        **usage.model_dump(),
        total=total,
        per_kept_episode=price_of_kept(total, sold),
    )


def _episode_costs(run: RunFacts, simulation: CostTotal | None) -> list[EpisodeCost]:
    usages = [run.usages[episode.episode_id] for episode in run.episodes]
    weights = [usage.cpu_plan_s + usage.cpu_simulate_s for usage in usages]
    shares: Sequence[Decimal | None] = [None] * len(weights)
    if simulation is not None and simulation.unknown_entries == 0 and sum(weights) > 0:
        shares = share_out(simulation.measured_usd + simulation.estimated_usd, weights)
    return [
        EpisodeCost(
            episode_id=episode.spec.episode_id,
            shard_index=episode.shard_index,
            success=episode.outcome.success,
            kept=episode.spec.episode_id in run.kept,
            cpu_plan_s=usage.cpu_plan_s,
            cpu_simulate_s=usage.cpu_simulate_s,
            simulation_usd=share,
        )
        for episode, usage, share in zip(run.episodes, usages, shares, strict=True)
    ]


def _certainty_of(total: CostTotal) -> Certainty:
    if total.unknown_entries:
        return Certainty.UNKNOWN
    return Certainty.ESTIMATED if total.estimated_usd else Certainty.MEASURED
