"""The connection pool of the bare programs on PostgreSQL."""

import itertools
import os
from contextlib import asynccontextmanager

import asyncpg

from bench.peers import bare

pool: asyncpg.Pool


@asynccontextmanager
async def lifespan():
    """The pool, while the program runs."""
    global pool
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], max_size=10, init=_json_as_bytes) as pool:
        yield


async def _json_as_bytes(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec("json", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary")


async def fetch(statement: str, workspace_id: str, query: dict[str, str]) -> list[asyncpg.Record] | None:
    """The rows of a list; None when there is no such workspace."""
    conditions, arguments = where(workspace_id, query)
    rows = await pool.fetch(statement.format(where=conditions), *arguments)
    if not rows and not await pool.fetchval("SELECT true FROM workspaces WHERE id = $1", workspace_id):
        return None
    return rows


def where(workspace_id: str, query: dict[str, str]) -> tuple[str, list[object]]:
    """The conditions of a statement, and its arguments."""
    numbers = itertools.count(2)
    found = list(bare.conditions(query, lambda: f"${next(numbers)}", _any_service))
    return " AND ".join(["s.workspace_id = $1", *(text for text, _ in found)]), [
        workspace_id,
        *(value for _, value in found),
    ]


def _any_service(mark: str) -> str:
    return (
        "EXISTS (SELECT FROM session_services x"
        f" WHERE x.workspace_id = $1 AND x.session_id = s.id AND x.service_id = ANY({mark}))"
    )
