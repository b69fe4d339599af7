"""What connections to a database have in common: which URLs are usable, limits, and when there is no answer to be had."""

import re
import sqlite3
from pathlib import Path

import asyncpg
from sqlalchemy import exc, make_url

from db.errors import DatabaseUnavailable

BUSY_TIMEOUT = 5
"""Seconds for which SQLite waits for another writer."""
CONNECT_TIMEOUT = 5
"""Seconds for which a PostgreSQL server may take to accept a connection."""
STATEMENT_TIMEOUT = 30
"""Seconds for which a PostgreSQL server may work on one statement of a reader, unless told otherwise."""
CONNECTIONS = 10
"""Connections that one process opens at most for reading, and again for writing."""
CONNECTION_WAIT = 5
"""Seconds for which a request waits for a free connection."""
POSTGRESQL = ("postgresql", "postgres")
_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[^:@/?#\[\],]*)(?::[0-9]{1,5})?"
# One host or several (libpq, "Connection URIs"); what would be ambiguous in them has to be percent-encoded.
_POSTGRESQL_URL = re.compile(
    rf"postgres(?:ql)?://(?:[^:@/?#]*(?::[^:@/?#]*)?@)?{_HOST}(?:,{_HOST})*(?:/[^/?#]*)?(?:\?[^#]*)?"
)


def require_usable(url: str) -> None:
    """Make sure that a URL names a database that this program can use. Nothing is opened.

    Raises:
        ValueError: when it does not; the message says why, and never repeats the URL, which may hold a password.
    """
    scheme = url.partition(":")[0] if ":" in url else ""
    if scheme in POSTGRESQL:
        if _POSTGRESQL_URL.fullmatch(url) is None:
            raise ValueError(
                "is not a database URL such as postgresql://user@host:5432/database;"
                " write an @ in a password as %40, a : as %3A, and so on"
            )
        return
    if not scheme:
        raise ValueError("is not a database URL such as sqlite:///sessions.sqlite3 or postgresql://user@host/database")
    if scheme != "sqlite":
        raise ValueError(f"names the database {scheme}; this program runs on sqlite:///… and postgresql://…")
    try:
        file = make_url(url).database
    except (exc.ArgumentError, ValueError):
        raise ValueError("is not a database URL such as sqlite:///sessions.sqlite3") from None
    if file in (None, "", ":memory:"):
        raise ValueError("must name a file, such as sqlite:///sessions.sqlite3: every connection sees its own :memory:")


class DatabaseFile:
    """The file of an SQLite database, which may go away or be replaced while it is open."""

    def __init__(self, url: str) -> None:
        self.path = Path(str(make_url(url).database))
        self.identity: tuple[int, int] | None = None

    def is_another(self) -> bool:
        """Whether another file has taken the place of the one that was open.

        SQLite would go on reading the one that was moved away, and create one that is missing.
        """
        try:
            found = self.path.stat()
        except FileNotFoundError:
            raise DatabaseUnavailable(f"there is no database file {self.path}") from None
        before, self.identity = self.identity, (found.st_dev, found.st_ino)
        return before not in (None, self.identity)

    def require_folder(self) -> None:
        # SQLite's own words for it would not say which folder.
        if not self.path.parent.is_dir():
            raise DatabaseUnavailable(f"there is no folder {self.path.parent} for the database file {self.path.name}")


SERVER_SETTINGS = {"application_name": "sessions-api"}


_ALONG_INDEXES = {"enable_seqscan": "off", "enable_bitmapscan": "off", "plan_cache_mode": "force_generic_plan"}
"""Every list is read along an index. A plan that is made once for all values saves making one at each request."""

PLANS_ON_CITUS = "SELECT set_config('plan_cache_mode', 'auto', false) WHERE to_regproc('citus_version') IS NOT NULL"
"""What a reader tells a server afterwards. Citus finds the shard by the values: a plan for all values it only has for the
simplest statements, and makes an error of any other."""


def reader_settings(statement_timeout: int) -> dict[str, str]:
    """What a PostgreSQL server is told about a connection that reads."""
    return (
        SERVER_SETTINGS
        | _ALONG_INDEXES
        | {"default_transaction_read_only": "on", "statement_timeout": f"{statement_timeout}s"}
    )


_UNAVAILABLE = ("08", "28", "3D", "53", "57", "58", "XX", "25006")
"""SQLSTATEs, or their classes, which say that there is no answer to be had now: connection exceptions, a refused login, a
missing database, insufficient resources, operator intervention (statement timeout, shutdown), system errors, and a server
that is read-only by now (PostgreSQL documentation, appendix A)."""


class unavailable_when_out_of_reach:  # noqa: N801 - reads as a statement where it is used
    """Turn a driver's word that there is no answer to be had into `DatabaseUnavailable`; let our own mistakes through."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _traceback: object) -> None:
        if error is not None and _is_out_of_reach(error):
            raise DatabaseUnavailable(str(getattr(error, "orig", None) or error) or type(error).__name__) from error


def _is_out_of_reach(error: BaseException) -> bool:
    match error:
        # Of SQLAlchemy
        case exc.OperationalError() | exc.InterfaceError() | exc.TimeoutError():
            return True
        case exc.DBAPIError():
            return error.connection_invalidated or (error.orig is not None and _is_out_of_reach(error.orig))
        # Of the drivers
        case asyncpg.DataError():
            return False  # a value that does not fit its type: our own mistake, though asyncpg has it among those below
        case asyncpg.InterfaceError() | asyncpg.InternalClientError() | sqlite3.OperationalError():
            return True
        case OSError() | TimeoutError():
            return True
        case sqlite3.DatabaseError():
            return (
                type(error) is sqlite3.DatabaseError
            )  # a damaged file; its subclasses are wrong statements or refused rows
        case _:
            return str(getattr(error, "sqlstate", None) or "").startswith(_UNAVAILABLE)
