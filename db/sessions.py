"""Reading the sessions of a workspace, as the documents that are stored."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import orjson

from db.engine import Database
from db.errors import WorkspaceNotFound
from db.pools import Connection
from db.queries import Position, SessionQuery
from db.statements import choose_plan, list_statement, revision_statement
from openapi.errors import ContractViolation

MAX_SIZE = 8 * 1024
"""Bytes of a document that is read together with up to a thousand others."""
MAX_PAGE_SIZE = 8 * 1024 * 1024
"""Bytes of larger documents that are read together, unless the first is larger still."""

_ANY_SIZE = 2**31 - 1
_MAX_DIGITS = 10  # digits of the size that stands for a large document; no session is as short


class Page(NamedTuple):
    """Some sessions of a list, in its order."""

    documents: list[bytes]
    next: Position | None
    """Where the list continues; None at its end."""
    revision: int
    """The revision of the workspace at which they were read."""


class SessionStore:
    """The sessions in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def revision(self, workspace_id: str) -> int:
        """The current revision of a workspace.

        Raises:
            WorkspaceNotFound: when there is no such workspace.
        """
        async with self._database.acquire() as connection:
            statement = revision_statement(connection.engine)
            rows = await connection.fetch(statement.text, statement.parameters({"workspace_id": workspace_id}))
        if not rows:
            raise WorkspaceNotFound(workspace_id)
        return int(rows[0][0])

    async def page(self, query: SessionQuery, limit: int) -> Page:
        """The first sessions of a list: at most `limit`, and fewer when they are large.

        Raises:
            WorkspaceNotFound: when there is no such workspace.
        """
        async with self._database.acquire() as connection:
            return await _page(connection, query, limit, whole=False)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator["Snapshot"]:
        """One state of the database, to read a long list page after page.

        Raises:
            TooManySnapshots: when as many as allowed are being read.
        """
        async with self._database.snapshot() as connection:
            yield Snapshot(connection)


class Snapshot:
    """One state of the sessions in a database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def page(self, query: SessionQuery, limit: int) -> Page:
        """As `SessionStore.page`, for a list that is read to its end."""
        return await _page(self._connection, query, limit, whole=True)


async def _page(connection: Connection, query: SessionQuery, limit: int, *, whole: bool) -> Page:
    plan = choose_plan(query, whole=whole)
    statement, values = list_statement(query, plan, connection.engine)

    async def read(count: int, max_size: int) -> tuple[int, list[bytes]]:
        parameters = statement.parameters({**values, "limit": count, "max_size": max_size})
        rows = await connection.fetch(statement.text, parameters)
        if not rows:
            raise WorkspaceNotFound(query.workspace_id)
        return rows[0][0], [document for _, document in rows[1:]]

    revision, documents = await read(limit + 1, MAX_SIZE)
    count = min(_count_small(documents), limit)
    if count == 0 and documents:
        count = _count_fitting(documents[:limit])
        revision, documents = await read(count + 1, _ANY_SIZE)
    has_more = len(documents) > count
    del documents[count:]
    return Page(documents, _position(documents[-1], query) if has_more else None, revision)


def _count_small(documents: list[bytes]) -> int:
    """How many documents there are before the first that only its size stands for."""
    if not documents or min(map(len, documents)) > _MAX_DIGITS:
        return len(documents)
    return next(number for number, document in enumerate(documents) if len(document) <= _MAX_DIGITS)


def _count_fitting(documents: list[bytes]) -> int:
    """How many of the large documents at the beginning fit into a page; one at least."""
    count = total = 0
    for document in documents:
        total += int(document) if len(document) <= _MAX_DIGITS else len(document)
        if count and total > MAX_PAGE_SIZE:
            break
        count += 1
    return count


def _position(document: bytes, query: SessionQuery) -> Position:
    try:
        session = orjson.loads(document)
        return tuple(str(session[member]) for member in query.order.members)
    except (ValueError, TypeError, KeyError):
        raise ContractViolation("a stored document is not a session") from None
