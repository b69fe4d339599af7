"""Reading from SQLite: in the event loop while a statement is short, and in a thread when it is not."""

import asyncio
import os
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any
from urllib.parse import quote

from sqlalchemy import exc, make_url

from db.errors import DatabaseNotReady, DatabaseUnavailable
from db.limits import BUSY_TIMEOUT

_MAX_SECONDS_IN_LOOP = 0.02
"""Most lists take a few milliseconds. A thread, which waits for the interpreter at each row, would take twice as long."""
_STEPS_BETWEEN_CHECKS = 1_000  # of SQLite's virtual machine
_TRY_IN_THREAD = (sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_BUSY)
_FOLDER_IS_READ_ONLY = (
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY_CANTINIT,
    sqlite3.SQLITE_READONLY_DIRECTORY,
    sqlite3.SQLITE_READONLY_RECOVERY,
)
# Lists of recent changes read 8 MB of pages again and again; the default is 2. The last statement opens the file.
_PREPARE = ("PRAGMA query_only = ON", "PRAGMA cache_size = -8000", "SELECT count(*) FROM sqlite_schema")
_OPTIONS = {"mode": ("ro", "rw"), "immutable": ("1",)}


class SQLiteFile:
    """The file that a URL names, and how it is opened."""

    def __init__(self, url: str) -> None:
        """Nothing is opened.

        Raises:
            ValueError: when the URL is not usable; the message says why.
        """
        try:
            parsed = make_url(url)
        except (exc.ArgumentError, ValueError):
            raise ValueError("is not a database URL such as sqlite:///sessions.sqlite3") from None
        if parsed.database in (None, "", ":memory:"):
            raise ValueError("must name a file, such as sqlite:///sessions.sqlite3: every connection sees its own :memory:")
        for name, value in parsed.query.items():
            if value not in _OPTIONS.get(name, ()):
                raise ValueError("has an option other than ?mode=ro, ?mode=rw and ?immutable=1")
        self.path = Path(str(parsed.database))
        self.is_immutable = "immutable" in parsed.query
        self.is_read_only = self.is_immutable or parsed.query.get("mode") == "ro"
        # As sqlite.org/uri.html says; no mode creates the file.
        options = "&".join(f"{name}={value}" for name, value in {"mode": "rw", **parsed.query}.items())
        self.uri = f"file:{quote(str(self.path))}?{options}"

    def identity(self) -> tuple[int, int] | None:
        """Another one when another file stands in the place of the first; None when there is no file."""
        try:
            found = os.stat(self.path)  # noqa: PTH116 - for each request, and faster than Path.stat
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def require_no_log(self) -> None:
        """Refuse to read the file without its write-ahead log, which may hold what was committed last."""
        log = self.path.with_name(self.path.name + "-wal")
        if log.is_file() and log.stat().st_size > 0:
            raise DatabaseNotReady(
                f"{log} holds changes that are not in the database file: run `sqlite3 {self.path.name} 'PRAGMA"
                " wal_checkpoint(TRUNCATE)'` where the folder can be written"
            )


class SQLiteConnection:
    """One connection. A statement that is not short, or finds the file locked, is executed again in a thread."""

    engine = "sqlite"
    begin = "BEGIN"

    def __init__(self, file: SQLiteFile, statement_timeout: int) -> None:
        self._file = file
        self._identity = file.identity()
        if self._identity is None:
            raise DatabaseUnavailable(f"there is no database file {file.path}")
        self._connection = sqlite3.connect(file.uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False)
        self._connection.set_progress_handler(self._must_end, _STEPS_BETWEEN_CHECKS)
        self._statement_timeout = statement_timeout
        self._deadline = float("inf")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")
        self._is_idle = True
        self._is_closed = False

    async def fetch(self, text: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]:
        self._is_idle = False
        try:
            rows = self._execute(text, parameters, _MAX_SECONDS_IN_LOOP)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _TRY_IN_THREAD:
                raise
            loop = asyncio.get_running_loop()
            rows = await loop.run_in_executor(self._thread, self._execute_patiently, text, parameters)
        self._is_idle = True
        return rows

    def is_usable(self) -> bool:
        # SQLite would go on reading a file that another one has replaced.
        return self._is_idle and self._file.identity() == self._identity

    async def close(self) -> None:
        self._is_closed = True
        await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
        self._thread.shutdown(wait=False)

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


class SQLiteReader:
    """Opens connections that read from the file that a URL names."""

    def __init__(self, url: str, statement_timeout: int) -> None:
        self._file = SQLiteFile(url)
        self._statement_timeout = statement_timeout

    async def connect(self) -> SQLiteConnection:
        file = self._file
        if file.is_immutable:
            file.require_no_log()
        connection = SQLiteConnection(file, self._statement_timeout)
        try:
            for statement in _PREPARE:
                await connection.fetch(statement, ())
        except sqlite3.OperationalError as error:
            await connection.close()
            if error.sqlite_errorcode not in _FOLDER_IS_READ_ONLY or not os.access(file.path, os.R_OK, effective_ids=True):
                raise
            file.require_no_log()
            raise DatabaseNotReady(
                f"{file.path} is in WAL mode and its folder cannot be written: add ?immutable=1 to its URL if nothing"
                " writes to the file"
            ) from error
        return connection
