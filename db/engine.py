"""One database, to read from or to write to: SQLite in a file, or PostgreSQL through asyncpg."""

import re
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import event, exc, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from db.errors import DatabaseUnavailable

_BUSY_TIMEOUT = 5_000  # milliseconds for which SQLite waits for another writer
_CONNECT_TIMEOUT = 5  # seconds for which a server may take to accept a connection
STATEMENT_TIMEOUT = 30
"""Seconds for which a PostgreSQL server may work on one statement of a reader, unless told otherwise."""
_POOL: Mapping[str, Any] = {
    "pool_size": 10,
    "max_overflow": 0,
    "pool_timeout": 5,  # seconds for which a request waits for a free connection
}
_POSTGRESQL = ("postgresql", "postgres")
_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[^:@/?#\[\],]*)(?::[0-9]{1,5})?"
# One host or several (libpq, "Connection URIs"); what would be ambiguous in them has to be percent-encoded.
_POSTGRESQL_URL = re.compile(
    rf"postgres(?:ql)?://(?:[^:@/?#]*(?::[^:@/?#]*)?@)?{_HOST}(?:,{_HOST})*(?:/[^/?#]*)?(?:\?[^#]*)?"
)


def require_usable(url: str) -> None:
    """Make sure that a URL names a database that this program can use. Nothing is opened.

    Raises:
        ValueError: when it does not; the message says why, and never repeats the URL, which may hold a password.
    """
    scheme = url.partition(":")[0] if ":" in url else ""
    if scheme in _POSTGRESQL:
        if _POSTGRESQL_URL.fullmatch(url) is None:
            raise ValueError(
                "is not a database URL such as postgresql://user@host:5432/database;"
                " write an @ in a password as %40, a : as %3A, and so on"
            )
        return
    if not scheme:
        raise ValueError("is not a database URL such as sqlite:///sessions.sqlite3 or postgresql://user@host/database")
    if scheme != "sqlite":
        raise ValueError(f"names the database {scheme}; this program runs on sqlite:///… and postgresql://…")
    try:
        file = make_url(url).database
    except (exc.ArgumentError, ValueError):
        raise ValueError("is not a database URL such as sqlite:///sessions.sqlite3") from None
    if file in (None, "", ":memory:"):
        raise ValueError("must name a file, such as sqlite:///sessions.sqlite3: every connection sees its own :memory:")


class Database:
    """A database that one process reads from, or writes to.

    A reader cannot write, whatever it is told to, and sends no BEGIN or ROLLBACK around its statements. A writer works in
    transactions.
    """

    def __init__(self, url: str, *, read_only: bool, statement_timeout: int = STATEMENT_TIMEOUT) -> None:
        """Prepare the engine; nothing is opened before it is used.

        Raises:
            ValueError: when the URL is not usable.
        """
        require_usable(url)
        if url.startswith(_POSTGRESQL):
            self._file = None
            self._engine = _postgresql(url, read_only=read_only, statement_timeout=statement_timeout)
        else:
            self._file = _File(Path(str(make_url(url).database)))
            self._engine = _sqlite(url, read_only=read_only)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection for reading.

        Raises:
            DatabaseUnavailable: when the database cannot be reached, or stops answering meanwhile.
        """
        with _unavailable_when_out_of_reach():
            if self._file and self._file.is_another():
                await self._engine.dispose()
            async with self._engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection for reading part by part from one state of the database: in a transaction, as cursors need it.

        Raises:
            DatabaseUnavailable: when the database cannot be reached, or stops answering meanwhile.
        """
        async with self.connect() as connection:
            yield await connection.execution_options(isolation_level="SERIALIZABLE")

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection for writing: all of it is committed at the end, or nothing when the block raises.

        Raises:
            DatabaseUnavailable: when the database cannot be reached, or stops answering meanwhile.
        """
        with _unavailable_when_out_of_reach():
            if self._file:
                self._file.require_folder()
            async with self._engine.begin() as connection:
                yield connection

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()


# ---- SQLite ---------------------------------------------------------------------------------------------------------


class _File:
    """The file of an SQLite database, which may go away or be replaced while it is open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity: tuple[int, int] | None = None

    def is_another(self) -> bool:
        """Whether another file has taken the place of the one that was open.

        SQLite would go on reading the one that was moved away, and create one that is missing.
        """
        try:
            found = self._path.stat()
        except FileNotFoundError:
            raise DatabaseUnavailable(f"there is no database file {self._path}") from None
        before, self._identity = self._identity, (found.st_dev, found.st_ino)
        return before not in (None, self._identity)

    def require_folder(self) -> None:
        # SQLite's own words for it would not say which folder.
        if not self._path.parent.is_dir():
            raise DatabaseUnavailable(f"there is no folder {self._path.parent} for the database file {self._path.name}")


def _sqlite(url: str, *, read_only: bool) -> AsyncEngine:
    # With a write-ahead log, readers go on while an import writes; with 16 MB of cache it writes each page less often.
    writing = ["journal_mode = WAL", "synchronous = NORMAL", "cache_size = -16000"]
    settings = ["query_only = ON"] if read_only else writing

    def prepare(connection: Any, _entry: ConnectionPoolEntry) -> None:
        if not read_only:
            # sqlite3 would open a transaction of its own at the first INSERT, after the reads it should protect.
            connection.isolation_level = None
        try:
            for setting in [*settings, "foreign_keys = ON"]:
                connection.execute(f"PRAGMA {setting}")
        except Exception:
            # The pool does not know the connection yet, so nobody else would end its thread.
            connection.close()
            raise

    def begin(connection: Any) -> None:
        # The write lock from the first statement on: two writers wait for each other instead of failing halfway.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine = create_async_engine(
        make_url(url).set(drivername="sqlite+aiosqlite"),
        connect_args={"timeout": _BUSY_TIMEOUT / 1000},
        **_POOL,
        **({"isolation_level": "AUTOCOMMIT"} if read_only else {}),
    )
    event.listen(engine.sync_engine, "connect", prepare)
    if not read_only:
        event.listen(engine.sync_engine, "begin", begin)
    return engine


# ---- PostgreSQL -----------------------------------------------------------------------------------------------------


def _postgresql(url: str, *, read_only: bool, statement_timeout: int) -> AsyncEngine:
    settings = {"application_name": "sessions-api"}
    if read_only:
        settings |= {"default_transaction_read_only": "on", "statement_timeout": f"{statement_timeout}s"}

    async def connect() -> asyncpg.Connection:
        # asyncpg reads the URL itself: SQLAlchemy's would have no room for several hosts and target_session_attrs.
        return await asyncpg.connect(url, timeout=_CONNECT_TIMEOUT, server_settings=settings)

    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        **_POOL,
        **({"isolation_level": "AUTOCOMMIT"} if read_only else {}),
    )


_UNAVAILABLE = ("08", "53", "57", "58", "XX", "25006")
"""SQLSTATEs, or their classes, which say that there is no answer to be had now: connection exceptions, insufficient
resources, operator intervention (statement timeout, shutdown), system errors, and a server that has become read-only
(PostgreSQL documentation, appendix A)."""


class _unavailable_when_out_of_reach:  # noqa: N801 - reads as a statement where it is used
    """Turn a driver's word that there is no answer to be had into `DatabaseUnavailable`; let our own mistakes through."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _traceback: object) -> None:
        if error is not None and _is_out_of_reach(error):
            raise DatabaseUnavailable(str(getattr(error, "orig", None) or error) or type(error).__name__) from error


def _is_out_of_reach(error: BaseException) -> bool:
    match error:
        case exc.OperationalError() | exc.InterfaceError() | exc.TimeoutError() | OSError() | TimeoutError():
            return True
        case exc.DBAPIError():
            state = str(getattr(error.orig, "sqlstate", None) or "")
            # A damaged SQLite file is a plain DatabaseError; its subclasses are wrong statements or refused rows.
            return (
                error.connection_invalidated or state.startswith(_UNAVAILABLE) or type(error.orig) is sqlite3.DatabaseError
            )
        case asyncpg.PostgresError():  # while connecting
            return True
        case _:
            return False
