"""A relational floor: bare ASGI, one asyncpg statement that aggregates the names in SQL, orjson."""

import orjson
from orjson import Fragment

from bench.peers import bare, postgresql

STATEMENT = """
    SELECT s.*, c.name AS client_name, t.name AS staff_name, b.ids AS service_ids, b.names AS service_names
    FROM sessions s
    JOIN clients c ON c.workspace_id = s.workspace_id AND c.id = s.client_id
    JOIN staff t ON t.workspace_id = s.workspace_id AND t.id = s.staff_id
    LEFT JOIN LATERAL (
        SELECT array_agg(x.service_id ORDER BY x.position) AS ids, array_agg(v.name ORDER BY x.position) AS names
        FROM session_services x
        JOIN services v ON v.workspace_id = x.workspace_id AND v.id = x.service_id
        WHERE x.workspace_id = s.workspace_id AND x.session_id = s.id
    ) b ON true
    WHERE {where}
    ORDER BY s.date, s.start_time, s.id
"""


async def list_sessions(workspace_id: str, query: dict[str, str]) -> bytes | None:
    rows = await postgresql.fetch(STATEMENT, workspace_id, query)
    if rows is None:
        return None
    sessions = [
        {
            "id": row["id"],
            "workspaceId": workspace_id,
            "clientId": row["client_id"],
            "clientName": row["client_name"],
            "serviceIds": row["service_ids"] or [],
            "serviceNames": row["service_names"] or [],
            "staffId": row["staff_id"],
            "staffName": row["staff_name"],
            "name": row["name"],
            "date": row["date"],
            "startTime": row["start_time"],
            "endTime": row["end_time"],
            "durationMinutes": row["duration_minutes"],
            "status": row["status"],
            "fieldValues": Fragment(row["field_values"]),
            "attachments": Fragment(row["attachments"]),
            "notes": Fragment(row["notes"]),
            "invoice": row["invoice"] and Fragment(row["invoice"]),
            "createdAt": row["created_at"],
            "updatedAt": row["updated_at"],
        }
        for row in rows
    ]
    return orjson.dumps({"sessions": sessions})


app = bare.asgi(list_sessions, postgresql.lifespan)
