"""A bundle goes to a lab once, and what happened to it can be asked."""

from datetime import timedelta

import pytest

from blueprint_pipeline.registry.deliveries import DeliveryStateConflict, delivery_id_of
from blueprint_pipeline.registry.errors import RecordMissing
from blueprint_pipeline.registry.records import WebhookAttempt


def start(registry, **changes):
    facts = {
        "lab": "acme",
        "scene_id": "s",
        "job_id": "job-1",
        "bundle_sha256": "b" * 64,
        "size_bytes": 6_000_000_000,
        "url": "gs://acme/in",
    }
    about = {**facts, **changes}
    return registry.deliveries.start(delivery_id_of(about["lab"], about["bundle_sha256"], "gs://acme"), **about)


def attempt(registry, number, **changes):
    facts = {
        "delivery_id": start(registry).delivery_id,
        "message_id": "msg_1",
        "attempt": number,
        "at": registry.database._clock(),
        "url": "https://a.test",
    }
    return WebhookAttempt(**{**facts, "status_code": 200, "error": None, "duration_s": 0.1, **changes})


def test_the_same_bundle_for_the_same_lab_is_one_delivery(registry, clock):
    """Starting again finds the delivery in the state it has; another bundle or lab is another delivery."""
    first = start(registry)
    registry.deliveries.advance(first.delivery_id, "promoted", receipt={"files": 3})
    clock.advance(hours=1)
    again = start(registry)
    assert (again.delivery_id, again.status, again.created_at) == (first.delivery_id, "promoted", first.created_at)
    assert start(registry, lab="other").delivery_id != first.delivery_id
    assert start(registry, bundle_sha256="c" * 64).delivery_id != first.delivery_id
    assert len(registry.deliveries.all_of(scene_id="s")) == 3
    assert len(registry.deliveries.all_of(lab="acme")) == 2


def test_a_delivery_goes_forward_only(registry, clock):
    """Its state is queryable at each step; the same step again changes nothing; back is refused; the receipt stays."""
    delivery_id = start(registry).delivery_id
    for status in ("staged", "verified", "promoted"):
        clock.advance(minutes=1)
        assert registry.deliveries.advance(delivery_id, status).status == status
    promoted = registry.deliveries.advance(delivery_id, "promoted", receipt={"files": 3})
    clock.advance(minutes=1)
    assert registry.deliveries.advance(delivery_id, "promoted") == promoted
    assert registry.deliveries.advance(delivery_id, "notified").receipt == {"files": 3}
    for status in ("staged", "promoted", "failed"):
        with pytest.raises(DeliveryStateConflict):
            registry.deliveries.advance(delivery_id, status)
    assert registry.deliveries.find(delivery_id).status == "notified"


def test_a_failed_delivery_begins_again(registry, clock):
    """After a failure nothing goes on until the delivery is started again."""
    delivery_id = start(registry).delivery_id
    assert registry.deliveries.advance(delivery_id, "failed", error="sha256 differs").error == "sha256 differs"
    with pytest.raises(DeliveryStateConflict):
        registry.deliveries.advance(delivery_id, "verified")
    clock.advance(hours=1)
    again = start(registry)
    assert (again.status, again.error, again.updated_at - again.created_at) == ("staged", None, timedelta(hours=1))


def test_webhook_attempts_are_kept_once(registry):
    """Each try of a message stands there once, and a message is acknowledged by a 2xx only."""
    failed = attempt(registry, 1, status_code=503)
    silent = attempt(registry, 2, status_code=None, error="timed out")
    assert registry.deliveries.record_attempt(failed)
    assert not registry.deliveries.record_attempt(failed)
    registry.deliveries.record_attempt(silent)
    assert not registry.deliveries.is_acknowledged("msg_1")
    registry.deliveries.record_attempt(attempt(registry, 3, status_code=204))
    assert registry.deliveries.is_acknowledged("msg_1")
    found = registry.deliveries.attempts(failed.delivery_id)
    assert [(item.attempt, item.status_code, item.acknowledged) for item in found] == [(1, 503, False), (2, None, False), (3, 204, True)]


def test_unknown_deliveries_are_errors(registry):
    """Neither a state nor an attempt is kept for a delivery that is missing."""
    with pytest.raises(RecordMissing):
        registry.deliveries.advance("dlv_000000000000", "verified")
    with pytest.raises(RecordMissing):
        registry.deliveries.record_attempt(attempt(registry, 1, delivery_id="dlv_000000000000"))
    assert registry.deliveries.find("dlv_000000000000") is None
