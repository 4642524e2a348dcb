"""Channels: Airflow connections over which a message reaches people. One try, with one clock for all of it."""

import json
from typing import Any

import httpx
from airflow.sdk.bases.hook import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from blueprint_pipeline import bounded_post
from blueprint_pipeline.errors import ConfigurationError, TransientError
from blueprint_pipeline.registry.records import Message

TRY_S = 4.0
"""For a whole try on one channel [s], from the connection to the answer's headers."""


class ChannelMissing(ConfigurationError):
    """There is no Airflow connection of this name."""

    code = "messages.channel_missing"
    template = "There is no connection '{connection_id}': make one of type slackwebhook or http."

    connection_id: str


class ChannelUnfit(ConfigurationError):
    """The connection is of a type that no message can be sent over."""

    code = "messages.channel_unfit"
    template = "Connection '{connection_id}' is of type '{found}': messages go over slackwebhook or http."

    connection_id: str
    found: str


class MessageNotTaken(TransientError):
    """The channel did not take the message."""

    code = "messages.not_taken"
    template = "Connection '{connection_id}' did not take the message: {reason}."

    connection_id: str
    reason: str


def post(connection_id: str, message: Message) -> None:
    """Send a message over a connection, once.

    Raises:
        ChannelMissing: There is no such connection.
        ChannelUnfit: It is of another type, or lacks its address.
        MessageNotTaken: The receiver did not answer with 2xx within :data:`TRY_S`.
    """
    url, body, headers, proxy = _call_of(connection_id, message)
    sent, headers = json.dumps(body).encode(), {"content-type": "application/json", **headers}
    try:
        answer = bounded_post.post(url, sent, headers, limit_s=TRY_S, proxy=proxy)
    except TimeoutError as error:
        raise MessageNotTaken(connection_id, f"no answer within {TRY_S:.0f} s") from error
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:  # ValueError: a proxy or a password that no header can carry
        raise MessageNotTaken(connection_id, f"{type(error).__name__}: {error}".rstrip(": ")) from error
    if not answer.is_success:
        raise MessageNotTaken(connection_id, f"HTTP {answer.status_code}")


def _call_of(connection_id: str, message: Message) -> tuple[str, dict[str, Any], dict[str, str], str | None]:
    try:
        connection = BaseHook.get_connection(connection_id)
        if connection.conn_type == "slackwebhook":
            from airflow.providers.slack.hooks.slack_webhook import SlackWebhookHook

            client = SlackWebhookHook(slack_webhook_conn_id=connection_id).client
            return client.url, {"text": message.text, **({"blocks": message.blocks} if message.blocks else {})}, {}, client.proxy
    except AirflowNotFoundException as error:
        raise ChannelMissing(connection_id) from error
    if connection.conn_type != "http" or not connection.host:
        raise ChannelUnfit(connection_id, str(connection.conn_type))
    headers = {"authorization": f"Bearer {connection.password}"} if connection.password else {}
    return str(connection.host), message.model_dump(mode="json", exclude={"blocks"}), headers, None
