"""The documents floor: bare ASGI, one asyncpg statement over the documents that the product stores, joined as they are."""

from bench.peers import bare, postgresql

STATEMENT = "SELECT s.document FROM sessions s WHERE {where} ORDER BY s.date, s.start_time, s.id"


async def list_sessions(workspace_id: str, query: dict[str, str]) -> bytes | None:
    rows = await postgresql.fetch(STATEMENT, workspace_id, query)
    return None if rows is None else bare.joined([row[0] for row in rows])


app = bare.asgi(list_sessions, postgresql.lifespan)
