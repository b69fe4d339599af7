"""The plans of lists: along indexes, and little work in a large practice."""

import asyncio
from itertools import chain

import pytest

from db.engine import Database
from tests.conftest import Databases
from tests.scale import queries
from tests.scale.costs import Cost, cost
from tests.scale.practice import PRACTICE, fill

pytestmark = pytest.mark.slow

SIZE = 50_000
MAX_WORK = {"sqlite": (700, 30_000), "postgresql": (4_500, 110_000)}
"""More than any plain and any hard query takes. To read all rows once takes more than the first."""


def test_no_list_scans_a_table_or_takes_more_work_than_its_kind_may(databases: Databases) -> None:
    url = databases.migrated()
    plain, hard = MAX_WORK[url.partition(":")[0]]
    cases = [
        *((case, plain) for case in queries.plain()),
        *((case, hard) for case in chain(queries.hard(), queries.in_other_orders())),
    ]

    async def measure() -> dict[str, tuple[Cost, int]]:
        await fill(url, {"other": 10_000, PRACTICE: SIZE})
        database = Database(url)
        try:
            return {case.name: (await cost(database, case.query), limit) for case, limit in cases}
        finally:
            await database.close()

    costs = asyncio.run(measure())
    assert {name: each.scans for name, (each, _) in costs.items() if each.scans} == {}
    assert {name: (each.work, limit) for name, (each, limit) in costs.items() if each.work > limit} == {}
