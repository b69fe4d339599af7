"""Another relational floor: bare ASGI, one asyncpg statement for rows and one for names, joined in Python, orjson."""

import orjson
from orjson import Fragment

from bench.peers import bare, postgresql

SESSIONS = """
    SELECT s.*, ARRAY(
        SELECT x.service_id FROM session_services x
        WHERE x.workspace_id = s.workspace_id AND x.session_id = s.id ORDER BY x.position
    ) AS service_ids
    FROM sessions s
    WHERE {where}
    ORDER BY s.date, s.start_time, s.id
"""
NAMES = """
    SELECT id, name FROM clients WHERE workspace_id = $1 AND id = ANY($2)
    UNION ALL SELECT id, name FROM staff WHERE workspace_id = $1
    UNION ALL SELECT id, name FROM services WHERE workspace_id = $1
"""


async def list_sessions(workspace_id: str, query: dict[str, str]) -> bytes | None:
    where, arguments = postgresql.where(workspace_id, query)
    async with postgresql.pool.acquire() as connection:
        rows = await connection.fetch(SESSIONS.format(where=where), *arguments)
        if not rows:
            known = await connection.fetchval("SELECT true FROM workspaces WHERE id = $1", workspace_id)
            return bare.joined([]) if known else None
        names = dict(await connection.fetch(NAMES, workspace_id, list({row["client_id"] for row in rows})))
    sessions = [
        {
            "id": row["id"],
            "workspaceId": workspace_id,
            "clientId": row["client_id"],
            "clientName": names[row["client_id"]],
            "serviceIds": row["service_ids"],
            "serviceNames": [names[id_] for id_ in row["service_ids"]],
            "staffId": row["staff_id"],
            "staffName": names[row["staff_id"]],
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
