"""Report a failed task in a Slack channel: which scene, which stage, why, where to look, what to do."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier
from airflow.sdk.exceptions import AirflowNotFoundException

if TYPE_CHECKING:
    from airflow.sdk import Context

    from blueprint_pipeline.delivery.slack_message import SlackMessage

CONNECTION_ID = "slack_default"
_CODE = re.compile(r"^\[(?P<code>[\w.]+)\] (?P<message>.*)$", re.DOTALL)
_OF_JOBS = (
    "pod_preempted",
    "pod_lost",
    "no_capacity",
    "cluster_unreachable",
    "image_pull_failed",
    "timed_out",
    "out_of_memory",
    "job_crashed",
)
_PASSES = frozenset({"secrets.unavailable", "stage.preempted", "stage.unavailable", *(f"compute.{name}" for name in _OF_JOBS)})
"""Codes of failures that were tried again until the tries were used up."""


class TaskFailureNotifier(BaseNotifier):
    """Post one message about the task that failed; to be used as ``on_failure_callback``."""

    template_fields: Sequence[str] = ("connection_id",)

    def __init__(self, connection_id: str = CONNECTION_ID) -> None:
        super().__init__()
        self.connection_id = connection_id

    def notify(self, context: "Context") -> None:
        from airflow.providers.slack.hooks.slack_webhook import SlackWebhookHook

        message = build_message(context)
        try:
            SlackWebhookHook(slack_webhook_conn_id=self.connection_id).send(text=message.text, blocks=message.blocks)
        except AirflowNotFoundException:
            self.log.warning("There is no connection '%s': no message was sent. %s", self.connection_id, message.text)


def build_message(context: Any) -> "SlackMessage":
    """The message about a failed task."""
    from blueprint_pipeline.delivery.slack_message import build_failure_message

    ti = context["ti"]
    code, message = split_error(context.get("exception"))
    shard = f" (shard {ti.map_index})" if ti.map_index is not None and ti.map_index >= 0 else ""
    return build_failure_message(
        stage=f"{ti.task_id}{shard}",
        scene_id=str((context.get("params") or {}).get("scene_id") or "-"),
        code=code,
        message=message,
        retryable=code in _PASSES,
        attempt=ti.try_number,
        run_url=getattr(ti, "log_url", None),
    )


def split_error(exception: object) -> tuple[str, str]:
    """The stable code and the message of an exception; its class name where it carries no code."""
    if exception is None:
        return "unknown", "The task ended without an exception (killed, or marked failed by hand)."
    found = _CODE.match(str(exception))
    return (found["code"], found["message"]) if found else (type(exception).__name__, str(exception) or type(exception).__name__)
