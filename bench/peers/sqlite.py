"""The connection of the bare programs on SQLite."""

import os
import sqlite3
from contextlib import asynccontextmanager

import orjson

from bench.peers import bare

connection: sqlite3.Connection


@asynccontextmanager
async def lifespan():
    """The connection, while the program runs."""
    global connection
    connection = sqlite3.connect(os.environ["DATABASE_URL"].removeprefix("sqlite:///"))
    yield
    connection.close()


def fetch(statement: str, workspace_id: str, query: dict[str, str]) -> list[tuple] | None:
    """The rows of a list; None when there is no such workspace.

    It runs on the event loop: a statement takes less time than a thread would to start it and to return its rows.
    """
    found = list(bare.conditions(query, lambda: "?", _any_service))
    where = " AND ".join(["s.workspace_id = ?", *(text for text, _ in found)])
    values = [orjson.dumps(value).decode() if isinstance(value, list) else value for _, value in found]
    rows = connection.execute(statement.format(where=where), [workspace_id, *values]).fetchall()
    if not rows and not connection.execute("SELECT 1 FROM workspaces WHERE id = ?", [workspace_id]).fetchone():
        return None
    return rows


def _any_service(mark: str) -> str:
    return (
        "EXISTS (SELECT 1 FROM session_services x WHERE x.workspace_id = s.workspace_id AND x.session_id = s.id"
        f" AND x.service_id IN (SELECT value FROM json_each({mark})))"
    )
