"""The list query: how often it asks, what it carries, and what it leaves alone."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from db import demo
from db.demo import FIRST_WORKSPACE
from db.engine import Database
from db.errors import DatabaseUnavailable
from db.lists import STATUSES, sessions_statement, sessions_values
from db.questions import Question, SessionFilter
from db.sessions import Sessions
from openapi.contract import load
from tests.conftest import Store
from tests.scale.costs import NotedDatabase

EVERYTHING = SessionFilter("c", ("a", "b"), 0, 1, "scheduled")


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
        shape, values = sessions_values(Question(FIRST_WORKSPACE, wanted), "sqlite")
        async with database.reader() as reader:
            statement = sessions_statement(shape, reader.engine)
            rows = await reader.fetch(f"EXPLAIN QUERY PLAN {statement.text}", statement.values(values))
            plan = [str(row[3]) for row in rows]
        await database.close()
        return plan

    plan = asyncio.run(explain())
    assert [step for step in plan if step.startswith("SEARCH sessions USING INDEX ix_sessions_workspace_id_")]
    # What is scanned without a name are the services of one session, and the values of a parameter.
    assert not [step for step in plan if step.startswith(("SCAN", "USE TEMP B-TREE")) and not step.startswith("SCAN anon_")]


@pytest.mark.parametrize(
    ("wanted", "sort", "statements"),
    [
        (SessionFilter(), "date", 2),
        (SessionFilter(status="completed", staff_id="s"), "-updatedAt", 2),
        (SessionFilter(service_ids=("a", "b"), status="completed", date_from=0), "date", 2),
        # One more asks whether those are few.
        (SessionFilter(service_ids=("a", "b")), "updatedAt", 3),
        (SessionFilter(updated_since=0), "-date", 3),
        (SessionFilter(updated_since=0, service_ids=("a",)), "date", 3),
        # It would change nothing.
        (SessionFilter(updated_since=0), "updatedAt", 2),
        (SessionFilter("c", ("a", "b"), updated_since=0), "date", 2),
    ],
)
def test_a_page_takes_as_many_statements_however_much_it_holds_and_one_more_for_unknown_names(
    demo_url: str, wanted: SessionFilter, sort: str, statements: int
) -> None:
    async def read() -> tuple[list[int], bool]:
        database = Database(demo_url, read_only=True)
        noted = NotedDatabase(database)
        sessions, counts, found = Sessions(noted), [], False  # type: ignore[arg-type] # it lends readers
        for _ in range(2):
            noted.asked.clear()
            async with sessions.of(FIRST_WORKSPACE) as held:
                found = bool((await held.page(Question(FIRST_WORKSPACE, wanted, sort), 10)).listed.sessions)
            counts.append(len(noted.asked))
            assert all(FIRST_WORKSPACE in values for _, values in noted.asked)
        await database.close()
        return counts, found

    counts, found = asyncio.run(read())
    # What is booked is only asked of sessions that were found.
    assert counts == [statements + 2 * found, statements + found]


def test_names_that_take_too_much_memory_are_forgotten_and_asked_for_again(
    demo_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def read() -> list[tuple[int, int]]:
        database = Database(demo_url, read_only=True)
        noted = NotedDatabase(database)
        sessions, asked = Sessions(noted), []  # type: ignore[arg-type] # it lends readers
        for size in (16_000_000, 16_000_000, 1_000, 1_000):
            monkeypatch.setattr("db.sessions._NAMES_SIZE", size)
            noted.asked.clear()
            async with sessions.of(FIRST_WORKSPACE) as held:
                listed = len((await held.page(Question(FIRST_WORKSPACE), 100)).listed.sessions)
            asked.append((listed, len(noted.asked)))
        await database.close()
        return asked

    # The revision, the list, what is booked, and names unless they are known.
    assert asyncio.run(read()) == [(100, 4), (100, 3), (100, 4), (100, 4)]


def test_lists_of_services_know_every_status_of_the_contract() -> None:
    # They seek the bookings of each: a status that they did not know would be missing from the list.
    assert set(STATUSES) == set(load().document["components"]["schemas"]["SessionStatus"]["enum"])


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
        found = []
        async with Sessions(database).of(FIRST_WORKSPACE) as held:
            for other in ("a workspace that is not there", "' OR 1=1 --"):
                found += (await held.page(Question(other), 1000)).listed.sessions
        await database.close()
        return found

    assert asyncio.run(read()) == []
