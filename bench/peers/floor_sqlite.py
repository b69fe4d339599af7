"""The relational floor of SQLite: bare ASGI, one sqlite3 statement, orjson."""

import orjson
from orjson import Fragment

from bench.peers import bare, sqlite

STATEMENT = """
    SELECT s.id, s.client_id, c.name, s.staff_id, t.name, s.name, s.date, s.start_time, s.end_time, s.duration_minutes,
        s.status, s.field_values, s.attachments, s.notes, s.invoice, s.created_at, s.updated_at,
        (SELECT json_group_array(x.service_id) FROM session_services x
            WHERE x.workspace_id = s.workspace_id AND x.session_id = s.id ORDER BY x.position)
    FROM sessions s
    JOIN clients c ON c.workspace_id = s.workspace_id AND c.id = s.client_id
    JOIN staff t ON t.workspace_id = s.workspace_id AND t.id = s.staff_id
    WHERE {where}
    ORDER BY s.date, s.start_time, s.id
"""


async def list_sessions(workspace_id: str, query: dict[str, str]) -> bytes | None:
    rows = sqlite.fetch(STATEMENT, workspace_id, query)
    if rows is None:
        return None
    names = dict(sqlite.connection.execute("SELECT id, name FROM services WHERE workspace_id = ?", [workspace_id]))
    sessions = []
    for (
        id_, client_id, client_name, staff_id, staff_name, name, date, start_time, end_time, duration_minutes,
        status, field_values, attachments, notes, invoice, created_at, updated_at, services,
    ) in rows:  # fmt: skip
        service_ids = orjson.loads(services)
        sessions.append(
            {
                "id": id_,
                "workspaceId": workspace_id,
                "clientId": client_id,
                "clientName": client_name,
                "serviceIds": service_ids,
                "serviceNames": [names[id_] for id_ in service_ids],
                "staffId": staff_id,
                "staffName": staff_name,
                "name": name,
                "date": date,
                "startTime": start_time,
                "endTime": end_time,
                "durationMinutes": duration_minutes,
                "status": status,
                "fieldValues": Fragment(field_values),
                "attachments": Fragment(attachments),
                "notes": Fragment(notes),
                "invoice": invoice and Fragment(invoice),
                "createdAt": created_at,
                "updatedAt": updated_at,
            }
        )
    return orjson.dumps({"sessions": sessions})


app = bare.asgi(list_sessions, sqlite.lifespan)
