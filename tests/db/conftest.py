"""Another program that writes to the database."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import asyncpg
import pytest

from db.demo import DOCUMENTED_SESSION
from db.engine import Database
from openapi.json import encode
from tests.conftest import Store

Execute: TypeAlias = Callable[[str], None]


def fetch(url: str, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query."""

    async def read() -> list[tuple[Any, ...]]:
        database = Database(url)
        async with database.acquire() as connection:
            found = [tuple(row) for row in await connection.fetch(query, ())]
        await database.close()
        return found

    return asyncio.run(read())


def insert(**changes: Any) -> str:
    """The statement that writes a session, as a program that knows only SQL would."""
    document = DOCUMENTED_SESSION | {"workspaceId": "a"} | changes
    text = encode(document).decode().replace("'", "''")
    values = f"'{document['workspaceId']}', '{document['id']}', '{text}'"
    return f"INSERT INTO sessions (workspace_id, id, document) VALUES ({values})"


@pytest.fixture
def two_workspaces(database_url: str, store: Store) -> str:
    """A database with the documented session in workspaces a and b."""
    store(database_url, [{**DOCUMENTED_SESSION, "workspaceId": workspace_id} for workspace_id in ("a", "b")])
    return database_url


@pytest.fixture
def execute(two_workspaces: str) -> Iterator[Execute]:
    """A program that is not this one."""
    if two_workspaces.startswith("sqlite"):
        connection = sqlite3.connect(two_workspaces.removeprefix("sqlite:///"), isolation_level=None)
        yield lambda statement: connection.execute(statement).close()
        connection.close()
        return
    with asyncio.Runner() as runner:
        other = runner.run(asyncpg.connect(two_workspaces))
        yield lambda statement: runner.run(other.execute(statement))
        runner.run(other.close())
