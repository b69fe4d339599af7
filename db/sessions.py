"""Sessions: the one query of the service."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Row, Select, false, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

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


# One row a session: a session without services, or with several, is still one row. The array is sorted in `_session`,
# since SQLite before 3.44 has no ORDER BY in an aggregate.
_services = (
    select(
        func.json_group_array(func.json_array(session_services.c.position, session_services.c.service_id, services.c.name))
    )
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
    .order_by(sessions.c.date, sessions.c.start_time, sessions.c.id)
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
    # A moment beyond what can be stored lets every session pass, or none.
    if wanted.date_from is not None and wanted.date_from > timestamps.FIRST:
        yield sessions.c.date >= timestamps.write(wanted.date_from) if wanted.date_from <= timestamps.LAST else false()
    if wanted.date_to is not None and wanted.date_to < timestamps.LAST:
        yield sessions.c.date <= timestamps.write(wanted.date_to) if wanted.date_to >= timestamps.FIRST else false()
    if wanted.status is not None:
        yield sessions.c.status == wanted.status


def sessions_query(workspace_id: str, wanted: SessionFilter) -> Select[Any]:
    """The statement that lists the wanted sessions of a workspace in the documented order."""
    return _all_sessions.where(*_conditions(workspace_id, wanted))


async def list_sessions(connection: AsyncConnection, workspace_id: str, wanted: SessionFilter) -> list[dict[str, JSONValue]]:
    """The wanted sessions of a workspace as the contract writes them, ordered by date, start time and id."""
    return [_session(row) for row in await connection.execute(sessions_query(workspace_id, wanted))]


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
