"""One database: SQLite in a file, or PostgreSQL. Requests read from its pool; commands write in transactions."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cached_property
from typing import Any

from sqlalchemy import event, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from db.database_url import is_postgresql, require_usable, sqlite_file
from db.errors import DatabaseNotReady, DatabaseUnavailable, unavailable_on_driver_errors
from db.limits import BUSY_TIMEOUT, SILENCE
from db.pools import STATEMENT_TIMEOUT, Connection, create_pool
from db.postgresql_servers import ServerConnection, Servers, until_silent


class Database:
    """A database that one process reads from or writes to; nothing is opened before it is used."""

    def __init__(self, url: str, *, statement_timeout: int = STATEMENT_TIMEOUT) -> None:
        """`statement_timeout` is in seconds, and bounds reading only.

        Raises:
            ValueError: when the URL is not usable.
        """
        require_usable(url)
        self._url = url
        self._pool = create_pool(url, statement_timeout=statement_timeout)

    def acquire(self) -> AbstractAsyncContextManager[Connection]:
        """Acquire a connection for reading; see `db.pools.Pool`."""
        return self._pool.acquire()

    def snapshot(self) -> AbstractAsyncContextManager[Connection]:
        """Acquire a connection for reading one state of the database; see `db.pools.Pool`."""
        return self._pool.snapshot()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Acquire a connection for writing: everything is committed at the end, or nothing when the block raises.

        Raises:
            DatabaseUnavailable: when the database cannot be reached, or stops answering meanwhile.
        """
        with unavailable_on_driver_errors():
            async with self._engine.begin() as connection, _ended_if_silent(connection):
                yield connection

    async def close(self) -> None:
        """Close every connection."""
        try:
            await self._pool.close()
        finally:
            if "_engine" in vars(self):
                await self._engine.dispose()

    @cached_property
    def _engine(self) -> AsyncEngine:
        return _postgresql(self._url) if is_postgresql(self._url) else _sqlite(self._url)


@asynccontextmanager
async def _ended_if_silent(connection: AsyncConnection) -> AsyncIterator[None]:
    """End the connection when its server is silent. Statements that write have no other limit."""
    driver: Any = (await connection.get_raw_connection()).driver_connection
    if not isinstance(driver, ServerConnection):  # SQLite has no server
        yield
        return

    async def watch() -> None:
        await asyncio.sleep(SILENCE)
        await until_silent(driver.address)
        driver.terminate()

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()


def _postgresql(url: str) -> AsyncEngine:
    # SQLAlchemy has no room for several hosts and target_session_attrs.
    return create_async_engine("postgresql+asyncpg://", async_creator=Servers(url).connect)


def _sqlite(url: str) -> AsyncEngine:
    file = sqlite_file(url)
    if make_url(url).query.get("mode", "rw") == "ro" or "immutable" in make_url(url).query:
        raise DatabaseNotReady("its URL opens the file for reading only; name another in SESSIONS_WRITER_DATABASE_URL")
    if not file.parent.is_dir():  # SQLite's own message would not say which folder
        raise DatabaseUnavailable(f"there is no folder {file.parent} for the database file {file.name}")

    def prepare(connection: Any, _entry: ConnectionPoolEntry) -> None:
        # sqlite3 would open a transaction of its own at the first INSERT, after the reads that it should protect.
        connection.isolation_level = None
        # With a write-ahead log, reading goes on during an import; 16 MB of cache write each page less often.
        try:
            for setting in ("journal_mode = WAL", "synchronous = NORMAL", "cache_size = -16000", "foreign_keys = ON"):
                connection.execute(f"PRAGMA {setting}")
        except Exception:
            connection.close()  # the pool does not know it yet, so nothing else would end its thread
            raise

    def begin(connection: Any) -> None:
        # The write lock from the first statement on: two writers wait for each other instead of failing halfway.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine = create_async_engine(
        make_url(url).set(drivername="sqlite+aiosqlite", query={}), connect_args={"timeout": BUSY_TIMEOUT}
    )
    event.listen(engine.sync_engine, "connect", prepare)
    event.listen(engine.sync_engine, "begin", begin)
    return engine
