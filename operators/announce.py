"""Tell the team's Slack channel that a dataset was delivered."""

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowSkipException

from plugins.providers.slack.failure import CONNECTION_ID


class AnnounceDeliveryOperator(BaseOperator):
    """Post what was delivered, with counts, cost and place, to Slack.

    Raises:
        AirflowSkipException: There is no Slack connection: nobody wants to be told.
    """

    template_fields: Sequence[str] = ("scene_id", "lab")

    def __init__(self, *, scene_id: str, lab: str, connection_id: str = CONNECTION_ID, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scene_id = scene_id
        self.lab = lab
        self.connection_id = connection_id

    def execute(self, context: Context) -> None:
        from airflow.providers.slack.hooks.slack_webhook import SlackWebhookHook
        from airflow.sdk.exceptions import AirflowNotFoundException

        results = {task: context["ti"].xcom_pull(task_ids=task) for task in ("gate_renders", "price_run", "deliver_bundle")}
        text, blocks = build_delivery_message(self.scene_id, self.lab, results)
        try:
            SlackWebhookHook(slack_webhook_conn_id=self.connection_id).send(text=text, blocks=blocks)
        except AirflowNotFoundException as error:
            raise AirflowSkipException(f"There is no connection '{self.connection_id}': nobody was told that {text}") from error
        self.log.info("Slack was told: %s", text)


def build_delivery_message(scene_id: str, lab: str, results: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """Fallback text and Block Kit blocks of a delivery, from what its stages returned."""
    text = f"Scene {scene_id} was delivered to {lab}."
    lines = [
        f"*{task}*: {', '.join(f'{k} {v}' for k, v in (result or {}).items() if isinstance(v, str | int | float))}"
        for task, result in results.items()
    ]
    return text, [
        {"type": "header", "text": {"type": "plain_text", "text": f"Delivered: {scene_id}"}},
        {"type": "section", "text": {"type": "mrkdwn", "text": text}},
        {"type": "section", "text": {"type": "mrkdwn", "text": "\n".join(lines)[:2900]}},
    ]
