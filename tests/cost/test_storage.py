"""The storage forecast says that it is one."""

from datetime import date
from decimal import Decimal

from blueprint_pipeline.cost.storage import forecast_storage
from blueprint_pipeline.price.table import load_price_table

TODAY = date(2026, 11, 23)


def test_a_forecast_is_bytes_times_months():
    """100 GiB for a year cost 24 dollars to keep and 12 to download once; a thousand files half a cent to write."""
    forecast = forecast_storage(100 * 2**30, 1000, months=12, prices=load_price_table(TODAY), on=TODAY)
    assert (forecast.storage_usd, forecast.download_usd, forecast.write_usd) == (Decimal(24), Decimal(12), Decimal("0.005"))
    assert (forecast.certainty, forecast.price_table) == ("estimated", "2026-11-23")


def test_without_a_price_there_is_no_forecast():
    """On a day without prices the amounts are absent, not zero."""
    forecast = forecast_storage(2**30, 1, months=1, prices=load_price_table(TODAY), on=date(2001, 1, 1))
    assert (forecast.storage_usd, forecast.download_usd, forecast.write_usd) == (None, None, None)
