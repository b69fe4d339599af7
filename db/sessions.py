"""Sessions: the one query of the service."""

from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import orjson
from sqlalchemy import Column, ColumnElement, Row, Select, false, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from db.tables import clients, services, session_services, sessions, staff
from openapi import timestamps
from openapi.json import JSONArray, JSONObject, JSONValue


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


_BY_DATE = (sessions.c.date, sessions.c.start_time, sessions.c.id)
_BY_CHANGE = (sessions.c.updated_at, sessions.c.id)
ORDERS: Mapping[str, Order] = {
    "date": Order(_BY_DATE, descending=False),
    "-date": Order(_BY_DATE, descending=True),
    "updatedAt": Order(_BY_CHANGE, descending=False),
    "-updatedAt": Order(_BY_CHANGE, descending=True),
}
"""The orders that the contract names in `sort`."""

Position: TypeAlias = tuple[str, ...]
"""Where a session stands in an order: the values of its columns."""


@dataclass(frozen=True, slots=True)
class Page:
    """Sessions as the contract writes them, and where the next page begins; None when there is none."""

    sessions: list[dict[str, JSONValue]]
    next: Position | None


class _array_of_arrays(GenericFunction[str]):  # noqa: N801 - a function of SQL
    """The rows of a group as JSON text: an array of arrays, in any order, empty when there are none."""

    inherit_cache = True


@compiles(_array_of_arrays, "sqlite")
def _on_sqlite(element: _array_of_arrays, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_group_array(json_array({compiler.process(element.clauses, **options)}))"


@compiles(_array_of_arrays, "postgresql")
def _on_postgresql(element: _array_of_arrays, compiler: SQLCompiler, **options: Any) -> str:
    return f"coalesce(json_agg(json_build_array({compiler.process(element.clauses, **options)})), '[]')::text"


# One row a session: a session without services, or with several, is still one row. The array is sorted in `_session`,
# since SQLite before 3.44 has no ORDER BY in an aggregate.
_services = (
    select(_array_of_arrays(session_services.c.position, session_services.c.service_id, services.c.name))
    .join(
        services,
        (services.c.workspace_id == session_services.c.workspace_id) & (services.c.id == session_services.c.service_id),
    )
    .where(session_services.c.workspace_id == sessions.c.workspace_id, session_services.c.session_id == sessions.c.id)
    .correlate(sessions)
    .scalar_subquery()
)

_all_sessions = (
    select(sessions, clients.c.name.label("client_name"), staff.c.name.label("staff_name"), _services.label("services"))
    .join(clients, (clients.c.workspace_id == sessions.c.workspace_id) & (clients.c.id == sessions.c.client_id))
    .join(staff, (staff.c.workspace_id == sessions.c.workspace_id) & (staff.c.id == sessions.c.staff_id))
)


def _conditions(workspace_id: str, wanted: SessionFilter) -> Iterator[ColumnElement[bool]]:
    yield sessions.c.workspace_id == workspace_id
    if wanted.client_id is not None:
        yield sessions.c.client_id == wanted.client_id
    if wanted.service_ids is not None:
        yield (
            select(session_services.c.session_id)
            .where(
                session_services.c.workspace_id == workspace_id,
                session_services.c.session_id == sessions.c.id,
                session_services.c.service_id.in_(wanted.service_ids),
            )
            .exists()
        )
    if wanted.date_from is not None:
        yield from _at_or_after(sessions.c.date, wanted.date_from)
    if wanted.date_to is not None and wanted.date_to < timestamps.LAST:
        yield sessions.c.date <= timestamps.write(wanted.date_to) if wanted.date_to >= timestamps.FIRST else false()
    if wanted.status is not None:
        yield sessions.c.status == wanted.status
    if wanted.staff_id is not None:
        yield sessions.c.staff_id == wanted.staff_id
    if wanted.updated_since is not None:
        yield from _at_or_after(sessions.c.updated_at, wanted.updated_since)


def _at_or_after(column: Column[str], moment: int) -> Iterator[ColumnElement[bool]]:
    # A moment beyond what can be stored lets every session pass, or none.
    if moment > timestamps.FIRST:
        yield column >= timestamps.write(moment) if moment <= timestamps.LAST else false()


def sessions_query(
    workspace_id: str,
    wanted: SessionFilter,
    order: Order = ORDERS["date"],
    after: Position | None = None,
    limit: int | None = None,
) -> Select[Any]:
    """The statement that lists the wanted sessions of a workspace in an order, from behind a position, up to a number."""
    query = _all_sessions.where(*_conditions(workspace_id, wanted))
    if after is not None:
        here, there = tuple_(*order.columns), tuple_(*after)
        query = query.where(here < there if order.descending else here > there)
    return query.order_by(*(column.desc() if order.descending else column for column in order.columns)).limit(limit)


async def list_sessions(
    connection: AsyncConnection,
    workspace_id: str,
    wanted: SessionFilter,
    order: Order = ORDERS["date"],
    after: Position | None = None,
    limit: int | None = None,
) -> Page:
    """The wanted sessions of a workspace in an order; all of them, or at most `limit` from behind a position."""
    # One more than asked for tells whether there is a next page.
    query = sessions_query(workspace_id, wanted, order, after, None if limit is None else limit + 1)
    rows = (await connection.execute(query)).all()
    if limit is None or len(rows) <= limit:
        return Page([_session(row) for row in rows], None)
    last = rows[limit - 1]
    position = tuple(str(getattr(last, column.name)) for column in order.columns)
    return Page([_session(row) for row in rows[:limit]], position)


async def stream_sessions(
    connection: AsyncConnection,
    workspace_id: str,
    wanted: SessionFilter,
    order: Order = ORDERS["date"],
    after: Position | None = None,
    size: int = 500,
) -> AsyncGenerator[list[dict[str, JSONValue]]]:
    """All wanted sessions of a workspace in an order, `size` at a time, in memory that does not grow with their number."""
    query = sessions_query(workspace_id, wanted, order, after)
    async with connection.stream(query, execution_options={"yield_per": size}) as rows:
        async for part in rows.partitions():
            yield [_session(row) for row in part]


def _session(row: Row[Any]) -> dict[str, JSONValue]:
    booked = sorted(orjson.loads(row.services))
    return {
        "id": row.id,
        "workspaceId": row.workspace_id,
        "clientId": row.client_id,
        "clientName": row.client_name,
        "serviceIds": [service_id for _, service_id, _ in booked],
        "serviceNames": [name for _, _, name in booked],
        "staffId": row.staff_id,
        "staffName": row.staff_name,
        "name": row.name,
        "date": row.date,
        "startTime": row.start_time,
        "endTime": row.end_time,
        "durationMinutes": row.duration_minutes,
        "status": row.status,
        "fieldValues": JSONArray.from_text(row.field_values),
        "attachments": JSONArray.from_text(row.attachments),
        "notes": JSONArray.from_text(row.notes),
        "invoice": None if row.invoice is None else JSONObject.from_text(row.invoice),
        "createdAt": row.created_at,
        "updatedAt": row.updated_at,
    }
