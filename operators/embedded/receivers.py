"""Real HTTP receivers on loopback: what Slack and a lab would get, the demo gets, and shows."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


@dataclass(frozen=True)
class Message:
    """One request that came in."""

    path: str
    headers: dict[str, str]
    body: Any
    accepted: bool
    note: str = ""
    """Why it was refused, or that it is a repetition."""


@dataclass
class Receiver:
    """What listens, and what it got."""

    url: str = ""
    messages: list[Message] = field(default_factory=list)
    secret: str | None = None
    """``whsec_…``: messages must be signed with it (Standard Webhooks)."""
    _taken: int = 0

    def take(self) -> list[Message]:
        """What came in since the last call."""
        new = self.messages[self._taken :]
        self._taken += len(new)
        return new

    def judge(self, headers: dict[str, str], raw: bytes) -> tuple[bool, str]:
        """Whether a request is accepted, and what there is to say of it."""
        if self.secret is None:
            return True, ""
        try:
            Webhook(self.secret).verify(raw, headers)
        except WebhookVerificationError as error:
            return False, f"signature refused: {error}"
        known = {message.headers.get("webhook-id") for message in self.messages}
        return True, "a repetition, ignored" if headers.get("webhook-id") in known else "signature verified"


@contextmanager
def receive(secret: str | None = None) -> Iterator[Receiver]:
    """Listen on a free port of loopback for as long as the block lasts."""
    receiver = Receiver(secret=secret)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            accepted, note = receiver.judge(headers, raw)
            receiver.messages.append(Message(self.path, headers, _parse(raw), accepted, note))
            answer = b"ok" if accepted else note.encode()
            self.send_response(200 if accepted else 400)
            self.send_header("content-type", "text/plain")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- http.server's signature; messages are shown, not logged
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


def _parse(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode(errors="replace")


def summary_of(message: Message) -> str:
    """The line by which a person in the channel knows what a message is about."""
    body: Any = message.body
    return str(body.get("text") or body.get("type") or ", ".join(body)) if isinstance(body, dict) else str(body)


def readable_message(message: Message) -> str:
    """What a person in the channel would read."""
    body: Any = message.body
    if isinstance(body, dict) and "blocks" in body:
        return "\n".join(filter(None, (_block_text(block) for block in body["blocks"]))) or str(body.get("text"))
    if isinstance(body, dict):
        return "\n".join(f"{name}: {value}" for name, value in _leaves(body))
    return str(body)


def _leaves(body: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Values of nested objects, each with the way to it."""
    for name, value in body.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _block_text(block: Mapping[str, Any]) -> str:
    texts = [block.get("text"), *block.get("fields", []), *block.get("elements", [])]
    lines = [str(part["text"]) for part in texts if isinstance(part, dict) and isinstance(part.get("text"), str)]
    return "\n".join([*lines, *(f"{part['text']['text']}: {part['url']}" for part in block.get("elements", []) if "url" in part)])
