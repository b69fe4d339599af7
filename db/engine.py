"""One database, to read from or to write to: SQLite in a file, or PostgreSQL through asyncpg."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import asyncpg
from sqlalchemy import event, make_url
from sqlalchemy.pool import ConnectionPoolEntry

from db.connecting import (
    BUSY_TIMEOUT,
    CONNECT_TIMEOUT,
    CONNECTION_WAIT,
    CONNECTIONS,
    POSTGRESQL,
    SERVER_SETTINGS,
    STATEMENT_TIMEOUT,
    DatabaseFile,
    reader_settings,
    require_usable,
    unavailable_when_out_of_reach,
)
from db.readers import Reader, Readers, readers_of

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

_POOL: Mapping[str, Any] = {"pool_size": CONNECTIONS, "max_overflow": 0, "pool_timeout": CONNECTION_WAIT}


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
        self._url = url
        self._read_only = read_only
        self._statement_timeout = statement_timeout
        self._file = None if url.startswith(POSTGRESQL) else DatabaseFile(url)
        self._readers: Readers = readers_of(url, statement_timeout=statement_timeout)

    @cached_property
    def _engine(self) -> "AsyncEngine":
        # A server, which only lends readers, does without it.
        if self._file is None:
            return _postgresql(self._url, read_only=self._read_only, statement_timeout=self._statement_timeout)
        return _sqlite(self._url, read_only=self._read_only)

    def reader(self) -> AbstractAsyncContextManager[Reader]:
        """Lend a connection for what requests read, with nothing between it and the driver.

        Raises:
            DatabaseUnavailable: when the database cannot be reached, or stops answering meanwhile.
        """
        return self._readers.lend()

    @asynccontextmanager
    async def connect(self) -> AsyncIterator["AsyncConnection"]:
        """Lend a connection for reading.

        Raises:
            DatabaseUnavailable: when the database cannot be reached, or stops answering meanwhile.
        """
        with unavailable_when_out_of_reach():
            if self._file and self._file.is_another():
                await self._engine.dispose()
            async with self._engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["AsyncConnection"]:
        """Lend a connection for writing: all of it is committed at the end, or nothing when the block raises.

        Raises:
            DatabaseUnavailable: when the database cannot be reached, or stops answering meanwhile.
        """
        with unavailable_when_out_of_reach():
            if self._file:
                self._file.require_folder()
            async with self._engine.begin() as connection:
                yield connection

    async def close(self) -> None:
        """Close every connection."""
        await self._readers.close()
        if "_engine" in vars(self):
            await self._engine.dispose()


def _sqlite(url: str, *, read_only: bool) -> "AsyncEngine":
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415 - see _engine

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
        connect_args={"timeout": BUSY_TIMEOUT},
        **_POOL,
        **({"isolation_level": "AUTOCOMMIT"} if read_only else {}),
    )
    event.listen(engine.sync_engine, "connect", prepare)
    if not read_only:
        event.listen(engine.sync_engine, "begin", begin)
    return engine


def _postgresql(url: str, *, read_only: bool, statement_timeout: int) -> "AsyncEngine":
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415 - see _engine

    settings = reader_settings(statement_timeout) if read_only else SERVER_SETTINGS

    async def connect() -> asyncpg.Connection:
        # asyncpg reads the URL itself: SQLAlchemy's would have no room for several hosts and target_session_attrs.
        return await asyncpg.connect(url, timeout=CONNECT_TIMEOUT, server_settings=settings)

    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        **_POOL,
        **({"isolation_level": "AUTOCOMMIT"} if read_only else {}),
    )
