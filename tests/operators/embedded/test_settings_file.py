"""`airflow_settings.yaml` becomes what Airflow's import commands read."""

import pytest

from operators.embedded.settings_file import InvalidAirflowSettings, build_imports, load_airflow_settings
from tests.airflow_home import ROOT


def test_shipped_file_loads_and_names_what_the_dags_need():
    """Slack, a connection for every lab, and the pools."""
    imports = build_imports(load_airflow_settings(ROOT / "airflow_settings.yaml"))
    labs = {f"lab_{path.stem}" for path in (ROOT / "include" / "config" / "labs").glob("*.yaml")}
    assert set(imports["connections"]) == labs | {"slack_default"}
    assert imports["pools"]["simulation"]["slots"] == 1


def test_fields_are_translated(tmp_path):
    """The Astro CLI's names become Airflow's; what is empty is left out, extra becomes JSON."""
    path = tmp_path / "s.yaml"
    path.write_text(
        "airflow:\n  connections: [{conn_id: c, conn_type: http, conn_host: h, conn_port: 1, conn_extra: {a: 1}}]\n"
        "  variables: [{variable_name: v, variable_value: x}]\n"
    )
    imports = build_imports(load_airflow_settings(path))
    assert imports["connections"] == {"c": {"conn_type": "http", "host": "h", "port": 1, "extra": '{"a": 1}'}}
    assert imports["variables"] == {"v": "x"}


@pytest.mark.parametrize(
    ("text", "told"),
    [("airflow: {pools: [{pool_name: p}]}", "pools.0.pool_slot"), ("airflow: [", "not YAML"), ("airflow: {pols: []}", "pols")],
)
def test_mistakes_are_told_with_their_place(tmp_path, text, told):
    path = tmp_path / "s.yaml"
    path.write_text(text)
    with pytest.raises(InvalidAirflowSettings, match=told):
        load_airflow_settings(path)


def test_missing_file_is_told(tmp_path):
    with pytest.raises(InvalidAirflowSettings, match="No such file"):
        load_airflow_settings(tmp_path / "none.yaml")
