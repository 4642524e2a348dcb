"""Report a failed task: which scene, which lab, which stage, why, where to look, what to do. One alert a run, until it is cleared."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.sdk import BaseNotifier

from blueprint_pipeline.delivery.slack_message import build_failure_message
from blueprint_pipeline.registry.records import Message
from blueprint_pipeline.settings import load_settings
from plugins.providers.messages.compose import compose
from plugins.providers.messages.outbox import tell

if TYPE_CHECKING:
    from airflow.sdk import Context

_CODE = re.compile(r"^\[(?P<code>[\w.]+)\] (?P<message>.*)$", re.DOTALL)
RUN_FAILED = "run.failed"
"""Code of a task that fails because of what people were told of before: another task of its run, or each scene of its batch."""
CLEAR = "clear the task with its downstream tasks: finished work is kept."
_REFUSED = "run.refused"
"""Code of a run that was refused at its door: clearing it alone changes nothing, for a run keeps its parameters."""


class TaskFailureNotifier(BaseNotifier):
    """Tell people of the task that failed; to be used as ``on_failure_callback``."""

    def notify(self, context: "Context") -> None:
        code, _ = split_error(context.get("exception"))
        if code != RUN_FAILED:
            tell(build_message(context))


@dataclass(frozen=True, kw_only=True)
class StageOfRun:
    """Where in a run something happened, and for whom."""

    scene_id: str | None
    lab: str | None
    stage: str
    dag_id: str
    run_id: str
    clear_number: int | None = 0
    """How often the run was cleared."""
    link: str | None


def build_message(context: Any) -> Message:
    """The alert about a failed task."""
    ti = context["ti"]
    shard = f" (shard {ti.map_index})" if ti.map_index is not None and ti.map_index >= 0 else ""
    scene_id, lab = scene_and_lab(context)
    where = StageOfRun(
        scene_id=scene_id,
        lab=lab,
        stage=f"{ti.task_id}{shard}",
        dag_id=ti.dag_id,
        run_id=ti.run_id,
        clear_number=getattr(context.get("dag_run"), "clear_number", 0),
        link=getattr(ti, "log_url", None),
    )
    return failure_message(where, context.get("exception"), tries=count_attempts(context))


def count_attempts(context: Any) -> int:
    """Attempts of the task: its retry policy knows which of its tries were preempted, and were none."""
    count = getattr(getattr(context.get("task"), "retry_policy", None), "count_attempts", None)
    return int(context["ti"].try_number if count is None else count(context, context.get("exception")))


def failure_message(where: StageOfRun, exception: object, *, tries: int, go_on: str = CLEAR) -> Message:
    """The alert about a failure, one a run, until it is cleared; ``go_on`` says how work goes on once the cause is away."""
    code, message = split_error(exception)
    shown = build_failure_message(
        stage=where.stage,
        dag_id=where.dag_id,
        scene_id=where.scene_id,
        lab=where.lab,
        code=code,
        message=message,
        todo=next_step(exception, tries, go_on),
        attempt=tries,
        run_url=where.link,
        runbook_url=runbook_of(code),
    )
    about = {"scene_id": where.scene_id, "lab": where.lab, "run_id": where.run_id, "code": code, "link": where.link}
    return compose("failure", where.dag_id, where.run_id, where.clear_number or 0, shown=shown, **about)


def scene_and_lab(context: Any) -> tuple[str | None, str | None]:
    """Of the run; for a task that starts runs or works on a batch, of what it was mapped over."""
    params = context.get("params") or {}
    task = context.get("task")
    found = getattr(task, "conf", None)
    chosen = found if isinstance(found, dict) else params
    return tuple(str(chosen[name]) if chosen.get(name) else None for name in ("scene_id", "lab"))  # type: ignore[return-value]  # two names


def next_step(exception: object, try_number: int, go_on: str = CLEAR) -> str:
    """What the person who reads this does now; whether a retry can help is said by the error itself, not guessed from its code."""
    if exception is None:
        return f"Something outside of the task ended it. See the log, then {go_on}"
    if getattr(exception, "retryable", False):
        return f"This may be temporary, but has not passed yet (attempts: {try_number}). Look at what the message names, then {go_on}"
    if split_error(exception)[0] == type(exception).__name__:
        return "This error has no error code, so it is a defect: keep the log and open an issue. Finished work is kept."
    if split_error(exception)[0] == _REFUSED:
        return (
            "No retry will help. A run keeps its parameters: if one is wrong, start a new run. If the machine or the source is, mend it "
            "and clear the task."
        )
    return f"No retry will help: correct what the message names, then {go_on}"


def runbook_of(code: str) -> str | None:
    """Where on-call reads about a code, if this installation says where its runbook is; a code without a case there leads to its head."""
    url = load_settings().messages.runbook_url
    return None if url is None else f"{url}#{quote(code.replace('.', ''))}"


def run_url_of(log_url: str | None, dag_id: str, run_id: str) -> str | None:
    """The page of a run, from the URL of one of its tasks."""
    base, found, _ = (log_url or "").partition("/dags/")
    return f"{base}/dags/{quote(dag_id)}/runs/{quote(run_id)}" if found else None


def split_error(exception: object) -> tuple[str, str]:
    """The stable code and the message of an exception; its class name where it carries no code."""
    if exception is None:
        return "unknown", "The task ended without an exception (killed, or marked failed by hand)."
    code, message = type(exception).__name__, str(exception) or type(exception).__name__
    while found := _CODE.match(message):  # the last code is that of the cause: a stage in a process of its own is told with its error in it
        code, message = found["code"], found["message"]
    return code, message
