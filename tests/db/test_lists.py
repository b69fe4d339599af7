"""Every way to a list leads to the sessions that plain Python finds, page by page, in whatever data."""

import asyncio
from collections.abc import Iterator
from itertools import product
from random import Random
from typing import Any

import pytest

from db.demo import DOCUMENTED_SESSION
from db.engine import Database
from db.lists import STATUSES, Way, sessions_statement, sessions_values
from db.questions import Question, SessionFilter
from db.readers import Reader
from openapi import timestamps
from tests.conftest import Store

MOMENTS = [
    "0001-01-01T00:00:00.000Z",
    "1999-12-31T23:59:59.999Z",
    "2024-01-01T00:00:00.000Z",
    "2024-01-09T23:59:59.999Z",
    "2024-01-10T00:00:00.000Z",
    "2024-01-12T08:00:00.000Z",
    "2024-01-12T08:00:00.001Z",
    "2024-01-19T23:59:59.999Z",
    "2024-01-29T12:00:00.000Z",
    "2024-01-30T00:00:00.000Z",
    "2024-01-31T23:59:59.999Z",
    "2024-02-01T00:00:00.000Z",
    "9999-12-31T23:59:59.999Z",
]
"""At the ends of days, of stretches of the calendar, of months and of centuries, and some that share one."""
SERVICES, STAFF = "abc", "xy"


def documents(random: Random) -> list[dict[str, Any]]:
    """Sessions of a workspace, w, and of its neighbours, with like ids."""
    return [
        {
            **DOCUMENTED_SESSION,
            "workspaceId": workspace_id,
            "id": f"{random.randrange(1000):03}",
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


def filters(random: Random) -> Iterator[SessionFilter]:
    """Every combination of filters."""

    def moment(*among: str) -> int:
        return timestamps.parse(random.choice(among)).first

    for chosen in product([False, True], repeat=6):
        values: list[Any] = [
            tuple(random.sample([*SERVICES, "unknown"], random.randint(1, 3))),
            moment(*MOMENTS[:6]),
            moment(*MOMENTS[6:]),
            random.choices(STATUSES, [5, 1, 1, 1])[0],
            random.choice(STAFF),
            moment(*MOMENTS),
        ]
        yield SessionFilter(None, *(value if is_chosen else None for is_chosen, value in zip(chosen, values, strict=True)))


def passes(document: dict[str, Any], wanted: SessionFilter) -> bool:
    date, updated_at = (timestamps.parse(document[name]).first for name in ("date", "updatedAt"))
    return (
        (wanted.service_ids is None or not {*wanted.service_ids}.isdisjoint(document["serviceIds"]))
        and (wanted.date_from is None or date >= wanted.date_from)
        and (wanted.date_to is None or date <= wanted.date_to)
        and (wanted.status is None or document["status"] == wanted.status)
        and (wanted.staff_id is None or document["staffId"] == wanted.staff_id)
        and (wanted.updated_since is None or updated_at >= wanted.updated_since)
    )


def ways(wanted: SessionFilter) -> Iterator[Way]:
    yield Way.ALONG
    if wanted.service_ids is not None:
        yield from (Way.BOOKED, Way.BY_SERVICE)
    if wanted.updated_since is not None:
        yield from (Way.CHANGED, Way.NEARBY)
        if wanted.staff_id is None:
            yield Way.BY_STRETCH


async def walk(reader: Reader, wanted: SessionFilter, sort: str, way: Way, limit: int) -> list[str]:
    """The ids on all pages."""
    met: list[str] = []
    after = None
    while True:
        shape, values = sessions_values(Question("w", wanted, sort, after), reader.engine, way)
        statement = sessions_statement(shape, reader.engine)
        # All that there is is nearby.
        given = statement.values(values | {"limit": limit, "nearby": 100})
        rows = await reader.fetch(f"{statement.text} LIMIT {limit}", given)
        met += [row[0] for row in rows]
        if len(rows) < limit:
            return met
        id_, _, _, _, date, start_time, *_ = rows[-1]
        after = (date, start_time, id_)


@pytest.mark.parametrize("seed", range(3))
def test_every_way_leads_to_what_plain_python_finds(database_url: str, store: Store, seed: int) -> None:
    random = Random(seed)  # noqa: S311 - the same at every run
    held = documents(random)
    store(database_url, held)
    # Of documents with one id, the last is what is stored.
    of_w = {document["id"]: document for document in held if document["workspaceId"] == "w"}.values()
    in_order = sorted(of_w, key=lambda document: (document["date"], document["startTime"], document["id"]))

    async def compare() -> int:
        database = Database(database_url, read_only=True)
        found = 0
        async with database.reader() as reader:
            for wanted in filters(random):
                expected = [document["id"] for document in in_order if passes(document, wanted)]
                found += len(expected)
                for sort, way in product(("date", "-date"), ways(wanted)):
                    limit = random.randint(1, 5)
                    met = await walk(reader, wanted, sort, way, limit)
                    assert met == (expected if sort == "date" else expected[::-1]), (wanted, sort, way, limit)
        await database.close()
        return found

    assert asyncio.run(compare()) > 300
