"""Connections for reading: pools of the drivers' own connections.

SQLAlchemy writes the statements (`db.statements`). Executing them through it as well would cost a request more than its
statements do. A connection from these pools cannot write, whatever it executes.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeAlias

from db.database_url import is_postgresql
from db.postgresql import PostgreSQLPool
from db.sqlite import SQLitePool

Row: TypeAlias = Sequence[Any]

STATEMENT_TIMEOUT = 30
"""Seconds that the database may work on one statement, unless the operator sets another limit."""


class Connection(Protocol):
    """One acquired connection."""

    engine: str
    """Of the database: `sqlite` or `postgresql`."""

    async def fetch(self, text: str, parameters: Sequence[Any]) -> Sequence[Row]:
        """All rows of a statement."""


class Pool(Protocol):
    """The connections of one process to one database."""

    def acquire(self) -> AbstractAsyncContextManager[Connection]:
        """Acquire a connection; each statement sees what is committed by then.

        Raises:
            DatabaseUnavailable: when no connection can be had in time, or the database stops answering meanwhile.
        """

    def snapshot(self) -> AbstractAsyncContextManager[Connection]:
        """Acquire a connection whose statements all see the same state, from connections reserved for this.

        Raises:
            TooManySnapshots: when all of them are in use.
            DatabaseUnavailable: as above.
        """

    async def close(self) -> None:
        """Close every connection. `acquire` and `snapshot` raise from now on."""


def create_pool(url: str, *, statement_timeout: int = STATEMENT_TIMEOUT) -> Pool:
    """The pool for a usable URL; nothing is opened before it is used."""
    return PostgreSQLPool(url, statement_timeout) if is_postgresql(url) else SQLitePool(url, statement_timeout)
