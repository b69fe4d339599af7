"""Lists: every plan finds the sessions that plain Python finds, in order, page by page, in one statement."""

import asyncio
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from random import Random
from typing import Any

import orjson
import pytest

from db.demo import DOCUMENTED_SESSION
from db.engine import Database
from db.errors import WorkspaceNotFound
from db.queries import ORDERS, SessionQuery
from db.sessions import MAX_PAGE_SIZE, MAX_SIZE, SessionStore, Snapshot
from db.statements import Plan, choose_plan, list_statement
from openapi import timestamps
from openapi.errors import ContractViolation
from openapi.json import encode
from tests.conftest import Databases, Store
from tests.db.conftest import fetch

MOMENTS = [
    "0001-01-01T00:00:00.000Z",
    "1999-12-31T23:59:59.999Z",
    "2024-01-01T00:00:00.000Z",
    "2024-01-09T23:59:59.999Z",
    "2024-01-10T00:00:00.000Z",
    "2024-01-12T08:00:00.000Z",
    "2024-01-12T08:00:00.001Z",
    "2024-01-31T23:59:59.999Z",
    "2024-02-01T00:00:00.000Z",
    "9999-12-31T23:59:59.999Z",
]
STATUSES = ("scheduled", "in-progress", "completed", "cancelled")
CLIENTS, SERVICES, STAFF = "cd", "abc", "xy"


def documents(random: Random) -> list[dict[str, Any]]:
    """Sessions of a workspace, w, and of its neighbours, with ids alike."""
    return [
        {
            **DOCUMENTED_SESSION,
            "workspaceId": workspace_id,
            "id": f"{random.randrange(1000):03}",
            "clientId": random.choice(CLIENTS),
            "staffId": random.choice(STAFF),
            "serviceIds": (services := random.choices(SERVICES, k=random.randrange(4))),
            "serviceNames": services,
            "date": random.choice(MOMENTS),
            "startTime": random.choice(["00:00", "10:00", "23:59"]),
            "status": random.choices(STATUSES, [5, 1, 1, 1])[0],
            "updatedAt": random.choice(MOMENTS),
        }
        for workspace_id, number in {"v": 10, "w": 40, "x": 10}.items()
        for _ in range(number)
    ]


def queries(random: Random) -> Iterator[SessionQuery]:
    """Every combination of filters."""

    def moment(*among: str) -> int:
        return timestamps.parse(random.choice(among)).first

    for chosen in product([False, True], repeat=7):
        values: list[Any] = [
            random.choice(CLIENTS),
            tuple(sorted(random.sample([*SERVICES, "unknown"], random.randint(1, 3)))),
            moment(*MOMENTS[:6]),
            moment(*MOMENTS[5:]),
            random.choices(STATUSES, [5, 1, 1, 1])[0],
            random.choice(STAFF),
            moment(*MOMENTS),
        ]
        filters: list[Any] = [value if is_chosen else None for is_chosen, value in zip(chosen, values, strict=True)]
        yield SessionQuery("w", *filters)


def passes(document: dict[str, Any], query: SessionQuery) -> bool:
    date, updated_at = (timestamps.parse(document[name]).first for name in ("date", "updatedAt"))
    return (
        (query.client_id is None or document["clientId"] == query.client_id)
        and (query.service_ids is None or not {*query.service_ids}.isdisjoint(document["serviceIds"]))
        and (query.date_from is None or date >= query.date_from)
        and (query.date_to is None or date <= query.date_to)
        and (query.status is None or document["status"] == query.status)
        and (query.staff_id is None or document["staffId"] == query.staff_id)
        and (query.updated_since is None or updated_at >= query.updated_since)
    )


async def read_pages(store: SessionStore | Snapshot, query: SessionQuery, limit: int) -> list[bytes]:
    """The documents on all pages."""
    found: list[bytes] = []
    while True:
        page = await store.page(query, limit)
        assert len(page.documents) <= limit
        found += page.documents
        if page.next is None:
            return found
        assert page.documents
        query = replace(query, after=page.next)


@pytest.mark.parametrize("seed", range(2))
def test_every_combination_of_filters_and_orders_agrees_with_plain_python(
    database_url: str, store: Store, seed: int
) -> None:
    random = Random(seed)  # noqa: S311 - the same at every run
    written = documents(random)
    store(database_url, written)
    # Of documents with one id, the last is stored.
    of_w = {document["id"]: document for document in written if document["workspaceId"] == "w"}.values()

    async def compare() -> set[tuple[bool, Plan]]:
        database, plans = Database(database_url), set()
        sessions = SessionStore(database)
        for query, (sort, order) in product(list(queries(random)), ORDERS.items()):
            sorted_query = replace(query, sort=sort)
            expected = sorted(
                (document for document in of_w if passes(document, query)),
                key=lambda document: [document[member] for member in order.members],
                reverse=order.descending,
            )
            found = await read_pages(sessions, sorted_query, random.randint(1, 8))
            assert [orjson.loads(document) for document in found] == expected, sorted_query
            async with sessions.snapshot() as snapshot:
                assert await read_pages(snapshot, sorted_query, random.randint(1, 8)) == found, sorted_query
            plans |= {(whole, choose_plan(sorted_query, whole=whole)) for whole in (False, True)}
        await database.close()
        return plans

    assert {plan for _, plan in asyncio.run(compare())} == {*Plan}


def test_a_page_is_one_statement_that_names_the_workspace_for_every_table(database_url: str) -> None:
    engine = database_url.partition(":")[0]
    for query in [*queries(Random(0)), *(replace(each, sort="updatedAt") for each in queries(Random(0)))]:  # noqa: S311
        for whole in (False, True):
            statement, values = list_statement(query, choose_plan(query, whole=whole), engine)
            mentions = sum(statement.text.count(f"FROM {table}") for table in ("sessions", "session_services"))
            assert statement.text.count("workspace_id = ") == mentions
            assert values["workspace_id"] == "w"


def test_a_position_before_the_filters_opens_nothing_more(database_url: str, store: Store) -> None:
    store(database_url, documents(Random(1)))  # noqa: S311

    async def read(query: SessionQuery) -> list[bytes]:
        database = Database(database_url)
        found = (await SessionStore(database).page(query, 1000)).documents
        await database.close()
        return found

    since = timestamps.parse("2024-01-10").first
    for query, before in (
        (SessionQuery("w", date_from=since), ("0001-01-01T00:00:00.000Z", "00:00", "")),
        (SessionQuery("w", date_to=since, sort="-date"), ("9999-12-31T23:59:59.999Z", "23:59", "zzz")),
        (SessionQuery("w", updated_since=since, sort="updatedAt"), ("0001-01-01T00:00:00.000Z", "")),
    ):
        assert asyncio.run(read(replace(query, after=before))) == asyncio.run(read(query)) != []


def test_an_unknown_workspace_is_not_found_and_an_empty_one_is_an_empty_page(database_url: str, store: Store) -> None:
    store(database_url, [], workspaces=["empty"])

    async def read() -> None:
        database = Database(database_url)
        sessions = SessionStore(database)
        assert (await sessions.page(SessionQuery("empty"), 10)).documents == []
        for unknown in ("unknown", "' OR 1=1 --"):
            with pytest.raises(WorkspaceNotFound):
                await sessions.page(SessionQuery(unknown), 10)
            with pytest.raises(WorkspaceNotFound):
                await sessions.revision(unknown)
        await database.close()

    asyncio.run(read())


def test_a_page_carries_the_revision_at_which_it_was_read(database_url: str, store: Store) -> None:
    store(database_url, documents(Random(1)))  # noqa: S311
    revisions = dict(fetch(database_url, "SELECT id, revision FROM workspaces"))

    async def read() -> list[int]:
        database = Database(database_url)
        sessions = SessionStore(database)
        found = [(await sessions.page(SessionQuery("w"), 5)).revision, await sessions.revision("w")]
        await database.close()
        return found

    assert asyncio.run(read()) == [revisions["w"]] * 2


def test_a_snapshot_shows_one_state_while_others_write(database_url: str, store: Store) -> None:
    store(database_url, [{**DOCUMENTED_SESSION, "workspaceId": "w", "id": f"{number}"} for number in range(4)])

    async def read() -> None:
        database = Database(database_url)
        sessions = SessionStore(database)
        async with sessions.snapshot() as snapshot:
            first = await snapshot.page(SessionQuery("w"), 2)
            assert first.next is not None
            await asyncio.to_thread(store, database_url, [], workspaces=["w"], fresh=True)
            second = await snapshot.page(SessionQuery("w", after=first.next), 2)
            assert len(second.documents) == 2
            assert second.revision == first.revision
        assert (await sessions.page(SessionQuery("w"), 2)).documents == []
        await database.close()

    asyncio.run(read())


def sized(number: int, size: int) -> dict[str, Any]:
    return {**DOCUMENTED_SESSION, "workspaceId": "w", "id": f"{number:02}", "notes": [{"text": "x" * size}]}


def test_a_page_of_large_documents_is_bounded_by_their_size(database_url: str, store: Store) -> None:
    third = MAX_PAGE_SIZE // 3
    sizes = [10, 10, third, third, 10, third, third, MAX_SIZE - 2_000, 2 * MAX_PAGE_SIZE, MAX_SIZE, 10]
    store(database_url, [sized(number, size) for number, size in enumerate(sizes)])

    async def read() -> tuple[list[bytes], list[list[bytes]]]:
        database = Database(database_url)
        sessions = SessionStore(database)
        pages, query = [], SessionQuery("w")
        while True:
            page = await sessions.page(query, 100)
            pages.append(page.documents)
            if page.next is None:
                break
            query = replace(query, after=page.next)
        everything = await read_pages(sessions, SessionQuery("w"), 3)
        await database.close()
        return everything, pages

    everything, pages = asyncio.run(read())
    expected = [encode(sized(number, size)) for number, size in enumerate(sizes)]
    assert [document for page in pages for document in page] == everything == expected
    assert all(len(page) == 1 or sum(map(len, page)) <= MAX_PAGE_SIZE + MAX_SIZE * len(page) for page in pages)
    assert 3 <= len(pages) <= 8


def test_a_document_that_is_no_session_ends_a_page_with_a_violation_of_the_contract(
    sqlite_databases: Databases, store: Store
) -> None:
    url = sqlite_databases.migrated()
    store(url, [{**DOCUMENTED_SESSION, "workspaceId": "w", "id": f"{number}"} for number in range(4)])

    # SQLite reads half of a surrogate pair, and the contract has no such text.
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    connection.execute("""UPDATE sessions SET document = replace(document, 'John', '\\ud800')""")
    connection.commit()
    connection.close()

    async def read() -> None:
        database = Database(url)
        try:
            await SessionStore(database).page(SessionQuery("w"), 1)
        finally:
            await database.close()

    with pytest.raises(ContractViolation):
        asyncio.run(read())
