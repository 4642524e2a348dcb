"""A fresh database for each test, SQLite and PostgreSQL alike; PostgreSQL is skipped, in words, where there is none."""

from datetime import UTC, datetime, timedelta

import pytest

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


@pytest.fixture
def url(registry_url):
    """The URL of an empty database."""
    return registry_url


@pytest.fixture
def registry(url, clock):
    """An empty registry whose clock the test sets."""
    with open_registry(RegistrySettings(url=url), clock) as opened:
        yield opened
