"""Entries of a commit: measured and estimated apart, unknown never zero."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blueprint_pipeline.price.ledger import add_totals, ledger_entries, total_of, worst
from blueprint_pipeline.price.table import MachineLine, MachineProfile, UnknownMachine, load_price_table
from blueprint_pipeline.registry.records import Certainty
from tests.cost.conftest import make_commit

PRICES = load_price_table(date(2026, 11, 23))
seconds = st.floats(min_value=0, max_value=1e7, allow_nan=False)
commits = st.builds(
    lambda wall_s, cpu_s, memory, machine: make_commit(wall_s=wall_s, cpu_s=cpu_s, peak_memory_bytes=memory, machine=machine),
    seconds,
    seconds,
    st.integers(min_value=0, max_value=2**44),
    st.sampled_from([machine.machine_id for machine in PRICES.machines]),
)


def test_a_laptop_is_an_estimate_of_measured_time():
    """72 CPU seconds and 36 s of 1 GiB, at E2 prices: the time is measured, the price is a stand-in."""
    vcpu, memory = ledger_entries(make_commit(), PRICES, job_id="job-1", lab="acme")
    assert (vcpu.item, vcpu.quantity, vcpu.quantity_unit) == ("vcpu", pytest.approx(0.02), "vcpu_hour")
    assert vcpu.amount_usd == Decimal("0.000436232")
    assert (vcpu.quantity_certainty, vcpu.price_certainty, vcpu.certainty) == (Certainty.MEASURED, Certainty.ESTIMATED, Certainty.ESTIMATED)
    assert memory.amount_usd == Decimal("0.000029235")
    assert memory.quantity_certainty is Certainty.ESTIMATED
    assert (vcpu.job_id, vcpu.lab, vcpu.price_table) == ("job-1", "acme", "2026-11-23")


def test_a_billed_machine_is_measured():
    """A reserved machine costs its wall time, whatever the CPU did, at a price from the list."""
    entries = ledger_entries(make_commit(cpu_s=0.0, machine="gce_g2_standard_8_spot"), PRICES)
    amounts = {entry.item: (entry.amount_usd, entry.certainty) for entry in entries}
    assert amounts == {
        "host": (Decimal("0.001174700"), Certainty.MEASURED),
        "gpu": (Decimal("0.002231000"), Certainty.MEASURED),
        "write_operations": (Decimal("0.000005000"), Certainty.MEASURED),
    }


def test_a_price_that_does_not_hold_is_unknown():
    """On a day without a price the entry has no amount; the quantity stays known."""
    commit = make_commit(machine="gce_g2_standard_8_spot").model_copy(update={"finished_at": datetime(2031, 1, 1, tzinfo=UTC)})
    host, gpu, operations = ledger_entries(commit, PRICES)
    assert (host.amount_usd, host.certainty, host.price_usd) == (None, Certainty.UNKNOWN, None)
    assert host.quantity == pytest.approx(0.01)
    assert gpu.amount_usd is None
    assert {item.price_id: item.unit for item in PRICES.prices}[host.price_id] == host.quantity_unit
    assert total_of([host, gpu]).unknown_entries == 2
    assert operations.certainty is Certainty.ESTIMATED, "the list was read years before"


def test_an_unknown_machine_is_an_error():
    """A machine without a profile has no price, and no default."""
    with pytest.raises(UnknownMachine):
        ledger_entries(make_commit(machine="quantum"), PRICES)


@given(st.lists(commits, max_size=5))
def test_totals_are_the_sum_of_their_parts(made):
    """Any commits on any machines: no amount is negative, columns add up exactly, in any order, and in parts."""
    entries = [entry for commit in made for entry in ledger_entries(commit, PRICES)]
    total = total_of(entries)
    assert all(entry.amount_usd is None or entry.amount_usd >= 0 for entry in entries)
    assert total == total_of(entries[::-1])
    assert total == add_totals([total_of([entry]) for entry in entries])
    known = [entry.amount_usd for entry in entries if entry.amount_usd is not None]
    assert total.measured_usd + total.estimated_usd == sum(known, Decimal(0))
    assert total.unknown_entries == len(entries) - len(known)


@given(st.dates(), commits)
def test_unknown_stays_unknown(day, commit):
    """On every day of the calendar: an amount stands exactly where quantity and price are known."""
    dated = commit.model_copy(update={"finished_at": datetime(day.year, day.month, day.day, tzinfo=UTC)})
    for entry in ledger_entries(dated, PRICES):
        assert (entry.amount_usd is None) == (entry.quantity is None or entry.price_usd is None)
        assert entry.certainty is worst(entry.quantity_certainty, entry.price_certainty)


@pytest.mark.parametrize(("day", "unit", "quantity"), [(1, "vcpu_hour", 0.02), (2, "gib_hour", 0.01)])
def test_a_line_is_billed_in_the_unit_of_its_day(day, unit, quantity):
    """A list that bills by memory from a day on: 72 CPU seconds before, 36 s of 1 GiB after."""
    (vcpu,) = [price for price in PRICES.prices if price.price_id == "gcp.us-central1.e2.vcpu.on_demand"]
    before = vcpu.model_copy(update={"effective_from": date(2026, 12, 1), "effective_until": date(2026, 12, 1)})
    after = vcpu.model_copy(update={"effective_from": date(2026, 12, 2), "unit": "gib_hour"})
    machine = MachineProfile(machine_id="m", description="d", lines=(MachineLine(item="work", price_id=vcpu.price_id),))
    commit = make_commit(machine="m").model_copy(update={"finished_at": datetime(2026, 12, day, tzinfo=UTC)})
    (entry,) = ledger_entries(commit, PRICES.model_copy(update={"prices": (before, after), "machines": (machine,)}))
    assert (entry.quantity_unit, entry.quantity) == (unit, pytest.approx(quantity))


def test_a_gpu_without_a_reservation_is_unknown():
    """GPU time is not measured: a line that bills measured GPU time has no quantity, and so no amount."""
    line = MachineLine(item="gpu", price_id="gcp.us-central1.l4.on_demand")
    machine = MachineProfile(machine_id="shared_gpu", description="a GPU that others use too", lines=(line,))
    (entry,) = ledger_entries(make_commit(machine="shared_gpu"), PRICES.model_copy(update={"machines": (machine,)}))
    assert (entry.quantity, entry.quantity_certainty, entry.amount_usd) == (None, Certainty.UNKNOWN, None)
    assert entry.price_usd == Decimal("0.56004")
