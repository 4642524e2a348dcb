"""The engine and its sessions: SQLite embedded, PostgreSQL in production, one behaviour.

SQLite runs in WAL mode, waits for a busy file, checks foreign keys, and a writing session takes the write lock at
its beginning (``BEGIN IMMEDIATE``): a session that reads first and writes later would otherwise fail at once with
"database is locked", whatever the timeout.

Source: SQLite documentation, "Write-Ahead Logging" and "BEGIN TRANSACTION"; SQLAlchemy documentation, "pysqlite:
Serializable isolation / Savepoints / Transactional DDL".
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from blueprint_pipeline.errors import ConfigurationError, IntegrityError, MissingPartError, TransientError
from blueprint_pipeline.registry.tables import Base

BUSY_TIMEOUT_S = 60.0
"""How long a session waits for SQLite's write lock, or for a free connection [s]."""

CONNECT_TIMEOUT_S = 10.0
"""How long a server may take to accept a connection [s]."""

Clock = Callable[[], datetime]


class RegistryUnreadable(IntegrityError):
    """The file is not a database, or is damaged."""

    code = "registry.unreadable"
    template = "The registry at {url} cannot be read: {reason}. Restore a backup or move the file."

    url: str
    reason: str


class RegistryDriverMissing(MissingPartError):
    """The Python driver of the database is not installed."""

    code = "registry.driver_missing"
    template = "The registry at {url} needs the Python package '{module}', which is not installed. Install it."

    url: str
    module: str


class RegistryUrlInvalid(ConfigurationError):
    """The database URL cannot be used."""

    code = "registry.url_invalid"
    template = (
        "BPP__REGISTRY__URL={url} cannot be used: {reason}. Expected sqlite:///path/to/file.db or postgresql+psycopg2://user@host/database."
    )

    url: str
    reason: str


class RegistryUnavailable(TransientError):
    """The database does not answer, or is busy for longer than we wait."""

    code = "registry.unavailable"
    template = "The registry at {url} did not answer: {reason}. Check that the database runs, then try again."

    url: str
    reason: str


class Database:
    """Sessions on one database.

    Args:
        engine: From :func:`build_engine`.
        clock: Gives the time [UTC]; ``None``: PostgreSQL's own clock, so that machines whose clocks differ agree, or
            this machine's clock with SQLite, whose processes all run on one machine.
    """

    def __init__(self, engine: Engine, clock: Clock | None = None) -> None:
        self.engine = engine
        self._writing = engine.execution_options(sqlite_begin="IMMEDIATE")
        self._clock = clock
        self._joined = threading.local()

    @property
    def url(self) -> str:
        """The URL, its password hidden."""
        return self.engine.url.render_as_string(hide_password=True)

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    def now(self, session: Session) -> datetime:
        """The time that leases and decisions are judged by."""
        if self._clock is not None:
            return self._clock()
        if self.is_sqlite:
            return datetime.now(UTC)
        found: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
        return found.astimezone(UTC)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session to read in.

        Raises:
            RegistryUnavailable: The database does not answer.
        """
        joined = self._together()
        if joined is not None:
            yield joined
            return
        with self._translated(), Session(self.engine) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session to write in: all of it is committed, or nothing.

        Raises:
            RegistryUnavailable: The database does not answer, or its write lock was not free in time.
        """
        joined = self._together()
        if joined is not None:
            yield joined
            joined.flush()
            joined.expire_all()
            return
        with self._translated(), Session(self._writing) as session, session.begin():
            yield session

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make one transaction of all that this thread reads and writes in the block: all of it is committed, or nothing.

        Raises:
            RegistryUnavailable: The database does not answer, or its write lock was not free in time.
        """
        before = self._together()
        with self.write() as session:
            self._joined.session = session
            try:
                yield
            finally:
                self._joined.session = before

    def _together(self) -> Session | None:
        """The session of the block of :meth:`together` that this thread is in."""
        found: Session | None = getattr(self._joined, "session", None)
        return found

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OperationalError as error:
            raise RegistryUnavailable(self.url, str(error.orig)) from error
        except PoolTimeout as error:
            raise RegistryUnavailable(self.url, "all connections of this process are in use") from error
        except DatabaseError as error:
            if error.connection_invalidated:
                raise RegistryUnavailable(self.url, str(error.orig)) from error
            if type(error.orig) is sqlite3.DatabaseError:  # its subclasses mean other things
                raise RegistryUnreadable(self.url, str(error.orig)) from error
            raise


def build_engine(url: str, wait_s: float = BUSY_TIMEOUT_S) -> Engine:
    """An engine for ``url``; a SQLite file's folder is made.

    Args:
        url: Of a SQLite file or a PostgreSQL database.
        wait_s: How long a session waits for a busy database [s].

    Raises:
        RegistryUrlInvalid: The URL is not one of a SQLite file or a PostgreSQL database, or the file's folder cannot be made.
        RegistryDriverMissing: The driver that the URL names is not installed.
    """
    try:
        parsed = make_url(url)
        name = parsed.get_backend_name()
        if name not in {"sqlite", "postgresql"}:
            raise RegistryUrlInvalid(parsed.render_as_string(hide_password=True), f"'{name}' is not supported")
        if name == "postgresql":
            return create_engine(parsed, pool_pre_ping=True, pool_timeout=wait_s, connect_args=_server_timeouts(parsed, wait_s))
        if not parsed.database or parsed.database == ":memory:":
            raise RegistryUrlInvalid(url, "a database in memory is forgotten with its process")
        _make_folder(Path(parsed.database).absolute().parent, url)
        engine = create_engine(parsed, connect_args={"timeout": wait_s, "check_same_thread": False}, pool_timeout=wait_s)
    except (ArgumentError, NoSuchModuleError) as error:
        raise RegistryUrlInvalid(url.split("://", maxsplit=1)[0] + "://...", str(error).split("\n", maxsplit=1)[0]) from error
    except ModuleNotFoundError as error:
        raise RegistryDriverMissing(make_url(url).render_as_string(hide_password=True), error.name or "the driver") from error
    event.listen(engine, "connect", partial(_prepare_sqlite, wait_s))
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _server_timeouts(url: URL, wait_s: float) -> dict[str, str]:
    """Bounds for a server that does not answer, whose connection is not refused either; the URL's own go before.

    Without them a renewal of a lease waits for as long as the kernel does, a quarter of an hour or forever.

    Source: PostgreSQL documentation, libpq, "Parameter Key Words"; 1 s = 1000 ms for ``tcp_user_timeout``.
    """
    if url.get_driver_name() not in {"psycopg2", "psycopg"}:
        return {}  # these two are libpq's; others have their own words
    connect_s = min(CONNECT_TIMEOUT_S, wait_s)
    ours = {"connect_timeout": str(int(connect_s)), "tcp_user_timeout": str(int(wait_s * 1000)), "keepalives_idle": "30"}
    return {name: value for name, value in ours.items() if name not in url.query}


def dialect_insert(session: Session, table: type[Base]) -> sqlite.Insert | postgresql.Insert:
    """``INSERT`` with ``ON CONFLICT``, in the words of the session's database."""
    return sqlite.insert(table) if session.get_bind().dialect.name == "sqlite" else postgresql.insert(table)


def _make_folder(folder: Path, url: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RegistryUrlInvalid(url, f"the folder {folder} cannot be made ({error.strerror})") from error


def _prepare_sqlite(wait_s: float, connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
    del entry
    connection.isolation_level = None  # pysqlite then begins nothing by itself; _begin_sqlite does
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={int(wait_s * 1000)}")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('sqlite_begin', 'DEFERRED')}")
