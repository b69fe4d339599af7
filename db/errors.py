"""What can go wrong with the data. `handlers.problems` decides which response each becomes."""

import sqlite3

import asyncpg
from sqlalchemy import exc


class WorkspaceNotFound(Exception):
    """There is no workspace with this id: it never existed, or it has been removed."""


class DatabaseUnavailable(Exception):
    """The database gives no answer now: it is unreachable, overloaded, locked, damaged, or lacks its tables."""


class DatabaseNotReady(Exception):
    """The database can be reached, but its tables are missing or of another version; the message says what to do."""


class TooManySnapshots(Exception):
    """As many snapshots as allowed are being read; the caller may try again."""


# SQLSTATEs and their classes (PostgreSQL documentation, appendix A): connection exceptions, a refused login, a missing
# database, insufficient resources, operator intervention (statement timeout, shutdown), system errors, a missing table, a
# server that has become read-only.
_UNAVAILABLE_SQLSTATES = ("08", "28", "3D", "53", "57", "58", "XX", "42P01", "25006")
_UNAVAILABLE_SQLITE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)


class unavailable_on_driver_errors:  # noqa: N801 - reads as a statement where it is used
    """Turn an error of a driver into `DatabaseUnavailable` when the database is at fault; let our own mistakes through."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _traceback: object) -> None:
        if error is not None and _is_unavailable(error):
            raise DatabaseUnavailable(str(getattr(error, "orig", None) or error) or type(error).__name__) from error


def _is_unavailable(error: BaseException) -> bool:
    match error:
        case exc.TimeoutError():
            return True
        case exc.DBAPIError():
            return error.connection_invalidated or (error.orig is not None and _is_unavailable(error.orig))
        case asyncpg.InterfaceError():
            # asyncpg has one class for a lost connection and for our own mistakes, such as a wrong number of arguments.
            return "connect" in str(error) or "pool is clos" in str(error)
        case asyncpg.InternalClientError() | OSError() | TimeoutError():
            return True
        case sqlite3.Error():
            code = getattr(error, "sqlite_errorcode", None)
            # "no such table" has no code of its own.
            return code is not None and (code & 0xFF in _UNAVAILABLE_SQLITE or str(error).startswith("no such table"))
        case _:
            # SQLAlchemy wraps the errors of asyncpg in classes of its own, and keeps the SQLSTATE.
            if (cause := error.__cause__) is not None and type(error).__module__.startswith("sqlalchemy"):
                return _is_unavailable(cause)
            return str(getattr(error, "sqlstate", None) or "").startswith(_UNAVAILABLE_SQLSTATES)
