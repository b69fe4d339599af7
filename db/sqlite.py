"""Reading from SQLite, through aiosqlite: each connection has a thread, and each statement a time limit."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any

import aiosqlite

from db.database_url import sqlite_file, sqlite_uri
from db.errors import DatabaseUnavailable, TooManySnapshots, unavailable_on_driver_errors
from db.limits import BUSY_TIMEOUT, CONNECTION_WAIT, CONNECTIONS, SNAPSHOTS

_STEPS_BETWEEN_CHECKS = 10_000  # of SQLite's virtual machine, about a millisecond


class SQLiteConnection:
    """One connection, with a thread of its own."""

    engine = "sqlite"

    def __init__(self, connection: aiosqlite.Connection, statement_timeout: int) -> None:
        self._connection = connection
        self._statement_timeout = statement_timeout
        self._deadline = 0.0
        self.is_busy = False
        """A statement has been sent, and its end has not been seen: the connection cannot be used again."""

    async def prepare(self) -> None:
        await self._connection.set_progress_handler(self._is_late, _STEPS_BETWEEN_CHECKS)
        # 8 MB of pages instead of 2: lists of recent changes read more than that, again and again.
        for setting in ("query_only = ON", "cache_size = -8000"):
            await self.fetch(f"PRAGMA {setting}", ())

    async def fetch(self, text: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]:
        self._deadline = perf_counter() + self._statement_timeout
        self.is_busy = True
        rows = await self._connection.execute_fetchall(text, parameters)
        self.is_busy = False
        return list(rows)

    def _is_late(self) -> bool:
        return perf_counter() > self._deadline

    async def close(self) -> None:
        self._deadline = 0.0  # ends a statement that is still running
        await self._connection.close()


class SQLitePool:
    """The connections of one process to an SQLite file."""

    def __init__(self, url: str, statement_timeout: int) -> None:
        self._file = sqlite_file(url)
        self._uri = sqlite_uri(url)
        self._statement_timeout = statement_timeout
        self._idle: list[SQLiteConnection] = []
        self._identity: tuple[int, int] | None = None
        self._ordinary = asyncio.Semaphore(CONNECTIONS)
        self._snapshots = asyncio.Semaphore(SNAPSHOTS)
        self._closed = False

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[SQLiteConnection]:
        with unavailable_on_driver_errors():
            async with asyncio.timeout(CONNECTION_WAIT):
                await self._ordinary.acquire()
            try:
                async with self._connection() as connection:
                    yield connection
            finally:
                self._ordinary.release()

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[SQLiteConnection]:
        if self._snapshots.locked():
            raise TooManySnapshots
        async with self._snapshots:
            with unavailable_on_driver_errors():
                async with self._connection() as connection:
                    await connection.fetch("BEGIN", ())
                    try:
                        yield connection
                    finally:
                        if not connection.is_busy:
                            await connection.fetch("ROLLBACK", ())

    async def close(self) -> None:
        self._closed = True
        await self._close_idle()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[SQLiteConnection]:
        if self._closed:
            raise DatabaseUnavailable("the connections have been closed")
        await self._reopen_if_replaced()
        identity = self._identity
        connection = self._idle.pop() if self._idle else await self._connect()
        try:
            yield connection
        finally:
            if self._can_reuse(connection, identity):
                self._idle.append(connection)
            else:
                await connection.close()

    def _can_reuse(self, connection: SQLiteConnection, identity: tuple[int, int] | None) -> bool:
        return not connection.is_busy and not self._closed and identity == self._identity

    async def _connect(self) -> SQLiteConnection:
        opened = await aiosqlite.connect(self._uri, uri=True, timeout=BUSY_TIMEOUT, isolation_level=None)
        connection = SQLiteConnection(opened, self._statement_timeout)
        try:
            await connection.prepare()
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _reopen_if_replaced(self) -> None:
        """Notice that another file stands in the place of the one that was open, which SQLite would go on reading."""
        try:
            found = self._file.stat()
        except FileNotFoundError:
            raise DatabaseUnavailable(f"there is no database file {self._file}") from None
        identity = (found.st_dev, found.st_ino)
        if identity != self._identity:
            self._identity = identity
            await self._close_idle()

    async def _close_idle(self) -> None:
        while self._idle:
            await self._idle.pop().close()
