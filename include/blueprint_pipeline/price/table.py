"""Dated price tables: ``include/config/prices/YYYY-MM-DD.yaml``, every price with its source.

A naive reading of a price catalogue takes a committed or flexible-start rate for the on-demand one; it shows as an
on-demand price at or below the spot price, and such a table is refused.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from blueprint_pipeline.config_file import ConfigFileInvalid, parse_config
from blueprint_pipeline.config_folder import CONFIG_FOLDER
from blueprint_pipeline.errors import ConfigurationError
from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.registry.records import Certainty, Usd
from blueprint_pipeline.workspace.storage import Id

PRICES_DIR = CONFIG_FOLDER / "prices"
"""Where the tables lie."""

Unit = Literal["vcpu_hour", "gib_hour", "gpu_hour", "machine_hour", "gib_month", "thousand_operations", "gib"]


class UnknownMachine(ConfigurationError):
    """No machine profile has this name."""

    code = "cost.unknown_machine"
    template = "There is no machine profile '{machine_id}'; known: {known}."

    machine_id: str
    known: Sequence[str]


class PriceNotEffective(ConfigurationError):
    """No price of this name holds on this day."""

    code = "cost.price_not_effective"
    template = (
        "Price table {table_id} has no price '{price_id}' for {on}; its prices hold on: {ranges}. Add a newer table to "
        "include/config/prices."
    )

    price_id: str
    on: date
    table_id: str
    ranges: Sequence[str]


class PriceTableMissing(ConfigurationError):
    """There is no price table at all."""

    code = "cost.price_table_missing"
    template = "There is no price table (YYYY-MM-DD.yaml) in {folder}."

    folder: str


class PriceTableInvalid(ConfigFileInvalid):
    """A price table breaks its own rules."""

    code = "cost.price_table_invalid"


class Price(FrozenModel):
    """What one unit of a resource costs, from one day to another."""

    price_id: str
    resource: str
    """What is bought; the same for on demand and spot."""
    usage: Literal["on_demand", "spot"]
    region: str
    unit: Unit
    usd: Usd = Field(gt=0)
    sku: str | None = None
    effective_from: date
    effective_until: date | None = None
    """Last day, inclusive; ``None``: until a newer table says otherwise."""
    source: str = Field(min_length=1)
    source_date: date

    def holds_on(self, on: date) -> bool:
        """Whether the price is in effect on a day."""
        return self.effective_from <= on <= (self.effective_until or date.max)

    def __str__(self) -> str:
        return f"{self.effective_from.isoformat()} to {self.effective_until.isoformat() if self.effective_until else 'now'}"


class MachineLine(FrozenModel):
    """One thing that a machine is billed for."""

    item: str
    """Name in the ledger."""
    price_id: str
    reserved: float | None = Field(default=None, gt=0)
    """Billed for the whole wall time (8 vCPUs, 32 GiB, one GPU); ``None``: what was measured is billed."""


class MachineProfile(FrozenModel):
    """Where stages run and how that is billed."""

    machine_id: Id
    description: str
    price_certainty: Certainty = Certainty.MEASURED
    """``estimated`` where the prices are a stand-in, because nobody bills this machine so."""
    lines: tuple[MachineLine, ...] = Field(min_length=1)


class PriceTable(FrozenModel):
    """All prices of one file."""

    schema_version: Literal["1.0"]
    table_id: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$")
    fresh_days: int = Field(ge=0)
    """A price is taken as read from the list this many days around its ``source_date``, and as an estimate beyond."""
    prices: tuple[Price, ...] = Field(min_length=1)
    machines: tuple[MachineProfile, ...]

    @model_validator(mode="after")
    def _keeps_its_rules(self) -> Self:
        found = [*_overlaps(self.prices), *_spot_not_cheaper(self.prices), *_unknown_prices(self)]
        if found:
            raise ValueError("; ".join(found))
        return self

    def price(self, price_id: str, on: date) -> Price:
        """The price in effect on a day.

        Raises:
            PriceNotEffective: There is none.
        """
        named = [price for price in self.prices if price.price_id == price_id]
        for price in named:
            if price.holds_on(on):
                return price
        raise PriceNotEffective(price_id, on, self.table_id, [str(price) for price in named])

    def certainty_of(self, price: Price, on: date) -> Certainty:
        """``measured`` near the day on which the price was read, ``estimated`` far from it."""
        return Certainty.MEASURED if abs(on - price.source_date) <= timedelta(days=self.fresh_days) else Certainty.ESTIMATED

    def machine(self, machine_id: str) -> MachineProfile:
        """A machine profile by name.

        Raises:
            UnknownMachine: There is none of this name.
        """
        for machine in self.machines:
            if machine.machine_id == machine_id:
                return machine
        raise UnknownMachine(machine_id, [machine.machine_id for machine in self.machines])


def parse_price_table(text: str, path: str) -> PriceTable:
    """Read a table from YAML.

    Args:
        text: The file's content.
        path: For the message.

    Raises:
        PriceTableInvalid: A field is wrong, ranges overlap, a spot price is not below the on-demand price, or a
            machine names a price that is missing.
    """
    return parse_config(text, path, PriceTable, PriceTableInvalid)


@cache
def load_price_table(on: date, folder: Path = PRICES_DIR) -> PriceTable:
    """The newest table that is not younger than ``on``, or the oldest there is; whether a price holds on that day, it says itself.

    Raises:
        PriceTableMissing: The folder has no table.
        PriceTableInvalid: The table cannot be used.
    """
    paths = sorted(folder.glob("????-??-??.yaml"))
    if not paths:
        raise PriceTableMissing(str(folder))
    path = max((path for path in paths if path.stem <= on.isoformat()), default=paths[0])
    table = parse_price_table(path.read_text(encoding="utf-8"), path.name)
    if table.table_id != path.stem:
        raise PriceTableInvalid(path.name, [f"table_id is {table.table_id}, expected the file's name {path.stem}"])
    return table


def _overlaps(prices: tuple[Price, ...]) -> list[str]:
    ordered = sorted(prices, key=lambda price: (price.price_id, price.effective_from))
    found = [
        f"{price.price_id}: effective_until {price.effective_until} is before effective_from {price.effective_from}"
        for price in ordered
        if price.effective_until is not None and price.effective_until < price.effective_from
    ]
    for before, after in pairwise(ordered):
        if before.price_id == after.price_id and before.holds_on(after.effective_from):
            found.append(f"{before.price_id}: {before} overlaps {after}")
    return found


def _spot_not_cheaper(prices: tuple[Price, ...]) -> list[str]:
    return [
        f"{spot.price_id}: spot {spot.usd} USD is not below on demand {full.usd} USD; one of them is another kind of rate"
        for spot in prices
        for full in prices
        if (spot.usage, full.usage) == ("spot", "on_demand")
        and (spot.resource, spot.region, spot.unit) == (full.resource, full.region, full.unit)
        and (spot.holds_on(full.effective_from) or full.holds_on(spot.effective_from))
        and spot.usd >= full.usd
    ]


def _unknown_prices(table: PriceTable) -> list[str]:
    known = {price.price_id for price in table.prices}
    return [
        f"machine {machine.machine_id}: '{line.price_id}' is not a price of this table"
        for machine in table.machines
        for line in machine.lines
        if line.price_id not in known
    ]


def amount_usd(quantity: float, price_usd: Decimal) -> Decimal:
    """``quantity`` units at a price, rounded half even to a nano dollar."""
    return (Decimal(repr(quantity)) * price_usd).quantize(Decimal("1e-9"))
