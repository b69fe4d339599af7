"""Reading from SQLite: in the event loop while a statement is short, and in a thread when it is not."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from time import perf_counter
from typing import Any

from db.database_url import sqlite_file, sqlite_uri
from db.errors import DatabaseNotReady, DatabaseUnavailable, TooManySnapshots, unavailable_on_driver_errors
from db.limits import BUSY_TIMEOUT, CONNECTION_WAIT, CONNECTIONS, SNAPSHOTS

_MAX_SECONDS_IN_LOOP = 0.02
"""Most lists take a few milliseconds. A thread, which waits for the interpreter at each row, would take twice as long."""
_STEPS_BETWEEN_CHECKS = 1_000  # of SQLite's virtual machine
_FOLDER_IS_READ_ONLY = (
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY_CANTINIT,
    sqlite3.SQLITE_READONLY_DIRECTORY,
    sqlite3.SQLITE_READONLY_RECOVERY,
)
_TRY_IN_THREAD = (sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_BUSY)


class SQLiteConnection:
    """One connection. A statement that is not short, or finds the file locked, is executed again in a thread."""

    engine = "sqlite"

    def __init__(self, uri: str, statement_timeout: int, threads: ThreadPoolExecutor) -> None:
        self._connection = sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False)
        self._statement_timeout = statement_timeout
        self._threads = threads
        self._deadline = float("inf")
        self._running: Future[Any] | None = None
        self._is_closed = False
        self._connection.set_progress_handler(self._must_end, _STEPS_BETWEEN_CHECKS)

    async def prepare(self) -> None:
        # 8 MB of pages instead of 2: lists of recent changes read more than that, again and again.
        for setting in ("query_only = ON", "cache_size = -8000"):
            await self.fetch(f"PRAGMA {setting}", ())

    @property
    def is_busy(self) -> bool:
        """A thread is still executing a statement, for which nobody waits any more."""
        return self._running is not None and not self._running.done()

    async def fetch(self, text: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]:
        try:
            return self._execute(text, parameters, _MAX_SECONDS_IN_LOOP)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _TRY_IN_THREAD:
                raise
        self._running = self._threads.submit(self._execute_patiently, text, parameters)
        return await asyncio.wrap_future(self._running)

    def _must_end(self) -> bool:
        return self._is_closed or perf_counter() > self._deadline

    def _execute(self, text: str, parameters: Sequence[Any], seconds: float) -> list[Any]:
        self._deadline = perf_counter() + seconds
        return self._connection.execute(text, parameters).fetchall()

    def _execute_patiently(self, text: str, parameters: Sequence[Any]) -> list[Any]:
        self._wait_for_locks(BUSY_TIMEOUT)
        try:
            return self._execute(text, parameters, self._statement_timeout)
        finally:
            self._wait_for_locks(0)

    def _wait_for_locks(self, seconds: int) -> None:
        self._deadline = float("inf")  # the last one may be over
        self._connection.execute(f"PRAGMA busy_timeout = {seconds * 1000}")

    def close(self) -> None:
        """End a statement that is still running, and close the connection after it."""
        self._is_closed = True
        if self._running is None:
            self._connection.close()
        else:
            self._running.add_done_callback(lambda _: self._connection.close())


class SQLitePool:
    """The connections of one process to an SQLite file."""

    def __init__(self, url: str, statement_timeout: int) -> None:
        self._file = sqlite_file(url)
        self._uri = sqlite_uri(url)
        self._is_immutable = "immutable=1" in self._uri.partition("?")[2]
        self._statement_timeout = statement_timeout
        self._idle: list[SQLiteConnection] = []
        self._identity: tuple[int, int] | None = None
        self._ordinary = asyncio.Semaphore(CONNECTIONS)
        self._snapshots = asyncio.Semaphore(SNAPSHOTS)
        self._threads = ThreadPoolExecutor(CONNECTIONS + SNAPSHOTS, thread_name_prefix="sqlite")
        self._closed = False

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[SQLiteConnection]:
        with unavailable_on_driver_errors():
            async with asyncio.timeout(CONNECTION_WAIT if self._ordinary.locked() else None):
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
        self._close_idle()
        await asyncio.to_thread(self._threads.shutdown)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[SQLiteConnection]:
        if self._closed:
            raise DatabaseUnavailable("the connections have been closed")
        self._reopen_if_replaced()
        identity = self._identity
        if self._is_immutable and not self._idle:
            self._require_no_log()
        with self._explaining_read_only_folder():
            connection = self._idle.pop() if self._idle else await self._connect()
            try:
                yield connection
            finally:
                if self._can_reuse(connection, identity):
                    self._idle.append(connection)
                else:
                    connection.close()

    async def _connect(self) -> SQLiteConnection:
        connection = SQLiteConnection(self._uri, self._statement_timeout, self._threads)
        try:
            await connection.prepare()  # waits for locks: the last connection that closes takes one to remove the log
        except BaseException:
            connection.close()
            raise
        return connection

    def _can_reuse(self, connection: SQLiteConnection, identity: tuple[int, int] | None) -> bool:
        return not connection.is_busy and not self._closed and identity == self._identity

    def _reopen_if_replaced(self) -> None:
        """Notice that another file stands in the place of the one that was open, which SQLite would go on reading."""
        try:
            found = self._file.stat()
        except FileNotFoundError:
            raise DatabaseUnavailable(f"there is no database file {self._file}") from None
        identity = (found.st_dev, found.st_ino)
        if identity != self._identity:
            self._identity = identity
            self._close_idle()

    @contextmanager
    def _explaining_read_only_folder(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode not in _FOLDER_IS_READ_ONLY or not self._can_read():
                raise
            self._require_no_log()
            raise DatabaseNotReady(
                f"{self._file} is in WAL mode and its folder cannot be written: add ?immutable=1 to its URL if nothing"
                " writes to the file"
            ) from error

    def _can_read(self) -> bool:
        try:
            self._file.open("rb").close()
        except OSError:
            return False
        return True

    def _require_no_log(self) -> None:
        """Refuse to read the file without its write-ahead log, which may hold what was committed last."""
        log = self._file.with_name(self._file.name + "-wal")
        if log.is_file() and log.stat().st_size > 0:
            raise DatabaseNotReady(
                f"{log} holds changes that are not in the database file: run `sqlite3 {self._file.name} 'PRAGMA"
                " wal_checkpoint(TRUNCATE)'` where the folder can be written"
            )

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()
