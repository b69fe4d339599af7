"""What a list takes: its statement, and what the database does for it."""

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from db.engine import Database
from db.pools import Connection
from db.queries import SessionQuery
from db.statements import choose_plan, list_statement

LIMIT = 50
_GROWING = ("sessions", "session_services")


@dataclass(frozen=True, slots=True)
class Cost:
    """What the database does for one list.

    `work` counts rows and index searches on PostgreSQL, and hundreds of steps of the virtual machine on SQLite.
    `scans` names the steps of the plans that read a table, or an index of it, without a workspace.
    """

    work: int
    scans: list[str]


class Case(NamedTuple):
    """A query, and what it is called in tables."""

    name: str
    query: SessionQuery


async def cost(database: Database, query: SessionQuery, *, whole: bool = False) -> Cost:
    """What the database does for a page, as the database itself counts it."""
    async with database.acquire() as connection:
        statement, values = list_statement(query, choose_plan(query, whole=whole), connection.engine)
        explain = _on_sqlite if connection.engine == "sqlite" else _on_postgresql
        return await explain(connection, statement.text, statement.parameters({**values, "limit": LIMIT, "max_size": 8192}))


async def _on_sqlite(connection: Connection, text: str, values: Sequence[Any]) -> Cost:
    hundreds = 0

    def count() -> int:
        nonlocal hundreds
        hundreds += 1
        return 0

    steps = [str(row[3]) for row in await connection.fetch(f"EXPLAIN QUERY PLAN {text}", values)]
    [(_, _, file)] = await connection.fetch("PRAGMA database_list", ())
    with closing(sqlite3.connect(file)) as counted:
        counted.set_progress_handler(count, 100)
        counted.execute(text, values).fetchall()
    scanned = re.compile(rf"SCAN ({'|'.join(_GROWING)})\b")
    return Cost(hundreds, [step for step in steps if scanned.match(step) or _searches_everywhere(step)])


def _searches_everywhere(step: str) -> bool:
    return step.startswith(tuple(f"SEARCH {table} " for table in _GROWING)) and "workspace_id=?" not in step


async def _on_postgresql(connection: Connection, text: str, values: Sequence[Any]) -> Cost:
    # On the connection of the service, with its settings, as a statement that is prepared once and asked for often.
    [[plan]] = await connection.fetch(f"EXPLAIN (ANALYZE, FORMAT JSON) {text}", values)
    work, scans = 0, []
    nodes = [orjson.loads(plan)[0]["Plan"]]
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", ())
        if node.get("Relation Name") in _GROWING:
            condition = str(node.get("Index Cond", ""))
            if "workspace_id" not in condition or not node["Node Type"].startswith("Index"):
                scans.append(f"{node['Node Type']} on {node['Relation Name']}: {condition}")
            read = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            work += round(read * node["Actual Loops"]) + node.get("Index Searches", 0)
    return Cost(work, scans)
