"""Prices are dated, sourced, and refused where they cannot be what they say."""

from datetime import date
from decimal import Decimal

import pytest
import yaml

from blueprint_pipeline.price.table import (
    PRICES_DIR,
    PriceNotEffective,
    PriceTableInvalid,
    PriceTableMissing,
    UnknownMachine,
    load_price_table,
    parse_price_table,
)
from blueprint_pipeline.registry.records import Certainty

TODAY = date(2026, 11, 23)


def row(**changes):
    return {
        "price_id": "vcpu",
        "resource": "e2.vcpu",
        "usage": "on_demand",
        "region": "us-central1",
        "unit": "vcpu_hour",
        "usd": "0.02",
        "effective_from": date(2026, 1, 1),
        "effective_until": date(2026, 6, 30),
        "source": "a price list",
        "source_date": date(2026, 3, 1),
        **changes,
    }


def parse(*rows, machines=(), fresh_days=30):
    table = {"schema_version": "1.0", "table_id": "2026-01-01", "fresh_days": fresh_days, "prices": list(rows), "machines": list(machines)}
    return parse_price_table(yaml.safe_dump(table), "test.yaml")


def test_shipped_tables_are_sound():
    """Every table in the configuration can be read, names its sources, and covers its own day."""
    paths = sorted(PRICES_DIR.glob("*.yaml"))
    assert paths
    for path in paths:
        table = parse_price_table(path.read_text(), path.name)
        assert table.table_id == path.stem
        for machine in table.machines:
            for line in machine.lines:
                table.price(line.price_id, date.fromisoformat(table.table_id))


@pytest.mark.parametrize(
    ("price_id", "usd"),
    [
        ("gcp.us-central1.e2.vcpu.on_demand", "0.02181159"),
        ("gcp.us-central1.e2.memory.on_demand", "0.00292353"),
        ("gcp.us-central1.l4.on_demand", "0.56004"),
        ("gcp.us-central1.l4.spot", "0.2231"),
        ("gcs.us-central1.standard.storage", "0.020"),
        ("gcs.us-central1.class_a", "0.005"),
        ("gcs.us-central1.class_b", "0.0004"),
        ("gcs.us-central1.egress", "0.12"),
    ],
)
def test_shipped_prices(price_id, usd):
    """The prices of the table of 2026-11-23 are what their sources say; operations are per 1,000, not per 10,000."""
    assert load_price_table(TODAY).price(price_id, TODAY).usd == Decimal(usd)


def test_machines_add_up_to_what_google_lists():
    """The lines of a machine profile give the known price of the whole machine, to a cent an hour."""
    table = load_price_table(TODAY)

    def hour(machine_id):
        lines = [line for line in table.machine(machine_id).lines if line.reserved]
        return float(sum(table.price(line.price_id, TODAY).usd * Decimal(line.reserved) for line in lines))

    assert hour("gce_e2_standard_8") == pytest.approx(0.268, abs=0.001)
    assert hour("gce_g2_standard_8") == pytest.approx(0.854, abs=0.005)
    assert hour("gce_g2_standard_8_spot") < hour("gce_g2_standard_8") / 2


def test_the_price_of_the_day_is_taken():
    """Each day has the price that held on it, first and last day included."""
    table = parse(row(), row(usd="0.03", effective_from=date(2026, 7, 1), effective_until=None))
    days = {date(2026, 1, 1): "0.02", date(2026, 6, 30): "0.02", date(2026, 7, 1): "0.03", date(2030, 1, 1): "0.03"}
    for day, usd in days.items():
        assert table.price("vcpu", day).usd == Decimal(usd)


def test_a_price_may_hold_on_one_day_alone():
    """Its first day is its last."""
    assert parse(row(effective_until=date(2026, 1, 1))).price("vcpu", date(2026, 1, 1)).usd == Decimal("0.02")


@pytest.mark.parametrize(("price_id", "day"), [("vcpu", date(2025, 12, 31)), ("vcpu", date(2026, 7, 1)), ("other", TODAY)])
def test_a_day_without_a_price_is_an_error(price_id, day):
    """Outside of its range there is no price, and the message says when there is."""
    with pytest.raises(PriceNotEffective) as missing:
        parse(row()).price(price_id, day)
    assert missing.value.facts["ranges"] == (["2026-01-01 to 2026-06-30"] if price_id == "vcpu" else [])


def test_an_old_reading_is_an_estimate():
    """Near the day on which it was read a price counts as measured, far from it as estimated."""
    table = parse(row())
    price = table.price("vcpu", date(2026, 3, 1))
    assert table.certainty_of(price, date(2026, 3, 31)) is Certainty.MEASURED
    assert table.certainty_of(price, date(2026, 4, 1)) is Certainty.ESTIMATED


def test_a_reading_may_be_fresh_on_its_own_day_alone():
    """With 0 days the day before and the day after are estimates."""
    table = parse(row(), fresh_days=0)
    price = table.price("vcpu", date(2026, 3, 1))
    assert table.certainty_of(price, date(2026, 3, 1)) is Certainty.MEASURED
    for day in (date(2026, 2, 28), date(2026, 3, 2)):
        assert table.certainty_of(price, day) is Certainty.ESTIMATED
    with pytest.raises(PriceTableInvalid, match="fresh_days"):
        parse(row(), fresh_days=-1)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row(), row(price_id="spot", usage="spot", usd="0.02")], "not below on demand"),
        ([row(), row(price_id="spot", usage="spot", usd="0.05")], "not below on demand"),
        ([row(), row(effective_from=date(2026, 6, 30), effective_until=None)], "overlaps"),
        ([row(effective_until=None), row(effective_from=date(2027, 1, 1), effective_until=None)], "overlaps"),
        ([row(effective_until=date(2025, 1, 1))], "before effective_from"),
        ([row(unit="parsec")], "unit"),
        ([row(usd="0")], "usd"),
        ([row(usd="-1")], "usd"),
        ([row(source="")], "source"),
        ([row(colour="red")], "colour"),
        ([], "prices"),
    ],
)
def test_a_wrong_table_is_refused(rows, message):
    """A table that cannot be right is an error that names the file and the field."""
    with pytest.raises(PriceTableInvalid, match=message) as refused:
        parse(*rows)
    assert "test.yaml" in refused.value.message


def test_a_sound_spot_price_is_taken():
    """Spot below on demand passes; another region's on-demand price is not compared."""
    table = parse(row(), row(price_id="spot", usage="spot", usd="0.01"), row(price_id="far", usage="spot", usd="0.05", region="mars"))
    assert table.price("spot", date(2026, 2, 1)).usd == Decimal("0.01")


def test_a_machine_names_prices_that_are_there():
    """A machine line without a price is refused, and an unknown machine is named with those that are known."""
    with pytest.raises(PriceTableInvalid, match="not a price of this table"):
        parse(row(), machines=[{"machine_id": "m", "description": "d", "lines": [{"item": "vcpu", "price_id": "other"}]}])
    with pytest.raises(UnknownMachine, match="local_laptop"):
        load_price_table(TODAY).machine("m")


def test_a_machine_does_not_reserve_nothing():
    """A line with a reservation of 0 would make its machine free of charge."""
    line = {"item": "vcpu", "price_id": "vcpu", "reserved": 0}
    with pytest.raises(PriceTableInvalid, match="reserved"):
        parse(row(), machines=[{"machine_id": "m", "description": "d", "lines": [line]}])


def test_the_table_of_the_day_is_loaded(tmp_path):
    """The newest table not younger than the day; before all of them the oldest, whose prices then do not hold."""
    for day in ("2026-01-01", "2026-06-01"):
        table = {"schema_version": "1.0", "table_id": day, "fresh_days": 30, "prices": [row()], "machines": []}
        (tmp_path / f"{day}.yaml").write_text(yaml.safe_dump(table))
    found = [
        load_price_table(date.fromisoformat(day), tmp_path).table_id for day in ("2020-01-01", "2026-05-31", "2026-06-01", "2027-01-01")
    ]
    assert found == ["2026-01-01", "2026-01-01", "2026-06-01", "2026-06-01"]


def test_no_table_and_a_misnamed_table_are_errors(tmp_path):
    """An empty folder, a file whose name is not its id, and a file that is no YAML are said."""
    with pytest.raises(PriceTableMissing):
        load_price_table(TODAY, tmp_path)
    (tmp_path / "2026-02-02.yaml").write_text((PRICES_DIR / "2026-11-23.yaml").read_text())
    with pytest.raises(PriceTableInvalid, match="2026-02-02"):
        load_price_table(TODAY, tmp_path)
    with pytest.raises(PriceTableInvalid, match="not YAML"):
        parse_price_table("{", "test.yaml")
