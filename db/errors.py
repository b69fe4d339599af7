"""What can go wrong with the data. `handlers.problems` decides which response each becomes."""

import sqlite3

import asyncpg
from sqlalchemy import exc


class WorkspaceNotFound(Exception):
    """There is no workspace with this id: it never existed, or it has been removed."""


class DatabaseUnavailable(Exception):
    """The database gives no answer now: it is unreachable, overloaded, locked, damaged, or lacks its tables."""


class DatabaseNotReady(DatabaseUnavailable):
    """The database can be reached, but not be used as it is; the message says what to do."""


class TooManySnapshots(Exception):
    """As many snapshots as allowed are being read; the caller may try again."""


DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, exc.SQLAlchemyError, sqlite3.Error)
"""What the drivers raise. Most of it is turned into the classes above; the rest is a mistake of this program."""

LOST_STATEMENT = (
    "the pooler in front of PostgreSQL mixes up the prepared statements of its clients: it must be in session mode, or be"
    " PgBouncer 1.21 or newer with max_prepared_statements"
)
# SQLSTATEs and their classes (PostgreSQL documentation, appendix A): connection exceptions, a refused login, a missing
# database, insufficient resources, operator intervention (statement timeout, shutdown), system errors, a missing table, a
# server that has become read-only.
_UNAVAILABLE_SQLSTATES = ("08", "28", "3D", "53", "57", "58", "XX", "42P01", "25006")
_ADVICE = {
    "42501": (
        "the role needs SELECT on workspaces, sessions, session_services and sessions_api_version to read, INSERT, UPDATE"
        " and DELETE to import, and CREATE on the schema to migrate"
    ),
    "25006": "writing needs the primary and a role that may write: name them in SESSIONS_WRITER_DATABASE_URL",
    "42P05": LOST_STATEMENT,
    "26000": LOST_STATEMENT,
}
# All others mean that the file cannot be used now. A missing table has the code of a mistake in SQL.
_OUR_MISTAKES_ON_SQLITE = (
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_MISUSE,
    sqlite3.SQLITE_RANGE,
)


class unavailable_on_driver_errors:  # noqa: N801 - reads as a statement where it is used
    """Turn an error of a driver into `DatabaseUnavailable` when the database is at fault; let our own mistakes through."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _traceback: object) -> None:
        if error is None or isinstance(error, DatabaseUnavailable):
            return
        if advice := _ADVICE.get(sqlstate(error) or ""):
            raise DatabaseNotReady(f"{words_of(error)}; {advice}") from error
        if _is_unavailable(error):
            raise DatabaseUnavailable(words_of(error)) from error


def words_of(error: BaseException) -> str:
    """What the database said, in one line."""
    return (str(_cause(error)) or type(error).__name__).partition("\n")[0]


def sqlstate(error: BaseException) -> str | None:
    """The SQLSTATE of an error of PostgreSQL."""
    return getattr(_cause(error), "sqlstate", None)


def _cause(error: BaseException) -> BaseException:
    """The driver's own error: SQLAlchemy wraps it in classes of its own."""
    while type(error).__module__.startswith("sqlalchemy") and (cause := getattr(error, "orig", None) or error.__cause__):
        error = cause
    return error


def _is_unavailable(error: BaseException) -> bool:
    if isinstance(error, exc.TimeoutError) or (isinstance(error, exc.DBAPIError) and error.connection_invalidated):
        return True
    match cause := _cause(error):
        case asyncpg.InterfaceError():
            # asyncpg has one class for a lost connection and for our own mistakes, such as a wrong number of arguments.
            return "connect" in str(cause)
        case asyncpg.InternalClientError() | OSError():
            return True
        case sqlite3.Error():
            code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_MISUSE) & 0xFF
            return code not in _OUR_MISTAKES_ON_SQLITE or str(cause).startswith("no such table")
        case _:
            return (sqlstate(cause) or "").startswith(_UNAVAILABLE_SQLSTATES)
