"""Reading for requests: connections of the drivers themselves, lent for one request at a time.

SQLAlchemy writes the statements (`db.statements`); executing them through it as well would cost a request more than its
queries do. A reader cannot write, whatever it is told to, and sends no BEGIN or ROLLBACK around its statements.
"""

import asyncio
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from math import inf
from pathlib import Path
from time import perf_counter
from typing import Any, ClassVar, TypeAlias, TypeVar
from urllib.parse import quote

import asyncpg

from db.connecting import (
    BUSY_TIMEOUT,
    CONNECT_TIMEOUT,
    CONNECTION_WAIT,
    CONNECTIONS,
    PLANS_ON_CITUS,
    POSTGRESQL,
    DatabaseFile,
    reader_settings,
    unavailable_when_out_of_reach,
)

Row: TypeAlias = Sequence[Any]
T = TypeVar("T")


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
        async def prepare(connection: Any) -> None:
            await connection.execute(PLANS_ON_CITUS)

        async def keep(_connection: Any) -> None:
            """A reader changes nothing about its connection, so there is nothing to reset, and no round trip for it."""

        return asyncpg.create_pool(
            self._url,
            min_size=0,
            max_size=CONNECTIONS,
            init=prepare,
            reset=keep,
            timeout=CONNECT_TIMEOUT,
            server_settings=self._settings,
        )

    async def close(self) -> None:
        if self._pool is not None:
            pool, self._pool = self._pool, None
            await pool.close()


# ---- SQLite ---------------------------------------------------------------------------------------------------------

_BRIEF = 0.02
"""Seconds for which a statement may keep the event loop waiting."""
_STEPS = 1_000  # of SQLite's virtual machine, between two looks at the clock
_TRY_AGAIN = (sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_BUSY)


class _SQLiteReader(Reader):
    """A connection whose statements run in the event loop's thread while they are brief, and in another when they are not.

    Most lists are read sooner than another thread is asked, which would have to get hold of the interpreter for every row.
    What is not brief, or finds the database locked, is broken off and begun again there.
    """

    engine = "sqlite"

    def __init__(self, path: Path, threads: ThreadPoolExecutor) -> None:
        uri = f"file:{quote(str(path))}?mode=rw"  # which would not create a file that is missing
        self._connection = sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False)
        self._threads = threads
        self._running: Future[Any] | None = None
        self._until = inf
        self.asking = False  # a statement has been sent, and what came of it is not known
        try:
            self._connection.execute("PRAGMA query_only = ON")
            # 8 MB instead of 2: to look for changes in a large practice takes more pages than that, again and again.
            self._connection.execute("PRAGMA cache_size = -8000")
        except BaseException:
            self._connection.close()
            raise
        self._connection.set_progress_handler(self._is_over, _STEPS)

    def _is_over(self) -> bool:
        return perf_counter() > self._until

    async def fetch(self, text: str, values: Sequence[Any]) -> Sequence[Row]:
        self.asking = True
        self._until = perf_counter() + _BRIEF
        try:
            rows = self._connection.execute(text, values).fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _TRY_AGAIN:
                raise
            rows = await self._in_thread(self._fetch_patiently, text, values)
        self.asking = False
        return rows

    def _fetch_patiently(self, text: str, values: Sequence[Any]) -> list[Row]:
        self._connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT * 1000}")
        rows: list[Row] = self._connection.execute(text, values).fetchall()
        self._connection.execute("PRAGMA busy_timeout = 0")
        return rows

    async def stream(self, text: str, values: Sequence[Any], size: int) -> AsyncGenerator[Sequence[Row]]:
        cursor = await self._in_thread(self._connection.execute, text, values)
        while rows := await self._in_thread(cursor.fetchmany, size):
            yield rows

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        self.asking = True
        self._until = inf
        self._running = self._threads.submit(work, *arguments)
        done: T = await asyncio.wrap_future(self._running)
        self.asking = False
        return done

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[None]:
        await self.fetch("BEGIN", ())
        try:
            yield
        finally:
            if not self.asking:  # or the connection is closed anyway
                await self.fetch("ROLLBACK", ())

    def close(self) -> None:
        """Break off what still runs, and close the connection when it has ended."""
        self._until = 0
        if self._running is None:
            self._connection.close()
        else:
            self._running.add_done_callback(lambda _: self._connection.close())


class _SQLiteReaders(Readers):
    def __init__(self, url: str) -> None:
        self._file = DatabaseFile(url)
        self._free = asyncio.Semaphore(CONNECTIONS)
        self._threads = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="sqlite")
        self._idle: list[_SQLiteReader] = []
        self._closed = False

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Reader]:
        with unavailable_when_out_of_reach():
            async with asyncio.timeout(CONNECTION_WAIT if self._free.locked() else None):
                await self._free.acquire()
            try:
                if self._file.is_another():
                    self._close_idle()
                file = self._file.identity
                reader = self._idle.pop() if self._idle else _SQLiteReader(self._file.path, self._threads)
                try:
                    yield reader
                finally:
                    if reader.asking or self._closed or file != self._file.identity:
                        # Something broke off, this is the end, or the file has been replaced.
                        reader.close()
                    else:
                        self._idle.append(reader)
            finally:
                self._free.release()

    async def close(self) -> None:
        self._closed = True
        self._close_idle()
        await asyncio.to_thread(self._threads.shutdown)

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()
