"""Whoever reaches Airflow from elsewhere must log in through an auth manager that is made for that.

Airflow's simple auth manager knows no identity provider, writes its passwords into a log, and may be told to let everybody in as an
administrator. It is for one machine. So where it is in force, the API server answers on loopback alone (``make up``, ``kubectl
port-forward``), whatever address it listens on; a probe from outside fails, and an installation that waits for its pods does not end well.

Source: "Simple auth manager" of Airflow's documentation: for development and testing only.
"""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from ipaddress import ip_address
from typing import Any

from airflow.configuration import conf

SIMPLE = "SimpleAuthManager"
REFUSAL = (
    "This Airflow has the simple auth manager, which is for one machine: it answers on loopback alone. "
    "Name an auth manager in [core] auth_manager (docs/deploy.md, 'Who may log in'); until then reach it with kubectl port-forward."
)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class ClosedDoor:
    """An application (ASGI) before Airflow's: with the simple auth manager, it lets through what came to a loopback address."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._is_simple = conf.get("core", "auth_manager").rpartition(".")[2] == SIMPLE

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer with 403, or let Airflow answer."""
        if self._is_simple and scope["type"] == "http" and not _is_loopback(scope.get("server")):
            await _refuse(send)
        else:
            await self._app(scope, receive, send)


def _is_loopback(server: tuple[str, int | None] | None) -> bool:
    """Whether a call came to this machine's own address; where the server does not say, it did not."""
    if server is None:
        return False
    host, port = server
    if port is None:  # a socket of the file system
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


async def _refuse(send: Send) -> None:
    body = json.dumps({"detail": REFUSAL}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})
