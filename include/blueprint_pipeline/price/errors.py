"""What can be wrong with prices."""

from collections.abc import Sequence
from datetime import date

from blueprint_pipeline.config_file import ConfigFileInvalid
from blueprint_pipeline.errors import ConfigurationError


class PriceTableInvalid(ConfigFileInvalid):
    """A price table breaks its own rules."""

    code = "cost.price_table_invalid"


class PriceTableMissing(ConfigurationError):
    """There is no price table at all."""

    code = "cost.price_table_missing"

    def __init__(self, folder: str) -> None:
        super().__init__(f"There is no price table (YYYY-MM-DD.yaml) in {folder}.", folder=folder)


class PriceNotEffective(ConfigurationError):
    """No price of this name holds on this day."""

    code = "cost.price_not_effective"

    def __init__(self, price_id: str, on: date, table_id: str, ranges: Sequence[str]) -> None:
        super().__init__(
            f"Price table {table_id} has no price '{price_id}' for {on.isoformat()}; it holds {', '.join(ranges) or 'on no day'}. "
            "Add a newer table to include/config/prices.",
            price_id=price_id,
            on=on.isoformat(),
            table_id=table_id,
            ranges=list(ranges),
        )


class UnknownMachine(ConfigurationError):
    """No machine profile has this name."""

    code = "cost.unknown_machine"

    def __init__(self, machine_id: str, known: Sequence[str]) -> None:
        super().__init__(
            f"There is no machine profile '{machine_id}'; known: {', '.join(known)}.", machine_id=machine_id, known=list(known)
        )
