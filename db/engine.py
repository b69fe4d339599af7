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
        self._identity: tuple[int, int] | None = None
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
        # With a write-ahead log, readers go on while an import writes.
        settings = ["query_only = ON"] if self._read_only else ["journal_mode = WAL", "synchronous = NORMAL"]
        try:
            for setting in [*settings, "foreign_keys = ON"]:
                connection.execute(f"PRAGMA {setting}")
        except Exception:
            # The pool does not know the connection yet, so nobody else would end its thread.
            connection.close()
            raise

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection for reading.

        Raises:
            DatabaseUnavailable: when the database cannot be reached, or stops answering meanwhile.
        """
        with _unavailable_when_out_of_reach():
            await self._require_file()
            async with self._engine.connect() as connection:
                yield connection

    async def _require_file(self) -> None:
        """Make sure that what is open is the file of that name: SQLite would make a missing one, and go on reading one
        that has been moved away or replaced."""
        try:
            found = self._file.stat()
        except FileNotFoundError:
            raise DatabaseUnavailable(f"there is no database file {self._file}") from None
        identity = (found.st_dev, found.st_ino)
        if self._identity not in (None, identity):
            await self._engine.dispose()
        self._identity = identity

    def _require_folder(self) -> None:
        # SQLite's own words for it would not say which folder.
        if not self._file.parent.is_dir():
            raise DatabaseUnavailable(f"there is no folder {self._file.parent} for the database file {self._file.name}")

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection for writing: all of it is committed at the end, or nothing when the block raises.

        Raises:
            DatabaseUnavailable: when the database cannot be reached, or stops answering meanwhile.
        """
        with _unavailable_when_out_of_reach():
            self._require_folder()
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
