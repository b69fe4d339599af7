"""The normalised tables that the relational peers read, as a tutorial would make them, filled from the same documents.

Timestamps are text in the form of the responses, so that no peer pays for formatting them.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import asyncpg
import orjson

_BATCH = 10_000  # sessions

_NAMED = """
    workspace_id {text} NOT NULL REFERENCES workspaces (id), id {text} NOT NULL, name {text} NOT NULL,
    PRIMARY KEY (workspace_id, id)
"""
_TABLES = {  # those that are referred to come first
    "workspaces": "id {text} NOT NULL PRIMARY KEY",
    "clients": _NAMED,
    "staff": _NAMED,
    "services": _NAMED,
    "sessions": """
        workspace_id {text} NOT NULL REFERENCES workspaces (id), id {text} NOT NULL,
        client_id {text} NOT NULL, staff_id {text} NOT NULL, name {text} NOT NULL,
        date {text} NOT NULL, start_time {text} NOT NULL, end_time {text} NOT NULL, duration_minutes integer NOT NULL,
        status {text} NOT NULL, field_values {text} NOT NULL, attachments {text} NOT NULL, notes {text} NOT NULL,
        invoice {text}, created_at {text} NOT NULL, updated_at {text} NOT NULL,
        PRIMARY KEY (workspace_id, id),
        FOREIGN KEY (workspace_id, client_id) REFERENCES clients (workspace_id, id),
        FOREIGN KEY (workspace_id, staff_id) REFERENCES staff (workspace_id, id)
    """,
    "session_services": """
        workspace_id {text} NOT NULL, session_id {text} NOT NULL, position integer NOT NULL, service_id {text} NOT NULL,
        PRIMARY KEY (workspace_id, session_id, position),
        FOREIGN KEY (workspace_id, session_id) REFERENCES sessions (workspace_id, id),
        FOREIGN KEY (workspace_id, service_id) REFERENCES services (workspace_id, id)
    """,
}
_INDEXES = (
    "sessions (workspace_id, date, start_time, id)",
    "sessions (workspace_id, client_id, date, start_time, id)",
    "sessions (workspace_id, staff_id, date, start_time, id)",
    "sessions (workspace_id, status, date, start_time, id)",
    "sessions (workspace_id, updated_at, id)",
    "session_services (workspace_id, service_id, session_id)",
)


async def fill_postgresql(url: str, documents: Iterable[dict[str, Any]]) -> None:
    """Create the tables in an empty PostgreSQL database, and fill them."""
    connection = await asyncpg.connect(url)
    for table, columns in _TABLES.items():
        in_order_of_bytes = columns.format(text='text COLLATE "C"')
        await connection.execute(f"CREATE TABLE {table} ({in_order_of_bytes})")
    for batch in _batches(documents):
        for table, rows in batch.items():
            await connection.copy_records_to_table(table, records=rows)
    for index in _INDEXES:
        await connection.execute(f"CREATE INDEX ON {index}")
    await connection.execute("VACUUM (FREEZE, ANALYZE)")
    await connection.close()


def fill_sqlite(file: Path, documents: Iterable[dict[str, Any]]) -> None:
    """Create the tables in a new SQLite file, and fill them."""
    with closing(sqlite3.connect(file)) as connection:
        for table, columns in _TABLES.items():
            connection.execute(f"CREATE TABLE {table} ({columns.format(text='text')}) STRICT")
        for batch in _batches(documents):
            for table, rows in batch.items():
                if rows:
                    values = ", ".join("?" * len(rows[0]))
                    connection.executemany(f"INSERT INTO {table} VALUES ({values})", rows)  # noqa: S608 - our own tables
        for number, index in enumerate(_INDEXES):
            connection.execute(f"CREATE INDEX ix_{number} ON {index}")
        connection.execute("ANALYZE")
        connection.commit()


def _batches(documents: Iterable[dict[str, Any]]) -> Iterator[dict[str, list[tuple[Any, ...]]]]:
    """The rows of each table, for some documents at a time."""
    seen: set[tuple[str, tuple[str, ...]]] = set()
    rest = iter(documents)
    while sessions := list(islice(rest, _BATCH)):
        batch: dict[str, list[tuple[Any, ...]]] = {table: [] for table in _TABLES}
        for session in sessions:
            for table, row in _shared_rows(session):
                if (table, row) not in seen:
                    seen.add((table, row))
                    batch[table].append(row)
            batch["sessions"].append(_session_row(session))
            batch["session_services"] += [
                (session["workspaceId"], session["id"], *booked) for booked in enumerate(session["serviceIds"])
            ]
        yield batch


def _shared_rows(session: dict[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each row that a session refers to, with its table."""
    workspace = session["workspaceId"]
    yield "workspaces", (workspace,)
    yield "clients", (workspace, session["clientId"], session["clientName"])
    yield "staff", (workspace, session["staffId"], session["staffName"])
    for service in zip(session["serviceIds"], session["serviceNames"], strict=True):
        yield "services", (workspace, *service)


def _session_row(session: dict[str, Any]) -> tuple[Any, ...]:
    columns = (
        *("workspaceId", "id", "clientId", "staffId", "name", "date", "startTime", "endTime", "durationMinutes", "status"),
        *("fieldValues", "attachments", "notes", "invoice", "createdAt", "updatedAt"),
    )
    values = (session[name] for name in columns)
    return tuple(orjson.dumps(value).decode() if isinstance(value, (list, dict)) else value for value in values)
