"""The receivers behave as Slack and a careful lab do."""

import base64
import json
from datetime import UTC, datetime

import httpx
from standardwebhooks.webhooks import Webhook

from operators.embedded.receivers import Message, readable_message, receive, summary_of

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


def test_messages_are_readable():
    """Blocks as text, plain JSON as lines; and the one line that says what it is about."""
    block = {"type": "section", "text": {"type": "mrkdwn", "text": "*Kept*"}, "fields": [{"type": "mrkdwn", "text": "23"}]}
    buttons = {"type": "actions", "elements": [{"type": "button", "text": {"type": "plain_text", "text": "Run"}, "url": "http://a/r"}]}
    slack = Message("/", {}, {"text": "t", "blocks": [block, buttons]}, accepted=True)
    assert (readable_message(slack), summary_of(slack)) == ("*Kept*\n23\nRun: http://a/r", "t")
    event = Message("/", {}, {"type": "x", "data": {}}, accepted=True)
    assert (readable_message(event), summary_of(event)) == ("type: x\ndata: {}", "x")
    nested = Message("/", {}, {"type": "x", "data": {"files": 2, "by": {"lab": "a"}}}, accepted=True)
    assert readable_message(nested) == "type: x\ndata.files: 2\ndata.by.lab: a"
    plain = Message("/", {}, "plain", accepted=True)
    assert (readable_message(plain), summary_of(plain)) == ("plain", "plain")
