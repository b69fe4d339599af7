"""Connections for reading: some for ordinary requests and some for long lists, on either engine.

SQLAlchemy would cost a request more than its statements do, so these are the drivers' own connections. They cannot write,
whatever they execute.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeAlias

from db.errors import DatabaseUnavailable, TooManySnapshots, unavailable_on_driver_errors
from db.limits import CONNECTION_WAIT, CONNECTIONS, SNAPSHOTS

Row: TypeAlias = Sequence[Any]


class Connection(Protocol):
    """One connection."""

    engine: str
    """Of the database: `sqlite` or `postgresql`."""
    begin: str
    """The statement that begins a transaction in which all others see the same state."""

    async def fetch(self, text: str, parameters: Sequence[Any]) -> Sequence[Row]:
        """All rows of a statement."""

    def is_usable(self) -> bool:
        """Whether its last statement ended without an error, and another one can follow."""

    async def close(self) -> None:
        """Cancel a statement that is still running, and close the connection. Raises nothing."""


class Pool:
    """The connections of one process to one database. Each is opened when it is needed, and used again."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]]) -> None:
        self._connect = connect
        self._ordinary = asyncio.Semaphore(CONNECTIONS)
        self._snapshots = asyncio.Semaphore(SNAPSHOTS)
        self._idle: list[Connection] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._is_closed = False

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Connection]:
        """Acquire a connection; each statement sees what is committed by then.

        Raises:
            DatabaseUnavailable: when no connection can be had in time, or the database stops responding meanwhile.
        """
        if self._ordinary.locked():
            await self._wait()
        else:
            await self._ordinary.acquire()
        try:
            async with self._connection() as connection:
                yield connection
        finally:
            self._ordinary.release()

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        """Acquire a connection whose statements all see the same state, from connections reserved for this.

        Raises:
            TooManySnapshots: when all of them are in use.
            DatabaseUnavailable: as above.
        """
        if self._snapshots.locked():
            raise TooManySnapshots
        async with self._snapshots, self._connection() as connection:
            await connection.fetch(connection.begin, ())
            try:
                yield connection
            finally:
                if connection.is_usable():
                    await connection.fetch("ROLLBACK", ())

    async def close(self) -> None:
        """Close every connection. `acquire` and `snapshot` raise from now on."""
        self._is_closed = True
        self._close_idle()
        await asyncio.gather(*self._closing)

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(CONNECTION_WAIT):
                await self._ordinary.acquire()
        except TimeoutError:
            raise DatabaseUnavailable(f"no connection was free within {CONNECTION_WAIT} s") from None

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        if self._is_closed:
            raise DatabaseUnavailable("the connections have been closed")
        with unavailable_on_driver_errors():
            connection = await self._take()
            try:
                yield connection
            except TimeoutError as error:
                self._close_idle()  # their server is silent, too
                raise DatabaseUnavailable("the database did not respond in time") from error
            finally:
                if connection.is_usable() and not self._is_closed:
                    self._idle.append(connection)
                else:
                    self._close_in_background(connection)

    async def _take(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable():
                return connection
            self._close_in_background(connection)  # the server has closed it
        return await self._connect()

    def _close_idle(self) -> None:
        while self._idle:
            self._close_in_background(self._idle.pop())

    def _close_in_background(self, connection: Connection) -> None:
        """Close a connection without making a request wait for a server that may be silent."""
        task = asyncio.create_task(connection.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
