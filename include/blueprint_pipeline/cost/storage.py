"""What it will cost to keep a bundle and to hand it out: a forecast, never a measurement."""

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from blueprint_pipeline.price.table import PriceNotEffective, PriceTable, amount_usd
from blueprint_pipeline.registry.records import Usd

_GIB_BYTES = 2**30
_STORAGE, _CLASS_A, _EGRESS = "gcs.us-central1.standard.storage", "gcs.us-central1.class_a", "gcs.us-central1.egress"


class StorageForecast(BaseModel):
    """Keeping ``size_bytes`` for ``months``, writing them once, and one download by the lab. Amounts are ``None`` where no price holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    certainty: Literal["estimated"] = "estimated"
    size_bytes: int = Field(ge=0)
    files: int = Field(ge=0)
    months: int = Field(ge=0)
    price_table: str
    storage_usd: Usd | None
    write_usd: Usd | None
    download_usd: Usd | None
    """At the price of the first 10 TiB of a month."""


def forecast_storage(size_bytes: int, files: int, *, months: int, prices: PriceTable, on: date) -> StorageForecast:
    """Forecast the storage of a bundle in Google Cloud Storage, Standard, us-central1.

    Args:
        size_bytes: Of all files.
        files: How many are written, one Class A operation each.
        months: How long it is kept.
        prices: The table.
        on: Day whose prices are taken for the whole time.
    """
    size_gib = size_bytes / _GIB_BYTES
    quantities = {_STORAGE: size_gib * months, _CLASS_A: files / 1000, _EGRESS: size_gib}
    amounts: dict[str, Usd | None] = {}
    for price_id, quantity in quantities.items():
        try:
            amounts[price_id] = amount_usd(quantity, prices.price(price_id, on).usd)
        except PriceNotEffective:
            amounts[price_id] = None
    return StorageForecast(
        size_bytes=size_bytes,
        files=files,
        months=months,
        price_table=prices.table_id,
        storage_usd=amounts[_STORAGE],
        write_usd=amounts[_CLASS_A],
        download_usd=amounts[_EGRESS],
    )
