"""The receivers behave as Slack and a careful lab do."""

import base64
import json
from datetime import UTC, datetime

import httpx
from standardwebhooks.webhooks import Webhook

from operators.embedded.receivers import receive

SECRET = "whsec_" + base64.b64encode(b"0" * 24).decode()


def signed(body, message_id="msg_1"):
    now = datetime.now(UTC)
    signature = Webhook(SECRET).sign(message_id, now, body)
    return {"webhook-id": message_id, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}


def test_anything_is_taken_where_nothing_is_signed():
    """Slack's webhooks carry their secret in the address."""
    with receive() as slack:
        assert httpx.post(f"{slack.url}/services/T/B/X", json={"text": "hello"}).text == "ok"
        assert httpx.post(f"{slack.url}/x", content=b"\xff no json").status_code == 200
    assert [message.path for message in slack.messages] == ["/services/T/B/X", "/x"]
    assert slack.messages[0].body == {"text": "hello"}


def test_signature_is_verified_and_repetitions_are_known():
    """A signed message is taken, a second time as a repetition; a forged one is refused."""
    body = json.dumps({"type": "dataset.delivered"})
    with receive(SECRET) as lab:
        assert httpx.post(lab.url, content=body, headers=signed(body)).status_code == 200
        assert httpx.post(lab.url, content=body, headers=signed(body)).status_code == 200
        assert httpx.post(lab.url, content=body + " ", headers=signed(body, "msg_2")).status_code == 400
    assert [message.note.split(":")[0] for message in lab.messages] == ["signature verified", "a repetition, ignored", "signature refused"]
