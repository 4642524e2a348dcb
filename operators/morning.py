"""The morning's summary: how the runs of the last hours ended."""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, Context

from blueprint_pipeline.delivery.slack_message import SlackMessage, build_notice
from blueprint_pipeline.price.money import describe_usd
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.registry.records import Approval, OutboxMessage, RunRecord, RunStatus
from blueprint_pipeline.settings import load_settings
from operators.retries import STAGE_RETRIES
from plugins.providers.messages.compose import compose
from plugins.providers.messages.failure import run_url_of
from plugins.providers.messages.outbox import tell

if TYPE_CHECKING:
    from blueprint_pipeline.registry.database import Registry

_SHOWN = 30
"""Runs that stand in the message one by one, the worst first; more are counted."""
_WORST_FIRST: tuple[RunStatus, ...] = ("failed", "cancelled", "running", "succeeded")


RunName = tuple[str, str]
"""DAG and run id."""


class MorningSummaryOperator(BaseOperator):
    """Tell people how the runs of the last hours ended.

    Args:
        hours: How far back to look [h].
    """

    def __init__(self, *, hours: float, **kwargs: Any) -> None:
        super().__init__(**{**STAGE_RETRIES, **kwargs})
        self.hours = hours

    def execute(self, context: Context) -> str:
        ti, now = context["ti"], datetime.now(UTC)
        with open_registry(load_settings().registry) as registry:
            runs = registry.runs.since(now - timedelta(hours=self.hours))
            asked, unsent = registry.approvals.pending(), registry.outbox.all_of(status="given_up", since=now - timedelta(hours=self.hours))
            repeated = find_repeated(registry, runs)
        url = run_url_of(getattr(ti, "log_url", None), ti.dag_id, ti.run_id)
        shown = build_summary(runs, asked, unsent, now, url=url, repeated=repeated)
        tell(compose("night", ti.run_id, shown=shown, run_id=ti.run_id, link=url))
        self.log.info("%s", shown.text)
        return shown.text


def find_repeated(registry: "Registry", runs: Sequence[RunRecord]) -> set[RunName]:
    """Runs that made nothing new: an earlier run made what they delivered, in these hours or before."""
    makers = registry.runs.first_with_delivery({run.delivery_id for run in runs if run.delivery_id is not None})
    return {_name(run) for run in runs if run.delivery_id is not None and makers[run.delivery_id] != _name(run)}


def build_summary(
    runs: Sequence[RunRecord],
    asked: Sequence[Approval],
    unsent: Sequence[OutboxMessage],
    now: datetime,
    *,
    url: str | None,
    repeated: Collection[RunName] = (),
) -> SlackMessage:
    """The summary of a night; episodes, cost and delivery of what was found done stand with the run that made it, and count once."""
    counted = Counter(run.status for run in runs)
    title = f"Night to {now:%Y-%m-%d}: " + (", ".join(f"{counted[name]} {name}" for name in _WORST_FIRST if counted[name]) or "nothing ran")
    known = [run.usd for run in runs if run.usd is not None and _name(run) not in repeated]
    made = [run for run in runs if _name(run) not in repeated]
    kept, attempted = sum(run.kept or 0 for run in made), sum(run.attempted or 0 for run in made)
    fields = {"Runs": str(len(runs)), "Kept episodes": f"{kept} of {attempted}"}
    if len(made) < len(runs):
        fields["Runs that found all done"] = str(len(runs) - len(made))
    if known:
        fields["Cost, as far as known"] = f"{describe_usd(sum(known))} (runs: {len(known)} of {len(runs) - len(repeated)})"
    if asked:
        fields["Wait for a person"] = ", ".join(sorted({question.scene_id for question in asked}))
    if unsent:
        fields["Not delivered"] = f"Messages: {len(unsent)}, see bpp registry messages --status given_up"
    ordered = sorted(runs, key=lambda run: (_WORST_FIRST.index(run.status), run.scene_id))
    lines = [describe_run(run, repeated=_name(run) in repeated) for run in ordered[:_SHOWN]]
    more = [f"and {len(ordered) - _SHOWN} more"] if len(ordered) > _SHOWN else []
    sections = {"Scenes": "\n".join([*lines, *more])} if lines else {}
    return build_notice(title, fields=fields, sections=sections, links={"Airflow": url})


def describe_run(run: RunRecord, *, repeated: bool = False) -> str:
    """One line about a run."""
    where = f"{run.scene_id} for {run.lab}"
    if run.status == "succeeded" and repeated:
        return f"found done: {where}, nothing new; delivered before as {run.delivery_id}"
    if run.status == "succeeded":
        kept = "" if run.kept is None else f", {run.kept} of {run.attempted} kept"
        cost = "" if run.usd is None else f", {describe_usd(run.usd)}"
        delivered = "" if run.delivery_id is None else f", {run.delivery_id}: {run.report_url}"
        return f"done: {where}{kept}{cost}{delivered}"
    if run.status == "failed":
        return f"FAILED: {where}, {run.stage or 'unknown task'}: {run.code or 'no code'} {run.link or ''}".rstrip()
    return f"{run.status}: {where}, since {run.started_at:%H:%M} UTC {run.link or ''}".rstrip()


def _name(run: RunRecord) -> RunName:
    return run.dag_id, run.run_id
