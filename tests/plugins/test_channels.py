"""Channels: whatever stands in a connection, a try ends in time and in an error of ours, so that the other messages are sent."""

import json
import socket
import time

import pytest

from blueprint_pipeline.registry.records import Message
from plugins.providers.messages import channels
from plugins.providers.messages.channels import ChannelMissing, ChannelUnfit, MessageNotTaken, post

MESSAGE = Message(message_id="failure/scene_to_dataset/run_1/0", kind="failure", text="Küche: it failed")


def connect(monkeypatch, **fields):
    monkeypatch.setenv("AIRFLOW_CONN_ON_CALL", json.dumps(fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"conn_type": "http", "host": "https://pager.example/hook", "password": "пароль"},
        {"conn_type": "http", "host": "pager.example/hook"},
        {"conn_type": "http", "host": "https://pager.example:x/hook"},
        {
            "conn_type": "slackwebhook",
            "host": "https://hooks.slack.com/services",
            "password": "T/B/X",  # pragma: allowlist secret -- a made-up path of a webhook
            "extra": {"proxy": "proxy.corp:3128"},
        },
    ],
)
def test_a_connection_that_cannot_be_used_does_not_take_the_message(monkeypatch, fields):
    """A password that no header can carry, an address or a proxy without scheme: no other error leaves."""
    connect(monkeypatch, **fields)
    with pytest.raises(MessageNotTaken, match="'on_call' did not take the message"):
        post("on_call", MESSAGE)


def test_a_name_that_is_not_resolved_ends_with_the_try(monkeypatch):
    """The look-up runs in a thread that nothing can stop, and Airflow ends a callback that takes more than 20 s."""
    connect(monkeypatch, conn_type="http", host="https://pager.example/hook")
    monkeypatch.setattr(channels, "TRY_S", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: time.sleep(3))
    started = time.monotonic()
    with pytest.raises(MessageNotTaken, match="no answer within"):
        post("on_call", MESSAGE)
    assert time.monotonic() - started < 2


def test_a_receiver_gets_the_message_as_json(monkeypatch, httpserver):
    """With the connection's password as bearer; another status than 2xx is no receipt."""
    httpserver.expect_ordered_request(
        "/hook", method="POST", json=MESSAGE.model_dump(mode="json", exclude={"blocks"}), headers={"authorization": "Bearer key-of-us"}
    ).respond_with_data(status=202)
    httpserver.expect_ordered_request("/hook").respond_with_data(status=302)
    connect(monkeypatch, conn_type="http", host=httpserver.url_for("/hook"), password="key-of-us")
    post("on_call", MESSAGE)
    with pytest.raises(MessageNotTaken, match="HTTP 302"):
        post("on_call", MESSAGE)


def test_what_is_no_channel_is_named(monkeypatch):
    """A connection that is missing, and one of another type."""
    with pytest.raises(ChannelMissing, match="'nobody'"):
        post("nobody", MESSAGE)
    connect(monkeypatch, conn_type="ssh", host="example")
    with pytest.raises(ChannelUnfit, match="'ssh'"):
        post("on_call", MESSAGE)
