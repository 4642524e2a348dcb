"""Databases of older versions are brought forward with all that is in them, and back; newer ones are refused."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from blueprint_pipeline.registry import migrate as migrate_module
from blueprint_pipeline.registry.approvals import lapse_id
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.registry.ids import message_id
from blueprint_pipeline.registry.migrate import HEAD, REVISIONS, RegistryTooNew, load_revision, migrate
from blueprint_pipeline.registry.records import Certainty
from blueprint_pipeline.registry.sessions import Database, build_engine
from blueprint_pipeline.registry.tables import Base, NanoUsd, UtcDateTime
from blueprint_pipeline.settings import RegistrySettings
from blueprint_pipeline.workspace.canonical import key_of

RESOURCES = Path(__file__).parent / "resources"


def run_sql(database, name):
    statements = (RESOURCES / name).read_text().split(";\n")
    with database.engine.begin() as connection:
        for statement in filter(None, (statement.strip() for statement in statements)):
            connection.exec_driver_sql(statement.replace("%", "%%") if not database.is_sqlite else statement)


@pytest.fixture
def old_database(url):
    """A database as revision 0001 left it: on SQLite from a frozen dump of its schema, on PostgreSQL made by 0001."""
    database = Database(build_engine(url))
    if database.is_sqlite:
        raw = database.engine.raw_connection()
        raw.executescript((RESOURCES / "schema_0001_sqlite.sql").read_text())
        raw.close()
    else:
        migrate(database, "0001")
    run_sql(database, "rows_0001.sql")
    yield database
    database.engine.dispose()


def columns(database, table):
    return {column["name"] for column in inspect(database.engine).get_columns(table)}


def test_old_database_comes_forward_with_its_data(old_database, url):
    """Opening a database of revision 0001 keeps every row; amounts become exact, an unknown one stays unknown, failures are counted."""
    assert load_revision(old_database) == "0001"
    with open_registry(RegistrySettings(url=url)) as registry:
        assert load_revision(registry.database) == HEAD
        memory, vcpu = registry.ledger.entries()
        assert (vcpu.amount_usd, vcpu.certainty) == (Decimal("0.000302939"), Certainty.ESTIMATED)
        assert (memory.amount_usd, memory.certainty) == (None, Certainty.UNKNOWN)
        assert [(scene.source.scene_id, scene.failures) for scene in registry.scenes.all()] == [("kitchen", 0), ("office", 1)]
        commit = registry.commits.find("aaaa")
        assert (commit.usage.cpu_s, commit.machine, commit.packages, commit.schema_version) == (50.0, "local_laptop", {}, "1.1")
        assert registry.approvals.find("apr_0123456789ab").approved_episodes == ("e1",)
        assert [event.actor for event in registry.approvals.audit("apr_0123456789ab")] == ["run-1", "ann"]
        assert registry.deliveries.find("dlv_0123456789ab").size_bytes == 5_000_000_000
        assert registry.deliveries.is_acknowledged("msg_1")
        assert registry.baselines.latest("golden").metrics == {"success_rate": 0.9}
        assert registry.leases.acquire("kitchen/commits/settle_scene.json", "run-2", 60).token == 42
        assert registry.scenes.find("kitchen").due_at == datetime(2026, 11, 21, 10, tzinfo=UTC)


def test_down_and_up_again_keeps_the_data(old_database):
    """Revisions can be taken back: amounts are floats again, and forward again they are what they were."""
    migrate(old_database)
    migrate(old_database, "0001")
    assert load_revision(old_database) == "0001"
    assert "amount_usd" in columns(old_database, "ledger_entry")
    assert "failures" not in columns(old_database, "scene")
    with old_database.engine.connect() as connection:
        version, document = connection.execute(text("SELECT schema_version, document FROM stage_commit WHERE key = 'aaaa'")).one()
        document = json.loads(document) if isinstance(document, str) else document
        assert (version, document["schema_version"], {"machine", "packages"} & set(document)) == ("1.0", "1.0", set())
        assert connection.execute(text("SELECT amount_usd FROM ledger_entry WHERE item = 'vcpu'")).scalar_one() == pytest.approx(
            0.000302939
        )
    migrate(old_database)
    with old_database.engine.connect() as connection:
        assert connection.execute(text("SELECT amount_nano_usd FROM ledger_entry WHERE item = 'vcpu'")).scalar_one() == 302939


def test_tables_are_what_the_migrations_make(url):
    """The typed tables and the migrated database do not differ, so no migration was forgotten."""
    database = Database(build_engine(url))
    migrate(database)

    def same_type(_context, _inspected, _metadata, _found, expected):
        return False if isinstance(expected, (UtcDateTime, NanoUsd)) else None

    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": same_type})
        assert compare_metadata(context, Base.metadata) == []
    database.engine.dispose()


def test_revisions_are_all_named():
    """HEAD and REVISIONS say what the migration scripts say."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrate_module.__file__).parent / "migrations"))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_current_head() == HEAD
    assert tuple(reversed([script.revision for script in scripts.walk_revisions()])) == REVISIONS


def test_a_newer_database_is_refused(url):
    """A database that a newer version migrated is left alone, and the message says what to do."""
    with open_registry(RegistrySettings(url=url)) as registry, registry.database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(RegistryTooNew, match="Update blueprint_pipeline"):
        open_registry(RegistrySettings(url=url))


def test_a_failed_migration_changes_nothing(old_database, monkeypatch):
    """When a migration fails in its middle, the old revision is whole."""

    def fail(*_args):
        raise ZeroDivisionError

    from alembic import command

    original = command.upgrade
    monkeypatch.setattr(command, "upgrade", lambda *args: (original(*args), fail()))
    with pytest.raises(ZeroDivisionError):
        migrate(old_database)
    assert load_revision(old_database) == "0001"
    assert "amount_usd" in columns(old_database, "ledger_entry")


OPENER = """
import sys
from blueprint_pipeline.registry.approvals import lapse_id
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.settings import RegistrySettings
sys.stdin.readline()
with open_registry(RegistrySettings(url=sys.argv[1])) as registry:
    registry.leases.acquire(sys.argv[2], "run", 60)
"""


@pytest.mark.slow
def test_parallel_processes_open_an_empty_database_once(url):
    """Three processes that find no database at the same time all end well, and it is migrated once."""
    processes = [
        subprocess.Popen([sys.executable, "-c", OPENER, url, f"lease-{index}"], stdin=subprocess.PIPE, text=True) for index in range(3)
    ]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda process: process.communicate("go\n"), processes))
    assert [process.returncode for process in processes] == [0, 0, 0]
    with open_registry(RegistrySettings(url=url)) as registry:
        assert len(registry.leases.active()) == 3


def test_sqlite_waits_and_checks(tmp_path):
    """A SQLite registry is in WAL mode, waits for a busy file and checks foreign keys."""
    with (
        open_registry(RegistrySettings(url=f"sqlite:///{tmp_path / 'r.db'}")) as registry,
        registry.database.engine.connect() as connection,
    ):
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in ("journal_mode", "busy_timeout", "foreign_keys")
        }
    assert found == {"journal_mode": "wal", "busy_timeout": 60000, "foreign_keys": 1}


def add_message(database, message_id, kind, run_id):
    """A message as revisions 0004 and 0005 keep it, held."""
    columns = "message_id, schema_version, kind, run_id, text, blocks, status, created_at, due_at, attempts"
    values = ":message_id, '1.0', :kind, :run_id, 't', '[]', 'held', '2026-11-28', '2026-11-28', 0"
    with database.engine.begin() as connection:
        statement = text(f"INSERT INTO outbox ({columns}) VALUES ({values})")
        connection.execute(statement, {"message_id": message_id, "kind": kind, "run_id": run_id})


@pytest.fixture
def database_0004(url):
    database = Database(build_engine(url))
    migrate(database, "0004")
    yield database
    database.engine.dispose()


@pytest.mark.parametrize("run_id", ["manual__1", "é" * 250])
def test_messages_of_revision_0004_are_found_by_their_new_ids(database_0004, run_id):
    """A question that waits while the version changes is not asked twice, and silence is told; down again, all is as before."""
    asked = key_of({"run": run_id, "unknown": []})[:16]
    refused = f"approval/apr_1/{key_of({'run': run_id, 'unknown': ['ep_9']})[:16]}"
    before = {f"approval/apr_1/{asked}", refused, "lapsed/apr_1"}
    add_message(database_0004, f"approval/apr_1/{asked}", "approval", run_id)
    add_message(database_0004, refused, "approval", run_id)
    add_message(database_0004, "lapsed/apr_1", "unanswered", run_id)
    after = {message_id("approval", "apr_1", run_id, ""), refused, lapse_id("apr_1")}
    for revision, expected in (("0005", after), ("0004", before), ("0005", after)):
        migrate(database_0004, revision)
        with database_0004.engine.connect() as connection:
            assert set(connection.execute(text("SELECT message_id FROM outbox")).scalars()) == expected


def test_gates_of_a_question_have_room_from_revision_0005_on(old_database):
    """A question and its audit come forward; names of gates that do not fit are cut off on the way down."""
    long, gate = "gate_, " * 40, text("SELECT gate FROM approval WHERE request_id = 'apr_0123456789ab'")
    migrate(old_database)
    with old_database.engine.begin() as connection:
        connection.execute(text("UPDATE approval SET gate = :gate WHERE request_id = 'apr_0123456789ab'"), {"gate": long})
        assert connection.execute(gate).scalar_one() == long
    for revision in ("0004", "0005"):
        migrate(old_database, revision)
        with old_database.engine.connect() as connection:
            assert connection.execute(gate).scalar_one() == long[:128]
            audit = "SELECT count(*) FROM approval_audit WHERE request_id = 'apr_0123456789ab'"
            assert connection.execute(text(audit)).scalar_one() == 2
