"""Costs are booked once, exactly, and in three columns."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from pydantic import ValidationError

from blueprint_pipeline.registry.ledger import LedgerConflict
from blueprint_pipeline.registry.records import Certainty, LedgerEntry, LedgerTotal

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def entry(**changes):
    facts = {
        "commit_key": "a" * 64,
        "item": "vcpu",
        "scene_id": "kitchen",
        "stage": "settle_scene",
        "unit": "",
        "machine": "local_laptop",
        "quantity": 0.5,
        "quantity_unit": "vcpu_hour",
        "quantity_certainty": "measured",
        "price_id": "e2",
        "price_table": "2026-11-23",
        "price_usd": "0.02181159",
        "price_certainty": "estimated",
        "amount_usd": "0.010905795",
        "certainty": "estimated",
        "occurred_at": NOON,
    }
    return LedgerEntry(**{**facts, **changes})


def unknown(**changes):
    return entry(item="gpu", quantity=None, quantity_certainty="unknown", amount_usd=None, certainty="unknown", **changes)


def test_an_entry_comes_back_as_it_was_booked(registry):
    """Nothing of an entry is lost or rounded on its way through the database."""
    booked = [unknown(job_id="job-1", lab="acme"), entry()]
    assert registry.ledger.record(booked) == 2
    assert registry.ledger.entries() == booked


def test_booking_twice_changes_nothing(registry):
    """The runner may tell the registry of a commit as often as it likes."""
    assert registry.ledger.record([entry(), unknown()]) == 2
    assert registry.ledger.record([unknown(), entry()]) == 0
    assert len(registry.ledger.entries()) == 2


def test_work_done_anew_costs_again(registry):
    """The same commit key at a later time (its files were lost) is a second cost."""
    registry.ledger.record([entry()])
    assert registry.ledger.record([entry(occurred_at=NOON + timedelta(hours=1))]) == 1


def test_an_entry_is_never_changed(registry):
    """Another amount for the same entry is refused, and nothing else of that call is booked."""
    registry.ledger.record([entry()])
    with pytest.raises(LedgerConflict):
        registry.ledger.record([entry(item="another"), entry(amount_usd="0.02")])
    assert registry.ledger.entries() == [entry()]


def test_totals_are_exact_and_apart(registry):
    """A hundred tenths of a cent make ten cents; measured, estimated and unknown stay three columns."""
    registry.ledger.record([entry(item=f"item-{index}", amount_usd="0.001") for index in range(100)])
    registry.ledger.record([entry(item="real", amount_usd="0.3", price_certainty="measured", certainty="measured"), unknown()])
    expected = LedgerTotal(group="settle_scene", measured_usd=Decimal("0.3"), estimated_usd=Decimal("0.1"), unknown_entries=1, entries=102)
    assert registry.ledger.totals("stage") == [expected]


def test_totals_by_lab_and_period(registry):
    """A customer's report counts that customer's entries of that period only."""
    registry.ledger.record(
        [
            entry(item="a", lab="acme", amount_usd="1"),
            entry(item="b", lab="acme", amount_usd="2", occurred_at=NOON + timedelta(days=40)),
            entry(item="c", lab="other", amount_usd="4"),
            entry(item="d", amount_usd="8"),
        ]
    )
    assert [(total.group, total.estimated_usd) for total in registry.ledger.totals("lab")] == [("", 8), ("acme", 3), ("other", 4)]
    (acme,) = registry.ledger.totals("lab", lab="acme", since=NOON, until=NOON + timedelta(days=30))
    assert acme.estimated_usd == 1
    assert registry.ledger.totals("lab", lab="nobody") == []


@pytest.mark.parametrize(
    "changes",
    [{"amount_usd": None}, {"certainty": "unknown"}, {"amount_usd": "-1"}, {"quantity": -1.0}, {"certainty": "guessed"}],
)
def test_an_amount_goes_with_its_certainty(changes):
    """Unknown has no amount, known has one, and nothing is negative."""
    with pytest.raises(ValidationError):
        entry(**changes)
    assert entry().certainty is Certainty.ESTIMATED
