"""The demo's connections: receivers on this machine stand in for Slack and the labs where ``airflow_settings.yaml`` names no host."""

import base64
import secrets
from pathlib import Path

from operators.embedded.receivers import Receiver
from operators.embedded.settings_file import AirflowSettings, ConnectionRow

NOBODY = "http://127.0.0.1:9/"
"""The discard port, where nothing listens: the host of a connection that has no real receiver."""


def lab_secret(home: Path) -> str:
    """The secret that the demo's lab shares with us; made once, so that it is the same in the next run."""
    path = home / "lab_webhook_secret"
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text("whsec_" + base64.b64encode(secrets.token_bytes(24)).decode())
    return path.read_text()


def with_receivers(settings: AirflowSettings, slack: Receiver, lab: Receiver) -> AirflowSettings:
    """The settings with every connection without a real host pointed at a receiver; all others as they are."""
    return settings.model_copy(update={"connections": tuple(_played(row, slack, lab) for row in settings.connections)})


def _played(row: ConnectionRow, slack: Receiver, lab: Receiver) -> ConnectionRow:
    if not (row.conn_host or "").startswith(NOBODY):
        return row
    path = str(row.conn_host).removeprefix(NOBODY)
    if row.conn_type == "slackwebhook":
        return row.model_copy(update={"conn_host": f"{slack.url}/{path}"})
    return row.model_copy(update={"conn_host": f"{lab.url}/{path}", "conn_password": row.conn_password or lab.secret})
