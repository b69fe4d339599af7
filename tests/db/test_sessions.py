"""The list query: how often it asks, what it carries, and what it leaves alone."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.engine import Engine

from db import demo
from db.demo import FIRST_WORKSPACE
from db.engine import Database
from db.errors import DatabaseUnavailable
from db.sessions import SessionFilter, list_sessions, sessions_query
from tests.conftest import ClientOf, Mint, Store

EVERYTHING = SessionFilter("c", ("a", "b"), 0, 1, "scheduled")


@pytest.mark.parametrize("query", ["", "?clientId=unknown", "?dateTo=2024-01-20", "?serviceIds=a,b,c&status=completed"])
def test_a_request_asks_two_statements_whatever_it_returns_and_each_names_the_workspace(
    client_of: ClientOf, demo_url: str, mint: Mint, query: str
) -> None:
    client = client_of(demo_url)
    path, headers = f"/v1/workspace/{FIRST_WORKSPACE}/sessions{query}", {"Authorization": f"Bearer {mint()}"}
    client.get(path, headers=headers)  # what a new connection asks for itself is not counted
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:  # noqa: FBT001 - SQLAlchemy's signature
        asked.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        response = client.get(path, headers=headers)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert response.status_code == 200
    exists, listed = asked
    assert "WHERE workspaces.id = " in exists[0]
    assert "WHERE sessions.workspace_id = " in listed[0]
    assert all(FIRST_WORKSPACE in parameters for _, parameters in asked)


@pytest.mark.parametrize(
    "wanted",
    [
        SessionFilter(),
        SessionFilter(client_id="c"),
        SessionFilter(date_from=0, date_to=1),
        SessionFilter(status="scheduled"),
        EVERYTHING,
    ],
)
def test_on_sqlite_the_list_is_read_along_an_index_and_needs_no_sorting(
    sqlite_url: str, store: Store, wanted: SessionFilter
) -> None:
    store(sqlite_url, list(demo.documents()))

    async def explain() -> list[str]:
        database = Database(sqlite_url, read_only=True)
        async with database.connect() as connection:
            statement = sessions_query(FIRST_WORKSPACE, wanted).compile(
                dialect=connection.dialect, compile_kwargs={"literal_binds": True}
            )
            plan = [str(row[3]) for row in await connection.execute(text(f"EXPLAIN QUERY PLAN {statement}"))]
        await database.close()
        return plan

    plan = asyncio.run(explain())
    assert [step for step in plan if step.startswith("SEARCH sessions USING INDEX ix_sessions_workspace_id_")]
    assert not [step for step in plan if step.startswith(("SCAN", "USE TEMP B-TREE"))]


def test_a_reader_cannot_write(demo_url: str) -> None:
    async def write() -> None:
        database = Database(demo_url, read_only=True)
        try:
            async with database.connect() as connection:
                await connection.execute(text("DELETE FROM session_services"))
        finally:
            await database.close()

    with pytest.raises(DatabaseUnavailable, match=r"read-?only"):
        asyncio.run(write())


def test_another_workspace_is_never_touched_by_any_filter(demo_url: str) -> None:
    async def read() -> list[dict[str, Any]]:
        database = Database(demo_url, read_only=True)
        async with database.connect() as connection:
            found = (await list_sessions(connection, "a workspace that is not there", SessionFilter())).sessions
            found += (await list_sessions(connection, "' OR 1=1 --", SessionFilter())).sessions
        await database.close()
        return found

    assert asyncio.run(read()) == []
