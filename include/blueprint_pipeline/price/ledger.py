"""From a commit to ledger entries: measured seconds and bytes, at the prices of the day.

The amount of an entry is known as well as the worse known of quantity and price; where one of them is unknown, so is
the amount: it stays ``None`` and is counted, never taken as zero.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict

from blueprint_pipeline.price.table import (
    MachineLine,
    MachineProfile,
    Price,
    PriceNotEffective,
    PriceTable,
    Unit,
    amount_usd,
    load_price_table,
)
from blueprint_pipeline.price.usage import add_usages
from blueprint_pipeline.registry.records import Certainty, LedgerEntry, Usd
from blueprint_pipeline.workspace.commits import Commit, KeptUnit

_HOUR_S = 3600.0
_GIB_BYTES = 2**30
_WORST_FIRST = (Certainty.UNKNOWN, Certainty.ESTIMATED, Certainty.MEASURED)


class CostTotal(BaseModel):
    """A sum in three columns that are never added up."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    measured_usd: Usd
    estimated_usd: Usd
    unknown_entries: int
    """Entries without an amount: with any, the sums are a lower bound."""


def ledger_entries(commit: Commit, prices: PriceTable, *, job_id: str | None = None, lab: str | None = None) -> list[LedgerEntry]:
    """What a commit cost, one entry for each line of the machine it ran on.

    A price that does not hold on the day of the commit gives an entry of unknown amount.

    Args:
        commit: Of a finished unit of a stage.
        prices: The table; see ``load_price_table(commit.finished_at.date())``.
        job_id: For reports by job.
        lab: For reports by customer.

    Raises:
        UnknownMachine: The table does not have the machine that the commit was made on.
    """
    profile = prices.machine(commit.machine)
    on = commit.finished_at.date()
    entries = []
    for line in profile.lines:
        quantity, quantity_certainty = _quantity(commit, line, _unit_of(prices, line, on))
        entries.append(
            LedgerEntry(
                commit_key=commit.key,
                item=line.item,
                scene_id=commit.scene_id,
                stage=commit.stage,
                unit=commit.unit,
                job_id=job_id,
                lab=lab,
                machine=commit.machine,
                occurred_at=commit.finished_at,
                **price_line(prices, profile, line, on, quantity=quantity, quantity_certainty=quantity_certainty),
            )
        )
    return entries


def kept_entries(commit: Commit, *, job_id: str | None = None) -> list[LedgerEntry]:
    """What the folders cost that a commit kept of earlier runs, at the prices of the day on which they were made.

    Items begin with ``kept.``. The registry's ledger has this since then: these entries are for the account of the run that
    uses the folders.

    Raises:
        UnknownMachine: A table does not have a machine that they were made on.
    """
    batches: dict[tuple[str, date], list[KeptUnit]] = {}
    for unit in commit.kept:
        batches.setdefault((unit.machine, unit.finished_at.date()), []).append(unit)
    entries = []
    for (machine, on), units in sorted(batches.items()):
        last = max(unit.finished_at for unit in units)
        usage = add_usages([unit.usage for unit in units])
        # The outputs are those of the commit itself, which is billed for writing them.
        made = commit.model_copy(update={"machine": machine, "finished_at": last, "usage": usage, "outputs": {}})
        found = ledger_entries(made, load_price_table(on), job_id=job_id)
        entries += [entry.model_copy(update={"item": f"kept.{entry.item}"}) for entry in found]
    return entries


def price_line(
    prices: PriceTable, profile: MachineProfile, line: MachineLine, on: date, *, quantity: float | None, quantity_certainty: Certainty
) -> dict[str, Any]:
    """The fields of a ledger entry that say how much of what there was and what that costs, by a line of a machine.

    Args:
        prices: The table of ``on``.
        profile: The machine.
        line: What it is billed for.
        on: The day.
        quantity: In the line's unit; ``None`` where nobody measured it.
        quantity_certainty: How well the quantity is known.
    """
    price = _price_or_none(prices, line, on)
    price_certainty = Certainty.UNKNOWN if price is None else worst(prices.certainty_of(price, on), profile.price_certainty)
    return {
        "quantity": quantity,
        "quantity_unit": _unit_of(prices, line, on),
        "quantity_certainty": quantity_certainty,
        "price_id": line.price_id,
        "price_table": prices.table_id,
        "price_usd": None if price is None else price.usd,
        "price_certainty": price_certainty,
        "amount_usd": None if price is None or quantity is None else amount_usd(quantity, price.usd),
        "certainty": worst(quantity_certainty, price_certainty),
    }


def _unit_of(prices: PriceTable, line: MachineLine, on: date) -> Unit:
    price = _price_or_none(prices, line, on)
    return price.unit if price is not None else next(known.unit for known in prices.prices if known.price_id == line.price_id)


def total_of(entries: Iterable[LedgerEntry]) -> CostTotal:
    """Sum up entries, measured and estimated apart, unknown counted."""
    sums = {Certainty.MEASURED: Decimal(0), Certainty.ESTIMATED: Decimal(0)}
    unknown = 0
    for entry in entries:
        if entry.amount_usd is None:
            unknown += 1
        else:
            sums[entry.certainty] += entry.amount_usd
    return CostTotal(measured_usd=sums[Certainty.MEASURED], estimated_usd=sums[Certainty.ESTIMATED], unknown_entries=unknown)


def add_totals(totals: Sequence[CostTotal]) -> CostTotal:
    """Sum up totals, column by column."""
    return CostTotal(
        measured_usd=sum((total.measured_usd for total in totals), Decimal(0)),
        estimated_usd=sum((total.estimated_usd for total in totals), Decimal(0)),
        unknown_entries=sum(total.unknown_entries for total in totals),
    )


def worst(*certainties: Certainty) -> Certainty:
    """The least certain of some."""
    return next(certainty for certainty in _WORST_FIRST if certainty in certainties)


def _price_or_none(prices: PriceTable, line: MachineLine, on: date) -> Price | None:
    try:
        return prices.price(line.price_id, on)
    except PriceNotEffective:
        return None


def _quantity(commit: Commit, line: MachineLine, unit: Unit) -> tuple[float | None, Certainty]:
    usage = commit.usage
    if line.reserved is not None:
        return line.reserved * usage.wall_s / _HOUR_S, Certainty.MEASURED
    if unit == "vcpu_hour":
        return usage.cpu_s / _HOUR_S, Certainty.MEASURED
    if unit == "gib_hour":
        # The peak of one process, as if it had been held all the time: neither the sum over processes nor the mean.
        return usage.peak_memory_bytes / _GIB_BYTES * usage.wall_s / _HOUR_S, Certainty.ESTIMATED
    if unit == "thousand_operations":
        return len(commit.outputs) / 1000, Certainty.MEASURED
    return None, Certainty.UNKNOWN
