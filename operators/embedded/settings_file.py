"""``airflow_settings.yaml`` into Airflow: connections, variables and pools, through Airflow's own import commands.

Source: the format is that of the Astro CLI's ``airflow_settings.yaml``.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from blueprint_pipeline.config_file import ConfigFileInvalid, load_config
from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.settings import environment_of_child


class InvalidAirflowSettings(ConfigFileInvalid):
    """``airflow_settings.yaml`` cannot be used."""

    code = "airflow_settings.invalid"
    advice = "Correct the file and run `make up` again."


class ConnectionRow(FrozenModel):
    """A connection, in the Astro CLI's words."""

    conn_id: str
    conn_type: str
    conn_host: str | None = None
    conn_schema: str | None = None
    conn_login: str | None = None
    conn_password: str | None = None
    conn_port: int | None = None
    conn_extra: dict[str, Any] | str | None = None


class PoolRow(FrozenModel):
    """A pool."""

    pool_name: str
    pool_slot: int
    pool_description: str = ""


class VariableRow(FrozenModel):
    """A variable."""

    variable_name: str
    variable_value: str


class AirflowSettings(FrozenModel):
    """The part of the file under ``airflow``."""

    connections: tuple[ConnectionRow, ...] = ()
    pools: tuple[PoolRow, ...] = ()
    variables: tuple[VariableRow, ...] = ()


class _File(FrozenModel):
    airflow: AirflowSettings | None = None


def load_airflow_settings(path: Path) -> AirflowSettings:
    """Read the file.

    Raises:
        InvalidAirflowSettings: It is no YAML, or a key is unknown, missing or of the wrong kind.
    """
    return load_config(path, _File, InvalidAirflowSettings).airflow or AirflowSettings()


def build_imports(settings: AirflowSettings) -> dict[str, dict[str, Any]]:
    """The JSON documents that ``airflow connections|variables|pools import`` read."""
    return {
        "connections": {row.conn_id: _connection(row) for row in settings.connections},
        "variables": {row.variable_name: row.variable_value for row in settings.variables},
        "pools": {
            row.pool_name: {"slots": row.pool_slot, "description": row.pool_description, "include_deferred": True} for row in settings.pools
        },
    }


def _connection(row: ConnectionRow) -> dict[str, Any]:
    values = {name.removeprefix("conn_"): value for name, value in row.model_dump(exclude={"conn_id", "conn_type"}).items()}
    extra = values.pop("extra")
    if extra is not None:
        values["extra"] = extra if isinstance(extra, str) else json.dumps(extra)
    return {"conn_type": row.conn_type, **{name: value for name, value in values.items() if value is not None}}


def import_settings(settings: AirflowSettings, environment: Mapping[str, str]) -> None:
    """Load everything into Airflow's database; what is there under the same name is replaced.

    Raises:
        InvalidAirflowSettings: Airflow refused it.
    """
    for kind, document in build_imports(settings).items():
        if not document:
            continue
        with tempfile.TemporaryDirectory(prefix="blueprint-pipeline-settings-") as folder:
            path = Path(folder) / f"{kind}.json"
            path.write_text(json.dumps(document))
            overwrite = ["--overwrite"] if kind == "connections" else []
            command = [sys.executable, "-m", "airflow", kind, "import", *overwrite, str(path)]
            ended = subprocess.run(
                command, env=environment_of_child(environment), capture_output=True, text=True, errors="backslashreplace", check=False
            )
        if ended.returncode != 0:
            raise InvalidAirflowSettings(f"airflow {kind} import", [(ended.stderr or ended.stdout).strip()[-400:]])
