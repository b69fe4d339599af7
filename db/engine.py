"""One database, to read from or to write to."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event, exc, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from db.errors import DatabaseUnavailable

_BUSY_TIMEOUT = 5_000  # milliseconds for which SQLite waits for another writer
_POOL_SIZE = 10
_POOL_TIMEOUT = 5  # seconds for which a request waits for a free connection


def async_url(url: str) -> str:
    """Name the async driver in a database URL: `sqlite:///file.db` → `sqlite+aiosqlite:///file.db`.

    Raises:
        ValueError: when the URL is not one of a database that this program can use; the message says why.
    """
    try:
        parsed = make_url(url)
    except exc.ArgumentError:
        raise ValueError("is not a database URL such as sqlite:///sessions.sqlite3") from None
    if parsed.drivername not in ("sqlite", "sqlite+aiosqlite"):
        raise ValueError(f"names the database {parsed.drivername}, but this version runs on sqlite:///…")
    if parsed.database in (None, "", ":memory:"):
        raise ValueError("must name a file, such as sqlite:///sessions.sqlite3: every connection sees its own :memory:")
    return parsed.set(drivername="sqlite+aiosqlite").render_as_string(hide_password=False)


class Database:
    """A database that one process reads from, or writes to.

    A reader cannot write, whatever it is told to, and sends no BEGIN or ROLLBACK around its statements. A writer works in
    transactions that hold the write lock from the first statement on, so that two writers wait for each other instead of
    failing halfway.
    """

    def __init__(self, url: str, *, read_only: bool) -> None:
        """Prepare the engine; nothing is opened before it is used.

        Raises:
            ValueError: when the URL is not usable.
        """
        self.url = async_url(url)
        self._file = Path(str(make_url(self.url).database))
        self._read_only = read_only
        self._engine = create_async_engine(
            self.url,
            pool_size=_POOL_SIZE,
            max_overflow=0,
            pool_timeout=_POOL_TIMEOUT,
            connect_args={"timeout": _BUSY_TIMEOUT / 1000},
            **({"isolation_level": "AUTOCOMMIT"} if read_only else {}),
        )
        event.listen(self._engine.sync_engine, "connect", self._prepare)
        if not read_only:
            event.listen(self._engine.sync_engine, "begin", _begin_immediate)

    def _prepare(self, connection: Any, _entry: ConnectionPoolEntry) -> None:
        if not self._read_only:
            # sqlite3 would open a transaction of its own at the first INSERT, after the reads it should protect.
            connection.isolation_level = None
        cursor = connection.cursor()
        if self._read_only:
            cursor.execute("PRAGMA query_only = ON")
        else:
            # With a write-ahead log, readers go on while an import writes.
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection for reading.

        Raises:
            DatabaseUnavailable: when the database cannot be reached, or stops answering meanwhile.
        """
        with _unavailable_when_out_of_reach():
            # SQLite would create a missing file, and answer from an empty database.
            if self._read_only and not self._file.exists():
                raise DatabaseUnavailable(f"there is no database file {self._file}")
            async with self._engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection for writing: all of it is committed at the end, or nothing when the block raises.

        Raises:
            DatabaseUnavailable: when the database cannot be reached, or stops answering meanwhile.
        """
        with _unavailable_when_out_of_reach():
            async with self._engine.begin() as connection:
                yield connection

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()


def _begin_immediate(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


class _unavailable_when_out_of_reach:  # noqa: N801 - reads as a statement where it is used
    """Turn a driver's word that there is no answer to be had into `DatabaseUnavailable`; let our own mistakes through."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, (exc.OperationalError, exc.InterfaceError, exc.TimeoutError, OSError, TimeoutError)) or (
            # A damaged file is a plain DatabaseError; its subclasses are statements that are wrong or rows that are refused.
            isinstance(error, exc.DBAPIError) and type(error.orig) is sqlite3.DatabaseError
        ):
            raise DatabaseUnavailable(str(getattr(error, "orig", None) or error)) from error
