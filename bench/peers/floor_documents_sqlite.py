"""The documents floor of SQLite: bare ASGI, one sqlite3 statement over the documents that the product stores."""

from bench.peers import bare, sqlite

STATEMENT = "SELECT CAST(s.document AS BLOB) FROM sessions s WHERE {where} ORDER BY s.date, s.start_time, s.id"


async def list_sessions(workspace_id: str, query: dict[str, str]) -> bytes | None:
    rows = sqlite.fetch(STATEMENT, workspace_id, query)
    return None if rows is None else bare.joined([document for (document,) in rows])


app = bare.asgi(list_sessions, sqlite.lifespan)
