"""Reading for requests: connections of the drivers themselves, lent for one request at a time.

SQLAlchemy writes the statements (`db.statements`); executing them through it as well would cost a request more than its
queries do. A reader cannot write, whatever it is told to, and sends no BEGIN or ROLLBACK around its statements.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, ClassVar, TypeAlias
from urllib.parse import quote

import aiosqlite
import asyncpg

from db.connecting import (
    BUSY_TIMEOUT,
    CONNECT_TIMEOUT,
    CONNECTION_WAIT,
    CONNECTIONS,
    POSTGRESQL,
    DatabaseFile,
    reader_settings,
    unavailable_when_out_of_reach,
)

Row: TypeAlias = Sequence[Any]


class Reader(ABC):
    """One connection, lent for reading."""

    engine: ClassVar[str]
    """Of the database: `sqlite` or `postgresql`."""

    @abstractmethod
    async def fetch(self, text: str, values: Sequence[Any]) -> Sequence[Row]:
        """All rows of a statement."""

    @abstractmethod
    def stream(self, text: str, values: Sequence[Any], size: int) -> AsyncGenerator[Sequence[Row]]:
        """The rows of a statement, `size` at a time; only inside a `snapshot`."""

    @abstractmethod
    def snapshot(self) -> AbstractAsyncContextManager[None]:
        """All statements inside see one state of the database: a transaction."""


class Readers(ABC):
    """The readers of one database that a process has."""

    @abstractmethod
    def lend(self) -> AbstractAsyncContextManager[Reader]:
        """Lend a reader.

        Raises:
            DatabaseUnavailable: when the database cannot be reached, or stops answering meanwhile.
        """

    @abstractmethod
    async def close(self) -> None:
        """Close every connection."""


def readers_of(url: str, *, statement_timeout: int) -> Readers:
    """The readers of the database with this usable URL; nothing is opened before it is used."""
    return _PostgreSQLReaders(url, statement_timeout) if url.startswith(POSTGRESQL) else _SQLiteReaders(url)


# ---- PostgreSQL -----------------------------------------------------------------------------------------------------


class _PostgreSQLReader(Reader):
    engine = "postgresql"

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def fetch(self, text: str, values: Sequence[Any]) -> Sequence[Row]:
        rows: Sequence[Row] = await self._connection.fetch(text, *values)
        return rows

    async def stream(self, text: str, values: Sequence[Any], size: int) -> AsyncGenerator[Sequence[Row]]:
        cursor = await self._connection.cursor(text, *values)
        while rows := await cursor.fetch(size):
            yield rows

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[None]:
        async with self._connection.transaction(isolation="repeatable_read", readonly=True):
            yield


class _PostgreSQLReaders(Readers):
    def __init__(self, url: str, statement_timeout: int) -> None:
        self._url = url
        self._settings = reader_settings(statement_timeout)
        self._pool: Any = None

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Reader]:
        with unavailable_when_out_of_reach():
            if self._pool is None:  # it belongs to the event loop that it is made in
                self._pool = self._make_pool()
                await self._pool
            async with self._pool.acquire(timeout=CONNECTION_WAIT) as connection:
                yield _PostgreSQLReader(connection)

    def _make_pool(self) -> Any:
        async def keep(_connection: Any) -> None:
            """A reader changes nothing about its connection, so there is nothing to reset, and no round trip for it."""

        return asyncpg.create_pool(
            self._url,
            min_size=0,
            max_size=CONNECTIONS,
            reset=keep,
            timeout=CONNECT_TIMEOUT,
            server_settings=self._settings,
        )

    async def close(self) -> None:
        if self._pool is not None:
            pool, self._pool = self._pool, None
            await pool.close()


# ---- SQLite ---------------------------------------------------------------------------------------------------------


class _SQLiteReader(Reader):
    engine = "sqlite"

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self.connection = connection
        self.asking = False  # a statement has been sent, and what came of it is not known

    async def fetch(self, text: str, values: Sequence[Any]) -> Sequence[Row]:
        self.asking = True
        rows = await self.connection.execute_fetchall(text, values)
        self.asking = False
        return rows  # type: ignore[return-value] # it promises an Iterable and gives a list

    async def stream(self, text: str, values: Sequence[Any], size: int) -> AsyncGenerator[Sequence[Row]]:
        self.asking = True
        async with self.connection.execute(text, values) as cursor:
            while rows := list(await cursor.fetchmany(size)):
                yield rows
        self.asking = False

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[None]:
        await self.fetch("BEGIN", ())
        try:
            yield
        finally:
            if not self.asking:  # or the connection is closed anyway
                await self.fetch("ROLLBACK", ())


class _SQLiteReaders(Readers):
    """Every connection is a thread, which reads while the event loop goes on."""

    def __init__(self, url: str) -> None:
        self._file = DatabaseFile(url)
        self._free = asyncio.Semaphore(CONNECTIONS)
        self._idle: list[aiosqlite.Connection] = []
        self._closed = False

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Reader]:
        with unavailable_when_out_of_reach():
            async with asyncio.timeout(CONNECTION_WAIT):
                await self._free.acquire()
            try:
                if self._file.is_another():
                    await self._close_idle()
                file = self._file.identity
                reader = _SQLiteReader(self._idle.pop() if self._idle else await self._open())
                try:
                    yield reader
                finally:
                    if reader.asking or self._closed or file != self._file.identity:
                        # Something broke off, this is the end, or the file has been replaced.
                        await reader.connection.interrupt()
                        await reader.connection.close()
                    else:
                        self._idle.append(reader.connection)
            finally:
                self._free.release()

    async def _open(self) -> aiosqlite.Connection:
        uri = f"file:{quote(str(self._file.path))}?mode=rw"  # which would not create a file that is missing
        connection = await aiosqlite.connect(uri, uri=True, timeout=BUSY_TIMEOUT, isolation_level=None)
        try:
            await connection.execute_fetchall("PRAGMA query_only = ON")
        except BaseException:
            await connection.close()
            raise
        return connection

    async def close(self) -> None:
        self._closed = True
        await self._close_idle()

    async def _close_idle(self) -> None:
        while self._idle:
            await self._idle.pop().close()
