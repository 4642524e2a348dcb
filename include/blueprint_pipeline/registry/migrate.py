"""Bring a database to the newest revision, once, whoever comes first.

PostgreSQL: an advisory lock of the session. SQLite: a lock file beside the database, because the switch to WAL mode
cannot wait inside SQLite. Each migration is one transaction: a killed one leaves the old revision whole.

Source: PostgreSQL documentation, "Advisory Locks"; Alembic cookbook, "Sharing a connection with a series of migrations".
"""

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from blueprint_pipeline.errors import ConfigurationError, InternalError
from blueprint_pipeline.registry.sessions import Database

HEAD = "0006"
"""The newest revision."""

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006")
"""All revisions, oldest first."""

_LOCK_ID = 0x626C7565
"""Of PostgreSQL's advisory locks, ours ("blue")."""


class RegistryDamaged(InternalError):
    """A migration left rows that refer to nothing."""

    code = "registry.damaged"
    template = "After the migration of {url}, rows in {tables} refer to rows that are missing; nothing was changed. Restore a backup."

    url: str
    tables: Sequence[str]


class RegistryTooNew(ConfigurationError):
    """The database was migrated by a newer version of this package."""

    code = "registry.too_new"
    template = (
        "The registry at {url} has schema revision {found}; this version knows {known}. Update blueprint_pipeline, "
        "or give it a database of its own."
    )

    url: str
    found: str
    known: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class SchemaState:
    """Where a database's schema stands."""

    url: str
    """Its password hidden."""
    revision: str | None
    """``None``: empty."""
    pending: tuple[str, ...]
    """Revisions that a migration would bring, oldest first."""


def load_schema_state(database: Database) -> SchemaState:
    """Look at a database and change nothing; a SQLite file that is missing is not made.

    Raises:
        RegistryTooNew: The database has a revision that this version does not know.
    """
    absent = database.is_sqlite and not Path(str(database.engine.url.database)).exists()
    found = None if absent else load_revision(database)
    if found is not None and found not in REVISIONS:
        raise RegistryTooNew(database.url, found, REVISIONS)
    done = 0 if found is None else REVISIONS.index(found) + 1
    return SchemaState(url=database.url, revision=found, pending=REVISIONS[done:])


def load_revision(database: Database) -> str | None:
    """The revision of a database; ``None`` of an empty one."""
    with database.read() as session:
        return _revision(session.connection())


def migrate(database: Database, revision: str = HEAD) -> None:
    """Bring the database up, or down, to ``revision``; at that revision already, nothing is done.

    Raises:
        RegistryTooNew: The database has a revision that this version does not know.
        RegistryDamaged: Rows would refer to nothing afterwards; nothing was changed.
    """
    if load_revision(database) == revision:
        return
    with _lock(database.engine):
        found = load_revision(database)
        if found is not None and found not in REVISIONS:
            raise RegistryTooNew(database.url, found, REVISIONS)
        if found != revision:
            _run(database, found, revision)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return found


def _run(database: Database, found: str | None, revision: str) -> None:
    from alembic import command  # noqa: PLC0415 -- half a second that a database at head does not need
    from alembic.config import Config  # noqa: PLC0415 -- part of the same half second

    with database.engine.execution_options(sqlite_begin="IMMEDIATE").connect() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        if database.is_sqlite:
            connection.connection.cursor().execute("PRAGMA foreign_keys=OFF")  # tables are rebuilt; outside of any transaction
        with connection.begin():
            downward = found is not None and REVISIONS.index(revision) < REVISIONS.index(found)
            (command.downgrade if downward else command.upgrade)(config, revision)
            if database.is_sqlite:
                orphans = {str(row[0]) for row in connection.exec_driver_sql("PRAGMA foreign_key_check")}
                if orphans:
                    raise RegistryDamaged(database.url, sorted(orphans))
        if database.is_sqlite:
            connection.connection.cursor().execute("PRAGMA foreign_keys=ON")


@contextmanager
def _lock(engine: Engine) -> Iterator[None]:
    if engine.dialect.name != "sqlite":
        with engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:id)"), {"id": _LOCK_ID})
            try:
                yield
            finally:
                connection.execute(text("SELECT pg_advisory_unlock(:id)"), {"id": _LOCK_ID})
        return
    path = Path(str(engine.url.database)).absolute()
    with path.with_name(f"{path.name}.lock").open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with engine.connect() as connection:
            connection.connection.cursor().execute("PRAGMA journal_mode=WAL")
        yield
