"""The plans of the list: along indexes, and as much work in a large practice as in a small one."""

import asyncio
from collections.abc import Iterator
from itertools import chain

from db.engine import Database
from tests.conftest import Databases
from tests.scale import questions
from tests.scale.costs import Asked, Cost, cost
from tests.scale.practice import fill

MUCH = {"sqlite": 5_000, "postgresql": 15_000}
"""More work than any question takes, and much less than to go through a practice of 50,000 sessions once."""


def asked() -> Iterator[Asked]:
    yield from chain(questions.plain(), questions.hard(), questions.in_other_orders())


def test_no_question_scans_a_table_or_takes_work_that_grows_with_the_practice(databases: Databases) -> None:
    url = databases.migrated()

    async def ask() -> dict[str, Cost]:
        await fill(url, {"other": 10_000, "large": 50_000})
        database = Database(url, read_only=True)
        try:
            return {each.name: await cost(database, "large", each) for each in asked()}
        finally:
            await database.close()

    costs = asyncio.run(ask())
    assert {name: each.scans for name, each in costs.items() if each.scans} == {}
    engine = url.partition(":")[0]
    assert {name: each.work for name, each in costs.items() if each.work > MUCH[engine]} == {}
