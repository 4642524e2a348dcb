"""The stage that prices a run."""

from blueprint_pipeline.cost.pricing import build_report, load_run
from blueprint_pipeline.cost.report import COST_REPORT_PATH
from blueprint_pipeline.quality.report import RENDER_REPORTS
from blueprint_pipeline.registry.records import Certainty, Usd
from blueprint_pipeline.stage.contract import Stage, StageContext, StageRequest, StageResult, name_unit
from blueprint_pipeline.stage.flow import FAILURES, stages_before
from blueprint_pipeline.task.plan import PLAN_PATH
from blueprint_pipeline.workspace.commits import commit_name


class PriceRunRequest(StageRequest):
    """What of a run is priced."""

    failures: bool = False
    """Also what it took to sell failures, apart: the run's lab buys them."""


class PriceRunResult(StageResult):
    """The run's cost in short."""

    attempted: int
    kept: int
    measured_usd: Usd
    estimated_usd: Usd
    unknown_entries: int
    usd_per_kept_episode: Usd | None
    usd_per_kept_episode_certainty: Certainty
    usd_per_failure: Usd | None
    """What drawing and writing a failure took; ``None`` where it is not known, or none is sold."""
    machines: tuple[str, ...]
    price_tables: tuple[str, ...]


def _run(request: PriceRunRequest, context: StageContext) -> PriceRunResult:
    report = build_report(load_run(context.scene, failures=request.failures))
    context.output(COST_REPORT_PATH).write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return PriceRunResult(
        attempted=report.attempted,
        kept=report.kept,
        measured_usd=report.total.measured_usd,
        estimated_usd=report.total.estimated_usd,
        unknown_entries=report.total.unknown_entries,
        usd_per_kept_episode=report.usd_per_kept_episode,
        usd_per_kept_episode_certainty=report.usd_per_kept_episode_certainty,
        usd_per_failure=report.failures.usd_per_failure if report.failures else None,
        machines=tuple(sorted(report.machines)),
        price_tables=report.price_tables,
    )


def _priced_commits(request: PriceRunRequest) -> list[str]:
    """Records of the stages before this one that have a single commit. It changes whenever they run again, and so does this stage's key.

    The commits of shards and approvals have names that depend on the run; what they lead to is in the others' inputs.
    """
    rows = [row for row in stages_before("price_run") if row.priced == "as_one"]
    failures = [commit_name(row.name, name_unit(FAILURES)) for row in rows if row.selects] if request.failures else []
    return [*(commit_name(row.name, "") for row in rows), *failures]


def _reads(request: PriceRunRequest) -> list[str]:
    judged = [RENDER_REPORTS["kept"], *([RENDER_REPORTS["failures"]] if request.failures else [])]
    return [PLAN_PATH, "geniesim/recordings", "geniesim/usage", *judged, *_priced_commits(request)]


PRICE_RUN = Stage(
    name="price_run",
    description="Price the run by stage and by kept episode, rejects priced in; failures that are sold apart.",
    request=PriceRunRequest,
    result=PriceRunResult,
    run=_run,
    reads=_reads,
    writes=lambda _: [COST_REPORT_PATH],
)
