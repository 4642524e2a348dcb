"""Tell a Slack channel that a task failed: which scene, which stage, why, where to look, what to do."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier
from airflow.sdk.exceptions import AirflowNotFoundException

if TYPE_CHECKING:
    from airflow.sdk import Context

CONNECTION_ID = "slack_default"
_CODE = re.compile(r"^\[(?P<code>[\w.]+)\] (?P<message>.*)$", re.DOTALL)
_SECTION_LIMIT = 2900
"""Characters of a Block Kit section. Source: Slack API reference, section block: 3000 at most."""


class TaskFailureNotifier(BaseNotifier):
    """Post one message about the task that failed; to be used as ``on_failure_callback``."""

    template_fields: Sequence[str] = ("connection_id",)

    def __init__(self, connection_id: str = CONNECTION_ID) -> None:
        super().__init__()
        self.connection_id = connection_id

    def notify(self, context: "Context") -> None:
        from airflow.providers.slack.hooks.slack_webhook import SlackWebhookHook

        text, blocks = build_failure_message(context)
        try:
            hook = SlackWebhookHook(slack_webhook_conn_id=self.connection_id)
            hook.send(text=text, blocks=blocks)
        except AirflowNotFoundException:
            self.log.warning(
                "There is no connection '%s': nobody was told that %s. Add it in airflow_settings.yaml.", self.connection_id, text
            )


def build_failure_message(context: Any) -> tuple[str, list[dict[str, Any]]]:
    """The message of a failed task: fallback text, and Block Kit blocks."""
    ti = context["ti"]
    scene_id = (context.get("params") or {}).get("scene_id") or "-"
    code, message = split_error(context.get("exception"))
    shard = f" (shard {ti.map_index})" if ti.map_index is not None and ti.map_index >= 0 else ""
    text = f"{ti.task_id}{shard} failed for scene {scene_id}: {code}"
    link = getattr(ti, "log_url", None)
    fields = [
        ("Scene", scene_id),
        ("Stage", f"{ti.task_id}{shard}"),
        ("Error", code),
        ("Try", f"{ti.try_number}"),
        ("DAG", ti.dag_id),
        ("Run", ti.run_id),
    ]
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": f"Failed: {ti.task_id}{shard}"[:150]}},
        {"type": "section", "fields": [{"type": "mrkdwn", "text": f"*{name}*\n{value}"} for name, value in fields]},
        {"type": "section", "text": {"type": "mrkdwn", "text": f"```{message[:_SECTION_LIMIT]}```"}},
        {"type": "section", "text": {"type": "mrkdwn", "text": f"*What to do*: {advice(code)}"}},
    ]
    if link:
        blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": f"<{link}|Open the task's log>"}]})
    return text, blocks


def split_error(exception: object) -> tuple[str, str]:
    """The stable code and the message of an exception; its class name where it carries no code."""
    if exception is None:
        return "unknown", "The task ended without an exception (killed, or marked failed by hand)."
    found = _CODE.match(str(exception))
    return (found["code"], found["message"]) if found else (type(exception).__name__, str(exception) or type(exception).__name__)


def advice(code: str) -> str:
    """What a person on call does about a code, by its family."""
    families = {
        "compute": "Look at the memory and at the log; then clear the task: finished units are kept and it resumes.",
        "stage.preempted": "Nothing: the machine was taken away more often than the task has tries. Clear the task and it resumes.",
        "stage.unavailable": "The tries are used up. Look whether the outside system is back, then clear the task: it resumes.",
        "quality": "Look at geniesim/quality/gates.json for the reasons by episode; mend the scene or agree on other limits with the lab.",
        "scene": "The scene is wrong, and a retry gives the same. Send the message to who made the scene; ingest the mended one.",
        "workspace": "Files were changed or are gone. Find out who wrote there; clear the run from the first stage that the message names.",
        "delivery": "Nothing was half delivered. Correct what the message names and clear the task: delivering twice changes nothing.",
    }
    return (
        families.get(code)
        or families.get(code.split(".", maxsplit=1)[0])
        or "Read the message: it says what was expected and what to do. Clear the task afterwards; it resumes."
    )
