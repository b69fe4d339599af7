"""Questions to ask of a practice: every filter alone, every pair, all together, and those that are hard to answer."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

from db.questions import Position, SessionFilter
from openapi import timestamps
from tests.scale.costs import Asked
from tests.scale.practice import CLIENT, REGULAR, STAFF, Booked


def _moment(text: str) -> int:
    return timestamps.parse(text).first


# The moment is in the middle of the data: what was changed since is at its end, and the list begins at its start.
_FILTERS = {
    "clientId": SessionFilter(client_id=CLIENT),
    "serviceIds": SessionFilter(service_ids=(Booked.USUALLY,)),
    "dateFrom": SessionFilter(date_from=_moment("2023-07-01")),
    "dateTo": SessionFilter(date_to=_moment("2024-06-30")),
    "status": SessionFilter(status="completed"),
    "staffId": SessionFilter(staff_id=STAFF),
    "updatedSince": SessionFilter(updated_since=_moment("2023-07-01")),
}


FAR_IN: Position = ("2024-03-01T00:00:00.000Z", "12:00", "")
"""A position by date behind more than half of the sessions."""


def _both(one: SessionFilter, other: SessionFilter) -> SessionFilter:
    set_ = {name: getattr(other, name) for name in SessionFilter.__slots__ if getattr(other, name) is not None}
    return replace(one, **set_)


def plain() -> Iterator[Asked]:
    """No filter, every filter alone, every pair, and all together."""
    yield Asked("(none)", SessionFilter())
    yield from (Asked(name, one) for name, one in _FILTERS.items())
    for (name, one), (other_name, other) in combinations(_FILTERS.items(), 2):
        yield Asked(f"{name}, {other_name}", _both(one, other))
    together = SessionFilter()
    for one in _FILTERS.values():
        together = _both(together, one)
    yield Asked("all together", together)


def hard() -> Iterator[Asked]:
    """Rare, unknown and contradictory ones, and those of which there are very many."""
    yesterday, last_month = _moment("2025-12-31"), _moment("2025-12-01")
    first, last = _moment("2023-07-01"), _moment("2023-07-31")
    half = _moment("2023-07-01")
    booked = {service.name.lower().replace("_", " "): (service.value,) for service in Booked} | {
        "unknown": ("nothing",),
        "mostly or rarely": (Booked.MOSTLY, Booked.RARELY),
        "100 unknown": tuple(f"nothing{number}" for number in range(100)),
    }
    for name, ids in booked.items():
        yield Asked(f"service {name}", SessionFilter(service_ids=ids))
        yield Asked(f"service {name}, scheduled", SessionFilter(service_ids=ids, status="scheduled"))
        yield Asked(f"service {name}, one month", SessionFilter(service_ids=ids, date_from=first, date_to=last))
        yield Asked(f"service {name}, changed in the last month", SessionFilter(service_ids=ids, updated_since=last_month))
        yield Asked(f"service {name}, regular client", SessionFilter(service_ids=ids, client_id=REGULAR))
    for name, since in {"since yesterday": yesterday, "in the last month": last_month, "in half of the time": half}.items():
        yield Asked(f"changed {name}", SessionFilter(updated_since=since))
        yield Asked(f"changed {name}, scheduled", SessionFilter(updated_since=since, status="scheduled"))
        yield Asked(f"changed {name}, in progress", SessionFilter(updated_since=since, status="in-progress"))
        yield Asked(f"changed {name}, cancelled", SessionFilter(updated_since=since, status="cancelled"))
        yield Asked(f"changed {name}, one month", SessionFilter(updated_since=since, date_from=first, date_to=last))
        yield Asked(f"changed {name}, regular client", SessionFilter(updated_since=since, client_id=REGULAR))
        yield Asked(f"changed {name}, one of the staff", SessionFilter(updated_since=since, staff_id=STAFF))
    yield Asked("regular client", SessionFilter(client_id=REGULAR))
    yield Asked("regular client, in progress", SessionFilter(client_id=REGULAR, status="in-progress"))
    yield Asked("in progress", SessionFilter(status="in-progress"))
    yield Asked("from after to", SessionFilter(date_from=_moment("2025-01-01"), date_to=_moment("2024-01-01")))


def in_other_orders() -> Iterator[Asked]:
    """No filter and every filter alone, in the other orders, and far in."""
    for name, wanted, *_ in plain():
        if "," in name or name == "all together":
            continue
        yield Asked(f"{name}, sort=-date", wanted, "-date")
        yield Asked(f"{name}, far in", wanted, "date", FAR_IN)
        yield Asked(f"{name}, sort=-date, far in", wanted, "-date", FAR_IN)
        # Whoever asks for the first changes to what is at one end of the calendar has to wait.
        if not name.startswith("date"):
            yield Asked(f"{name}, sort=updatedAt", wanted, "updatedAt")
            yield Asked(f"{name}, sort=-updatedAt", wanted, "-updatedAt")
