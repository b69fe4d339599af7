"""What can be asked about the sessions of a workspace."""

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import Column

from db.tables import sessions


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """Which sessions of a workspace to list; what is None does not filter.

    Dates are moments (`openapi.timestamps`), both inclusive. `service_ids` asks for sessions with at least one of them.
    """

    client_id: str | None = None
    service_ids: tuple[str, ...] | None = None
    date_from: int | None = None
    date_to: int | None = None
    status: str | None = None
    staff_id: str | None = None
    updated_since: int | None = None


class Order(NamedTuple):
    """A total order of the sessions of a workspace."""

    columns: tuple[Column[Any], ...]
    descending: bool

    @property
    def is_by_date(self) -> bool:
        """Whether the dates of sessions come first in it."""
        return self.columns[0] is sessions.c.date


_BY_DATE = (sessions.c.date, sessions.c.start_time, sessions.c.id)
_BY_CHANGE = (sessions.c.updated_at, sessions.c.id)
ORDERS = {
    "date": Order(_BY_DATE, descending=False),
    "-date": Order(_BY_DATE, descending=True),
    "updatedAt": Order(_BY_CHANGE, descending=False),
    "-updatedAt": Order(_BY_CHANGE, descending=True),
}
"""The orders that the contract names in `sort`."""

Position: TypeAlias = tuple[str, ...]
"""Where a session stands in an order: the values of its columns."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about the sessions of a workspace: which, in which order, from behind which position."""

    workspace_id: str
    wanted: SessionFilter = SessionFilter()
    sort: str = "date"
    after: Position | None = None
