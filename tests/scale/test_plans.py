"""The plans of the list: along indexes, and as much work in a large practice as in a small one."""

import asyncio
from collections.abc import Iterator
from itertools import chain

from db.engine import Database
from db.lists import Way, sessions_statement, sessions_values
from db.questions import Question, SessionFilter
from db.readers import Reader
from tests.conftest import Databases
from tests.scale import questions
from tests.scale.costs import Asked, Cost, cost
from tests.scale.practice import fill

MUCH = {"sqlite": (700, 5_000), "postgresql": (4_500, 15_000)}
"""More work than any question takes, plain or hard, and less than to go through a practice of 50,000 sessions once."""


def asked() -> Iterator[tuple[Asked, bool]]:
    """Questions, each with whether it is hard."""
    yield from ((each, False) for each in questions.plain())
    yield from ((each, True) for each in chain(questions.hard(), questions.in_other_orders()))


def test_no_question_scans_a_table_or_takes_work_that_grows_with_the_practice(databases: Databases) -> None:
    url = databases.migrated()

    engine = url.partition(":")[0]

    async def ask() -> dict[str, tuple[Cost, int]]:
        await fill(url, {"other": 10_000, "large": 50_000})
        database = Database(url, read_only=True)
        try:
            return {each.name: (await cost(database, "large", each), MUCH[engine][is_hard]) for each, is_hard in asked()}
        finally:
            await database.close()

    costs = asyncio.run(ask())
    assert {name: each.scans for name, (each, _) in costs.items() if each.scans} == {}
    assert {name: (each.work, much) for name, (each, much) in costs.items() if each.work > much} == {}


def ways(wanted: SessionFilter, sort: str) -> Iterator[Way]:
    if wanted.service_ids is not None:
        yield Way.BOOKED
        if wanted.client_id is None and sort in ("date", "-date"):
            yield Way.BY_SERVICE
    if wanted.updated_since is not None:
        yield Way.CHANGED
        if wanted.client_id is None and wanted.staff_id is None and sort in ("date", "-date"):
            yield Way.BY_STRETCH


async def ids(reader: Reader, question: Question, way: Way) -> list[str]:
    limit = 30
    shape, values = sessions_values(question, reader.engine, way)
    statement = sessions_statement(shape, reader.engine)
    rows = await reader.fetch(f"{statement.text} LIMIT {limit}", statement.values(values | {"limit": limit}))
    return [row[0] for row in rows]


def test_every_way_leads_to_the_same_sessions_in_the_same_order(databases: Databases) -> None:
    url = databases.migrated()

    async def compare() -> int:
        await fill(url, {"other": 1_000, "practice": 3_000})
        database = Database(url, read_only=True)
        found = 0
        async with database.reader() as reader:
            for each in chain(questions.plain(), questions.hard(), questions.in_other_orders()):
                descending = [] if each.sort != "date" else ["-date"]
                for sort in [each.sort, *descending]:
                    question = Question("practice", each.wanted, sort, each.after)
                    along = await ids(reader, question, Way.ALONG)
                    for way in ways(each.wanted, sort):
                        listed = await ids(reader, question, way)
                        assert listed == along, (each.name, sort, way)
                        found += len(listed)
        await database.close()
        return found

    assert asyncio.run(compare()) > 1_000
