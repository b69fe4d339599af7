"""One database: SQLite in a file, or PostgreSQL. Requests read from its pool; commands write in transactions."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import cached_property
from typing import Any

from sqlalchemy import URL, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from db import postgresql_url
from db.errors import DatabaseNotReady, DatabaseUnavailable, unavailable_on_driver_errors
from db.limits import BUSY_TIMEOUT, STATEMENT_TIMEOUT
from db.pools import Connection, Pool
from db.postgresql import PostgreSQLReader
from db.postgresql_servers import ServerConnection, Servers
from db.sqlite import SQLiteFile, SQLiteReader


def require_usable(url: str) -> None:
    """Make sure that a URL names a database that this program can use. Nothing is opened.

    Raises:
        ValueError: when it does not; the message says why, and never repeats the URL, which may hold a password.
    """
    if is_postgresql(url):
        postgresql_url.parse(url)
    elif url.startswith("sqlite:"):
        SQLiteFile(url)
    else:
        raise ValueError("is not a database URL such as sqlite:///sessions.sqlite3 or postgresql://user@host/database")


class Database:
    """A database that one process reads from or writes to; nothing is opened before it is used."""

    def __init__(self, url: str, *, statement_timeout: int = STATEMENT_TIMEOUT) -> None:
        """`statement_timeout` is in seconds, and bounds reading only.

        Raises:
            ValueError: when the URL is not usable.
        """
        require_usable(url)
        self._url = url
        reader = (PostgreSQLReader if is_postgresql(url) else SQLiteReader)(url, statement_timeout)
        self._pool = Pool(reader.connect)

    def acquire(self) -> AbstractAsyncContextManager[Connection]:
        """Acquire a connection for reading; see `db.pools.Pool`."""
        return self._pool.acquire()

    def snapshot(self) -> AbstractAsyncContextManager[Connection]:
        """Acquire a connection for reading one state of the database; see `db.pools.Pool`."""
        return self._pool.snapshot()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Acquire a connection for writing: everything is committed at the end, or nothing when the block raises.

        Statements may take as long as they need, while the server gives signs of life.

        Raises:
            DatabaseUnavailable: when the database cannot be reached, or the connection is lost meanwhile.
        """
        with unavailable_on_driver_errors():
            async with self._engine.begin() as connection:
                driver: Any = (await connection.get_raw_connection()).driver_connection
                async with driver.ended_if_silent() if isinstance(driver, ServerConnection) else nullcontext():
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
        if not is_postgresql(self._url):
            return _sqlite(SQLiteFile(self._url))
        # SQLAlchemy has no room for several hosts and target_session_attrs.
        return create_async_engine("postgresql+asyncpg://", async_creator=Servers(self._url).connect)


def is_postgresql(url: str) -> bool:
    return url.startswith(("postgresql:", "postgres:"))


def _sqlite(file: SQLiteFile) -> AsyncEngine:
    if file.is_read_only:
        raise DatabaseNotReady("its URL opens the file for reading only; name another in SESSIONS_WRITER_DATABASE_URL")
    if not file.path.parent.is_dir():  # SQLite's own message would not say which folder
        raise DatabaseUnavailable(f"there is no folder {file.path.parent} for the database file {file.path.name}")

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

    url = URL.create("sqlite+aiosqlite", database=str(file.path))
    engine = create_async_engine(url, connect_args={"timeout": BUSY_TIMEOUT})
    event.listen(engine.sync_engine, "connect", prepare)
    event.listen(engine.sync_engine, "begin", begin)
    return engine
