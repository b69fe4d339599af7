"""What it takes to answer a question: the statements that are asked, and what the database does for each."""

import re
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from db.engine import Database
from db.questions import Position, Question, SessionFilter
from db.readers import Reader
from db.sessions import Page, Sessions

LIMIT = 50
_GROWING = ("sessions", "session_services", "clients", "staff", "services")


@dataclass(frozen=True, slots=True)
class Cost:
    """What the database does for one list.

    `work` counts rows and index searches on PostgreSQL, and hundreds of steps of the virtual machine on SQLite.
    `scans` names the steps of the plans that read a table, or an index of it, without a workspace.
    """

    work: int
    scans: list[str]


class Asked(NamedTuple):
    """What is asked of a practice."""

    name: str
    wanted: SessionFilter
    sort: str = "date"
    after: Position | None = None


async def ask(sessions: Sessions, workspace_id: str, asked: Asked) -> Page:
    """Answer a question as a request does."""
    async with sessions.of(workspace_id) as held:
        return await held.page(Question(workspace_id, asked.wanted, asked.sort, asked.after), LIMIT)


async def cost(database: Database, workspace_id: str, asked: Asked) -> Cost:
    """What the database does for an answer, said by itself."""
    noted = NotedDatabase(database)
    await ask(Sessions(noted), workspace_id, asked)  # type: ignore[arg-type] # it lends readers, and that is all it takes
    async with database.reader() as reader:
        explain = _on_sqlite if reader.engine == "sqlite" else _on_postgresql
        costs = [await explain(reader, *each) for each in noted.asked]
    return Cost(sum(each.work for each in costs), [scan for each in costs for scan in each.scans])


class NotedDatabase:
    """A database that notes what its readers are asked."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.asked: list[tuple[str, Sequence[Any]]] = []

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[Any]:
        async with self._database.reader() as reader:
            fetch = reader.fetch

            async def noted(text: str, values: Sequence[Any]) -> Sequence[Any]:
                self.asked.append((text, values))
                return await fetch(text, values)

            reader.fetch = noted  # type: ignore[method-assign] # as long as it is lent
            try:
                yield reader
            finally:
                reader.fetch = fetch  # type: ignore[method-assign]


async def _on_sqlite(reader: Reader, text: str, values: Sequence[Any]) -> Cost:
    hundreds = 0

    def count() -> int:
        nonlocal hundreds
        hundreds += 1
        return 0

    steps = [str(row[3]) for row in await reader.fetch(f"EXPLAIN QUERY PLAN {text}", values)]
    [(_, _, file)] = await reader.fetch("PRAGMA database_list", ())
    with closing(sqlite3.connect(file)) as connection:
        connection.set_progress_handler(count, 100)
        connection.execute(text, values).fetchall()
    scanned = re.compile(rf"SCAN ({'|'.join(_GROWING)})\b")
    return Cost(hundreds, [step for step in steps if scanned.match(step) or _searches_everywhere(step)])


def _searches_everywhere(step: str) -> bool:
    return step.startswith(tuple(f"SEARCH {table} " for table in _GROWING)) and "workspace_id=?" not in step


async def _on_postgresql(reader: Reader, text: str, values: Sequence[Any]) -> Cost:
    # On the connection of the service, with its settings, as a statement that is prepared once and asked for often.
    [[plan]] = await reader.fetch(f"EXPLAIN (ANALYZE, FORMAT JSON) {text}", values)
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
