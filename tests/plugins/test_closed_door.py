"""With Airflow's simple auth manager, the API server answers its own machine alone."""

import asyncio

import pytest

from plugins.pages import closed_door
from plugins.pages.closed_door import ClosedDoor

FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
SIMPLE_MANAGER = "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"


async def hello(_scope, _receive, send):
    """Stands for Airflow."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def answer_to(server, manager, monkeypatch):
    """Status and body of the answer to a call that came to this address."""
    monkeypatch.setattr(closed_door.conf, "get", lambda *_: manager)
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(ClosedDoor(hello)({"type": "http", "server": server}, None, send))
    return sent[0]["status"], sent[1]["body"].decode()


@pytest.mark.parametrize(
    "server", [("127.0.0.1", 8080), ("127.8.0.1", 8080), ("::1", 8080), ("::ffff:127.0.0.1", 8080), ("/run/api.sock", None)]
)
def test_this_machine_is_answered(server, monkeypatch):
    assert answer_to(server, SIMPLE_MANAGER, monkeypatch) == (200, "hello")


@pytest.mark.parametrize(
    "server", [("10.4.0.7", 8080), ("0.0.0.0", 8080), ("fd00::2", 8080), ("::ffff:10.4.0.7", 8080), ("testserver", 80), None]
)
def test_others_are_refused_and_told_what_to_do(server, monkeypatch):
    status, body = answer_to(server, SIMPLE_MANAGER, monkeypatch)
    assert status == 403
    assert "Name an auth manager in [core] auth_manager" in body


def test_an_auth_manager_that_is_made_for_it_answers_everybody(monkeypatch):
    assert answer_to(("10.4.0.7", 8080), FAB, monkeypatch) == (200, "hello")
