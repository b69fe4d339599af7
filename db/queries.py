"""What a list of sessions can be filtered and sorted by."""

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

Position: TypeAlias = tuple[str, ...]
"""Where a session stands in an order: the values of the members that the order compares."""


class Order(NamedTuple):
    """A total order of the sessions of a workspace, by members of the document."""

    members: tuple[str, ...]
    descending: bool = False

    @property
    def by_date(self) -> bool:
        return self.members[0] == "date"


_BY_DATE = ("date", "startTime", "id")
_BY_CHANGE = ("updatedAt", "id")
ORDERS = {
    "date": Order(_BY_DATE),
    "-date": Order(_BY_DATE, descending=True),
    "updatedAt": Order(_BY_CHANGE),
    "-updatedAt": Order(_BY_CHANGE, descending=True),
}
"""The orders that the contract names in `sort`."""


@dataclass(frozen=True, slots=True)
class SessionQuery:
    """Which sessions of a workspace to list, in which order, behind which position. None does not filter.

    Moments are milliseconds (`openapi.timestamps`), inclusive. `service_ids` are distinct, and match a session that has any
    of them.
    """

    workspace_id: str
    client_id: str | None = None
    service_ids: tuple[str, ...] | None = None
    date_from: int | None = None
    date_to: int | None = None
    status: str | None = None
    staff_id: str | None = None
    updated_since: int | None = None
    sort: str = "date"
    after: Position | None = None

    @property
    def order(self) -> Order:
        return ORDERS[self.sort]
