"""Labs are told once, by calls that they can trust, through receivers that fail."""

import json
import re
import socket
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime

import pytest
import stamina
from pydantic import SecretStr
from pytest_httpserver import HTTPServer
from standardwebhooks import Webhook, WebhookVerificationError
from werkzeug import Request, Response

from blueprint_pipeline.delivery import webhook
from blueprint_pipeline.delivery.lab import load_lab
from blueprint_pipeline.delivery.notify import WebhookSecretMissing, notify_lab
from blueprint_pipeline.delivery.stages import NotifyLabRequest
from blueprint_pipeline.delivery.webhook import (
    WebhookRefused,
    WebhookSecretInvalid,
    WebhookUndelivered,
    WebhookUrlInvalid,
    build_message,
    send_message,
    validate_url,
)
from blueprint_pipeline.registry.database import open_registry
from tests.delivery.conftest import RECEIPT, WEBHOOK_SECRET

SECRET = SecretStr(WEBHOOK_SECRET)


@pytest.fixture(autouse=True)
def no_waiting():
    """Retries without their pauses, as many as in production."""
    with stamina.set_testing(True, attempts=webhook.ATTEMPTS):
        yield


@pytest.fixture
def httpserver():
    """A receiver whose slow answer does not hold up the next call."""
    with HTTPServer(threaded=True) as server:
        yield server


@pytest.fixture
def deliveries(settings):
    found = open_registry(settings.registry).deliveries
    about = {"lab": "aurora_robotics", "scene_id": "kitchen", "job_id": RECEIPT.job_id}
    started = found.start("dlv_0123456789ab", bundle_sha256="a" * 64, size_bytes=1, url="x", **about)
    found.advance(started.delivery_id, "promoted")
    return found


@pytest.fixture
def receipt(deliveries):
    return RECEIPT.model_copy(update={"delivery_id": deliveries.all_of()[0].delivery_id})


class Receiver:
    """A lab's endpoint: answers as told, verifies every signature with the lab's own library."""

    def __init__(self, httpserver, answers):
        self.answers = iter(answers)
        self.seen = []
        httpserver.expect_request("/hook", method="POST").respond_with_handler(self.handle)
        self.url = httpserver.url_for("/hook")

    def handle(self, request: Request):
        body = request.get_data()
        Webhook(SECRET.get_secret_value()).verify(body, dict(request.headers))
        self.seen.append((request.headers["webhook-id"], json.loads(body)))
        answer = next(self.answers)
        if answer == "hang":
            time.sleep(3.0)
            return Response(status=200)
        if isinstance(answer, tuple):
            return Response(status=answer[0], headers={"Retry-After": answer[1]})
        return Response(status=answer)


def notify(receipt, deliveries, url, secret=SECRET):
    return notify_lab(load_lab("aurora_robotics"), receipt, url=url, secret=secret, deliveries=deliveries)


def test_a_lab_is_told_with_a_signature_that_holds(httpserver, receipt, deliveries):
    """One signed call; the registry has the attempt and the delivery is notified."""
    receiver = Receiver(httpserver, [204])
    told = notify(receipt, deliveries, receiver.url)
    assert [attempt.status_code for attempt in told.attempts] == [204]
    ((message_id, body),) = receiver.seen
    assert message_id == f"msg_{receipt.delivery_id}" == told.message_id
    assert body["type"] == "dataset.delivered"
    assert body["data"]["bundle_url"] == receipt.location
    assert {"scene_id", "job_id", "lab", "dataset_card_url", "bundle_url"} <= body["data"].keys()
    assert deliveries.find(receipt.delivery_id).status == "notified"


def test_errors_and_timeouts_are_tried_again_under_the_same_id(httpserver, receipt, deliveries, monkeypatch):
    """500, no answer in time, 429: then taken. Every call carries the same id, so the lab can drop repeats."""
    monkeypatch.setattr(webhook, "TIMEOUT_S", 1.0)
    receiver = Receiver(httpserver, [500, "hang", (429, "1"), 200])
    told = notify(receipt, deliveries, receiver.url)
    assert [attempt.status_code for attempt in told.attempts] == [500, None, 429, 200]
    assert "Timeout" in told.attempts[1].error
    assert [attempt.attempt for attempt in told.attempts] == [1, 2, 3, 4]
    assert len({message_id for message_id, _ in receiver.seen}) == 1


@pytest.mark.parametrize("part", ["head", "body"])
def test_a_receiver_that_drips_ends_with_the_call(receipt, deliveries, monkeypatch, part):
    """Every byte comes in time, the answer never ends: a head that drips is no answer, a body is not waited for."""
    monkeypatch.setattr(webhook, "TIMEOUT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener, part), daemon=True)
        thread.start()
        started = time.monotonic()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/hook"
        if part == "head":
            with pytest.raises(WebhookUndelivered, match="no answer within"):
                notify(receipt, deliveries, url)
        else:
            notify(receipt, deliveries, url)
        assert time.monotonic() - started < 2 * webhook.ATTEMPTS * webhook.TIMEOUT_S + 1


def drip(listener, part):
    """Answer every caller with a byte every tenth of a second, for longer than a test lasts."""
    while True:
        try:
            caller, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_drip_to, args=(caller, part), daemon=True).start()


def _drip_to(caller, part):
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    with caller, suppress(OSError):
        if part == "body":
            caller.sendall(whole)
        for byte in whole[:-4] + 100 * b"x":
            caller.sendall(bytes([byte]))
            time.sleep(0.1)


@pytest.mark.parametrize("answers", [[204], [404], [503] * webhook.ATTEMPTS])
def test_what_lets_the_bearer_in_is_not_written_down(httpserver, receipt, deliveries, answers):
    """User, password, query and path of the address reach the receiver, and neither registry nor notification nor error."""
    receiver = Receiver(httpserver, answers)
    url = receiver.url.replace("//", "//lab:entry@") + "?token=hidden"
    written = ""
    try:
        written += notify(receipt, deliveries, url).model_dump_json()
    except (WebhookRefused, WebhookUndelivered) as error:
        written += str(error) + json.dumps(error.as_dict())
    written += "".join(attempt.model_dump_json() for attempt in deliveries.attempts(receipt.delivery_id))
    assert len(receiver.seen) == len(answers)
    assert f"{httpserver.url_for('').rstrip('/')}/" in written
    assert not {"hidden", "entry", "hook"} & set(re.split(r"\W+", written))


def test_a_request_keeps_no_path_of_a_webhook():
    """It is written into commits and handed on by Airflow."""
    asked = NotifyLabRequest(scene_id="kitchen", lab="aurora_robotics", webhook_url="https://hooks.example.com/services/T0/B0/secret?x=1")
    assert json.loads(asked.model_dump_json())["webhook_url"] == "https://hooks.example.com/…"
    assert asked.webhook_url.endswith("?x=1")


@pytest.mark.parametrize(
    "url", ["https://lab.example.com:x/token", "https://[::1/token", "lab.example.com/token", "//[::1/token", "[::1/token\t]//["]
)
def test_a_malformed_address_is_refused_without_what_lets_its_bearer_in(receipt, deliveries, url):
    """A typing error in a connection is said in our words, and no call is made."""
    with pytest.raises(WebhookUrlInvalid) as caught:
        notify(receipt, deliveries, url)
    assert "token" not in str(caught.value)


def test_a_name_that_is_not_resolved_ends_with_the_call(receipt, deliveries, monkeypatch):
    """The limit holds for the look-up too, which runs in a thread that nothing can stop."""
    monkeypatch.setattr(webhook, "TIMEOUT_S", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: time.sleep(2))
    started = time.monotonic()
    with pytest.raises(WebhookUndelivered, match="no answer within"):
        notify(receipt, deliveries, "https://lab.example.com/hook")
    assert time.monotonic() - started < webhook.ATTEMPTS * 1.0


@pytest.mark.parametrize("value", ["²", "soon", "-5", "Mon, 99 Foo 2026 00:00:00 GMT"])
def test_a_pause_that_cannot_be_read_is_none(value):
    """Digits of other scripts are digits to Python and no numbers."""
    assert webhook._retry_after_s(value, datetime.now(UTC)) is None


def test_a_lab_that_was_told_is_not_called_again(httpserver, receipt, deliveries):
    """A second run makes no call and gives the same record."""
    receiver = Receiver(httpserver, [200])
    first = notify(receipt, deliveries, receiver.url)
    assert notify(receipt, deliveries, receiver.url) == first
    assert len(receiver.seen) == 1


def test_a_later_run_goes_on_counting(httpserver, receipt, deliveries):
    """Attempts of a failed run stay recorded; the next run adds to them."""
    receiver = Receiver(httpserver, [503] * webhook.ATTEMPTS + [200])
    with pytest.raises(WebhookUndelivered) as caught:
        notify(receipt, deliveries, receiver.url)
    assert caught.value.retryable
    assert deliveries.find(receipt.delivery_id).status == "promoted"
    told = notify(receipt, deliveries, receiver.url)
    assert [attempt.attempt for attempt in told.attempts] == list(range(1, webhook.ATTEMPTS + 2))


@pytest.mark.parametrize("status", [400, 401, 404, 410, 302])
def test_a_receiver_that_says_no_is_asked_once(httpserver, receipt, deliveries, status):
    """Client errors and redirects do not get better by asking again; redirects are never followed with a signed body."""
    receiver = Receiver(httpserver, [status, 200])
    with pytest.raises(WebhookRefused) as caught:
        notify(receipt, deliveries, receiver.url)
    assert not caught.value.retryable
    assert len(receiver.seen) == 1


def test_nobody_there_is_a_transient_error(receipt, deliveries):
    """Connection refused is retried, then reported with all attempts."""
    with pytest.raises(WebhookUndelivered) as caught:
        notify(receipt, deliveries, "http://127.0.0.1:9/hook")
    assert len(caught.value.facts["attempts"]) == webhook.ATTEMPTS


def test_no_secret_no_call(receipt, deliveries):
    """A call is never sent unsigned; the error names the connection."""
    with pytest.raises(WebhookSecretMissing, match="lab_aurora_robotics"):
        notify(receipt, deliveries, "http://127.0.0.1:9/hook", secret=None)
    for value in ("plain", "whsec_%%%", "whsec_c2hvcnQ="):
        with pytest.raises(WebhookSecretInvalid):
            send_message(receipt, url="http://127.0.0.1:9/", secret=SecretStr(value), record=lambda _attempt: None)


@pytest.mark.parametrize("url", ["http://lab.example/hook", "ftp://127.0.0.1/", "https:///x", "hook"])
def test_calls_in_the_clear_are_refused(url):
    """Only https, or this machine's loopback."""
    with pytest.raises(WebhookUrlInvalid):
        validate_url(url)


def test_retry_after_is_obeyed_within_bounds():
    """Seconds and dates are understood; nobody can make us wait for hours."""
    now = RECEIPT.delivered_at
    assert webhook._retry_after_s("7", now) == 7.0
    assert webhook._retry_after_s("86400", now) == webhook.MAX_RETRY_AFTER_S
    assert webhook._retry_after_s("Mon, 23 Nov 2026 12:00:09 GMT", now) == 9.0
    assert webhook._retry_after_s("soon", now) is None


def test_the_message_is_the_same_bytes_for_the_same_delivery(receipt):
    """And a changed one does not pass the lab's check."""
    assert build_message(receipt) == build_message(receipt)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET.get_secret_value()).verify(
            build_message(receipt), {"webhook-id": "x", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA"}
        )
