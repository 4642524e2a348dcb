"""What a caller sees when the database is wrong, away or busy, and that parallel writers lose nothing."""

import builtins
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import StatementError

from blueprint_pipeline.registry import sessions
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.registry.records import Message
from blueprint_pipeline.registry.sessions import (
    Database,
    RegistryDriverMissing,
    RegistryUnavailable,
    RegistryUnreadable,
    RegistryUrlInvalid,
    build_engine,
)
from blueprint_pipeline.settings import RegistrySettings


@pytest.mark.parametrize(
    "url", ["mysql://host/db", "sqlite://", "sqlite:///:memory:", "nonsense", "postgresql+nodriver://u:secret@host/db"]
)
def test_a_wrong_url_is_named(url):
    """The message says what is expected, and shows no password."""
    with pytest.raises(RegistryUrlInvalid, match="sqlite:///path") as refused:
        open_registry(RegistrySettings(url=url))
    assert "secret" not in str(refused.value)


def test_a_missing_driver_is_named(monkeypatch):
    """Without the driver's package the message names it."""
    original = builtins.__import__

    def without_driver(name, *args, **kwargs):
        if name.startswith("psycopg2"):
            raise ModuleNotFoundError("No module named 'psycopg2'", name="psycopg2")
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_driver)
    monkeypatch.delitem(sys.modules, "psycopg2", raising=False)
    with pytest.raises(RegistryDriverMissing, match="psycopg2") as missing:
        build_engine("postgresql+psycopg2://user:secret@localhost/blueprint_pipeline")
    assert "secret" not in str(missing.value)


def test_a_database_that_is_away_can_be_tried_again():
    """No server: a transient error without the password."""
    with pytest.raises(RegistryUnavailable) as away:
        open_registry(RegistrySettings(url="postgresql+psycopg2://user:secret@127.0.0.1:9/blueprint_pipeline"))
    assert away.value.retryable
    assert "secret" not in str(away.value)


@pytest.mark.timeout(60)
def test_a_database_that_says_nothing_is_not_waited_for(monkeypatch):
    """A server that takes the connection and never answers is as good as away: renewals of leases must not hang."""
    monkeypatch.setattr(sessions, "CONNECT_TIMEOUT_S", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql+psycopg2://user@127.0.0.1:{silent.getsockname()[1]}/blueprint_pipeline"
        with pytest.raises(RegistryUnavailable, match="timeout"):
            open_registry(RegistrySettings(url=url))


def test_a_damaged_file_is_not_taken_for_a_registry(tmp_path):
    """A file that is no database is an error, and stays as it is."""
    path = tmp_path / "registry.db"
    path.write_bytes(b"not a database, but long enough to look like one" * 100)
    before = path.read_bytes()
    with pytest.raises(RegistryUnreadable, match="not a database"):
        open_registry(RegistrySettings(url=f"sqlite:///{path}"))
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    """Where a file stands in the way of the folder, the message says so."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(RegistryUrlInvalid, match="cannot be made"):
        open_registry(RegistrySettings(url=f"sqlite:///{tmp_path / 'file' / 'registry.db'}"))


def test_a_connection_that_breaks_can_be_tried_again(url):
    """When the server drops a connection within a block, the error is a transient one, and the next block works."""
    if url.startswith("sqlite"):
        pytest.skip("SQLite has no server")
    with open_registry(RegistrySettings(url=url)) as registry:

        def lose_the_connection():
            with registry.database.write() as session:
                session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

        with pytest.raises(RegistryUnavailable):
            lose_the_connection()
        assert registry.leases.active() == []


def test_a_process_without_a_free_connection_can_try_again(tmp_path):
    """As with any database that is busy: a lease is renewed later, and no thread ends."""
    database = Database(build_engine(f"sqlite:///{tmp_path}/registry.db", wait_s=0.1))
    with ExitStack() as held:
        for _ in range(database.engine.pool.size() + database.engine.pool._max_overflow):
            held.enter_context(database.engine.connect())
        with pytest.raises(RegistryUnavailable, match="connections of this process are in use"), database.read() as session:
            session.execute(text("SELECT 1"))


def test_a_naive_time_is_refused(registry, clock):
    """Nobody knows which instant a time without zone means."""
    with pytest.raises(StatementError, match="no time zone"):
        registry.scenes.due_scenes(datetime.fromisoformat("2026-11-23"), 1)


def test_a_failed_block_writes_nothing(registry, clock):
    """What was written in a block that raises is missing afterwards."""
    from blueprint_pipeline.registry.tables import BaselineRow

    row = BaselineRow(name="x", revision=1, schema_version="1.0", recorded_at=clock(), source="s", metrics={})

    def write_and_fail():
        with registry.database.write() as session:
            session.add(row)
            session.flush()
            raise KeyError

    with pytest.raises(KeyError):
        write_and_fail()
    assert registry.baselines.latest("x") is None


def test_what_is_written_together_is_whole_or_missing(registry, clock):
    """A change of state and the message about it, each by its own repository: after a crash between the two there is neither."""
    message = Message(message_id="x", kind="failure", text="t")

    def end(*, crash):
        with registry.together():
            registry.runs.start(dag_id="d", run_id="r", scene_id="s", lab="l")
            assert registry.runs.find("d", "r").status == "running"
            if crash:
                raise KeyError
            with registry.together():
                registry.outbox.add(message)
            registry.runs.end("d", "r", "failed")

    with pytest.raises(KeyError):
        end(crash=True)
    assert registry.runs.find("d", "r") is None
    end(crash=False)
    assert (registry.runs.find("d", "r").status, registry.outbox.find("x").status) == ("failed", "waiting")


def test_other_threads_are_not_part_of_what_is_written_together(registry):
    """A renewal of a lease beside it is neither lost with it nor seen half done."""
    lease = registry.leases.acquire("a", "me", 600)

    def find_elsewhere():
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(registry.leases.find, "a").result()

    with registry.together():
        registry.leases.release(lease)
        assert registry.leases.find("a") is None
        assert find_elsewhere() == lease
    assert find_elsewhere() is None


def test_the_clock_is_utc_on_both_databases(url):
    """Without a clock of its own the registry takes the database's, aware and in UTC."""
    with open_registry(RegistrySettings(url=url)) as registry, registry.database.read() as session:
        now = registry.database.now(session)
    assert now.utcoffset().total_seconds() == 0
    assert abs((datetime.now(UTC) - now).total_seconds()) < 60


WRITER = """
import sys
from datetime import UTC, datetime
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.registry.records import LedgerEntry
from blueprint_pipeline.settings import RegistrySettings

def entry(key, item):
    return LedgerEntry(
        commit_key=key, item=item, scene_id="s", stage="x", unit="", machine="m", quantity=1.0, quantity_unit="vcpu_hour",
        quantity_certainty="measured", price_id="p", price_table="t", price_usd="0.001", price_certainty="measured",
        amount_usd="0.001", certainty="measured", occurred_at=datetime(2026, 11, 23, tzinfo=UTC),
    )

url, who = sys.argv[1:]
with open_registry(RegistrySettings(url=url)) as registry:
    for index in range(20):
        registry.ledger.record([entry(f"shared-{index}", "b"), entry(f"shared-{index}", "a"), entry(f"{who}-{index}", "a")])
        lease = registry.leases.acquire(f"{who}-{index}", who, 60)
        registry.leases.release(lease)
"""


@pytest.mark.slow
def test_eight_writers_lose_nothing(url):
    """Two processes and six threads book shared and own entries at once: each stands there exactly once."""
    open_registry(RegistrySettings(url=url)).close()
    processes = [subprocess.Popen([sys.executable, "-c", WRITER, url, f"process-{index}"]) for index in range(2)]
    threaded = WRITER.replace("import sys\n", "").replace("url, who = sys.argv[1:]\n", "")
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda index: exec(threaded, {"url": url, "who": f"thread-{index}"}), range(6)))
    assert [process.wait() for process in processes] == [0] * 2
    with open_registry(RegistrySettings(url=url)) as registry:
        assert len(registry.ledger.entries()) == 20 * 2 + 8 * 20
        (total,) = registry.ledger.totals("stage")
        assert str(total.measured_usd) == "0.200000000"
        assert registry.leases.active() == []
