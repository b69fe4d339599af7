"""Queries on a practice: every filter alone, every pair, all together, and those that are hard to answer."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

from db.queries import Position, SessionQuery
from openapi import timestamps
from tests.scale.costs import Case
from tests.scale.practice import CLIENT, PRACTICE, REGULAR, STAFF, Service


def _moment(text: str) -> int:
    return timestamps.parse(text).first


_FILTERS = {
    "clientId": SessionQuery(PRACTICE, client_id=CLIENT),
    "serviceIds": SessionQuery(PRACTICE, service_ids=(Service.USUALLY,)),
    "dateFrom": SessionQuery(PRACTICE, date_from=_moment("2023-07-01")),
    "dateTo": SessionQuery(PRACTICE, date_to=_moment("2024-06-30")),
    "status": SessionQuery(PRACTICE, status="completed"),
    "staffId": SessionQuery(PRACTICE, staff_id=STAFF),
    "updatedSince": SessionQuery(PRACTICE, updated_since=_moment("2025-12-31")),
}


FAR_IN: Position = ("2024-03-01T00:00:00.000Z", "12:00", "")
"""A position by date behind more than half of the sessions."""


def _both(one: SessionQuery, other: SessionQuery) -> SessionQuery:
    default = SessionQuery(PRACTICE)
    changed = {
        name: getattr(other, name) for name in SessionQuery.__slots__ if getattr(other, name) != getattr(default, name)
    }
    return replace(one, **changed)


def plain() -> Iterator[Case]:
    """No filter, every filter alone, every pair, and all together."""
    yield Case("(none)", SessionQuery(PRACTICE))
    yield from (Case(name, one) for name, one in _FILTERS.items())
    for (name, one), (other_name, other) in combinations(_FILTERS.items(), 2):
        yield Case(f"{name}, {other_name}", _both(one, other))
    together = SessionQuery(PRACTICE)
    for one in _FILTERS.values():
        together = _both(together, one)
    yield Case("all together", together)


def hard() -> Iterator[Case]:
    """Rare, unknown and contradictory ones, and those of which there are very many."""
    yesterday, last_month = _moment("2025-12-31"), _moment("2025-12-01")
    first, last = _moment("2023-07-01"), _moment("2023-07-31")
    half = _moment("2023-07-01")
    booked = {service.name.lower().replace("_", " "): (service.value,) for service in Service} | {
        "unknown": ("nothing",),
        "mostly or rarely": (Service.MOSTLY, Service.RARELY),
        "100 unknown": tuple(f"nothing{number}" for number in range(100)),
    }
    for name, ids in booked.items():
        yield Case(f"service {name}", SessionQuery(PRACTICE, service_ids=ids))
        yield Case(f"service {name}, scheduled", SessionQuery(PRACTICE, service_ids=ids, status="scheduled"))
        yield Case(f"service {name}, one month", SessionQuery(PRACTICE, service_ids=ids, date_from=first, date_to=last))
        yield Case(
            f"service {name}, changed in the last month", SessionQuery(PRACTICE, service_ids=ids, updated_since=last_month)
        )
        yield Case(f"service {name}, regular client", SessionQuery(PRACTICE, service_ids=ids, client_id=REGULAR))
    for name, since in {"since yesterday": yesterday, "in the last month": last_month, "in half of the time": half}.items():
        yield Case(f"changed {name}", SessionQuery(PRACTICE, updated_since=since))
        yield Case(f"changed {name}, scheduled", SessionQuery(PRACTICE, updated_since=since, status="scheduled"))
        yield Case(f"changed {name}, in progress", SessionQuery(PRACTICE, updated_since=since, status="in-progress"))
        yield Case(f"changed {name}, cancelled", SessionQuery(PRACTICE, updated_since=since, status="cancelled"))
        yield Case(f"changed {name}, one month", SessionQuery(PRACTICE, updated_since=since, date_from=first, date_to=last))
        yield Case(f"changed {name}, regular client", SessionQuery(PRACTICE, updated_since=since, client_id=REGULAR))
        yield Case(f"changed {name}, one of the staff", SessionQuery(PRACTICE, updated_since=since, staff_id=STAFF))
    yield Case("regular client", SessionQuery(PRACTICE, client_id=REGULAR))
    yield Case("regular client, in progress", SessionQuery(PRACTICE, client_id=REGULAR, status="in-progress"))
    yield Case("in progress", SessionQuery(PRACTICE, status="in-progress"))
    yield Case("from after to", SessionQuery(PRACTICE, date_from=_moment("2025-01-01"), date_to=_moment("2024-01-01")))


def in_other_orders() -> Iterator[Case]:
    """No filter and every filter alone, in the other orders, and far in."""
    for name, query in plain():
        if "," in name or name == "all together":
            continue
        yield Case(f"{name}, sort=-date", replace(query, sort="-date"))
        yield Case(f"{name}, far in", replace(query, after=FAR_IN))
        yield Case(f"{name}, sort=-date, far in", replace(query, sort="-date", after=FAR_IN))
        yield Case(f"{name}, sort=updatedAt", replace(query, sort="updatedAt"))
        yield Case(f"{name}, sort=-updatedAt", replace(query, sort="-updatedAt"))
    first, last = _moment("2023-07-01"), _moment("2023-07-31")
    one_month = SessionQuery(PRACTICE, date_from=first, date_to=last, status="in-progress")
    for sort in ("date", "updatedAt", "-updatedAt"):
        staff = SessionQuery(PRACTICE, staff_id=STAFF, status="in-progress", sort=sort)
        services = SessionQuery(PRACTICE, service_ids=(Service.MOSTLY, Service.USUALLY), sort=sort)
        yield Case(f"staffId, in progress, sort={sort}", staff)
        yield Case(f"one month, in progress, sort={sort}", replace(one_month, sort=sort))
        yield Case(f"two services, sort={sort}", services)
