"""A fresh database for each test, SQLite and PostgreSQL alike; PostgreSQL is skipped, in words, where there is none."""

import uuid
from datetime import UTC, datetime, timedelta

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


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def url(request, tmp_path):
    """The URL of an empty database."""
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


@pytest.fixture
def registry(url, clock):
    """An empty registry whose clock the test sets."""
    with open_registry(RegistrySettings(url=url), clock) as opened:
        yield opened
