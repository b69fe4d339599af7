"""Data like a practice's, of any size: written by the database itself, the same at every run and on both engines.

Sessions are spread over five years up to `TODAY` and four weeks ahead, ever more of them a day the larger the practice is.
Every client comes about twenty times, besides one to whom each hundredth session belongs. A member of the staff holds up
to 1,500 a year. Of 40 services the first are asked for often and the last seldom; two more are rare. What is past is
completed or cancelled, what is ahead is scheduled; most sessions are changed last soon after they were held.
"""

import sqlite3
from collections.abc import Mapping
from enum import StrEnum
from string import Template

import asyncpg
from sqlalchemy import make_url

FIRST_DAY = "2021-01-01"
TODAY = "2026-01-01"
_DAYS_PAST = 1826
_DAYS = _DAYS_PAST + 28
_FIRST = 1_609_459_200  # FIRST_DAY in seconds since 1970

SERVICES = 40
PRACTICE = "practice"
REGULAR, CLIENT, STAFF = "client0", "client1", "staff0"


class Service(StrEnum):
    """Services, and how often they are booked."""

    MOSTLY = "service00"
    USUALLY = "service12"
    SELDOM = "service39"
    HARDLY_EVER = "service40"
    """Once in 1,000 sessions."""
    RARELY = "service41"
    """Once in 20,000 sessions."""


_POSTGRESQL = {
    "numbers": "SELECT i FROM generate_series(CAST(0 AS bigint), $size - 1) AS i",
    "moment": "to_char(to_timestamp({0}) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\".000Z\"')",
    "hex": "lpad(to_hex({0}), {1}, '0')",
    "decimal": "lpad(({0})::text, {1}, '0')",
    "min": "least",
    "json": "CAST({0} AS json)",
}
_SQLITE = {
    "numbers": "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < $size - 1) SELECT i FROM n",
    "moment": "strftime('%Y-%m-%dT%H:%M:%S.000Z', {0}, 'unixepoch')",
    "hex": "printf('%0{1}x', {0})",
    "decimal": "printf('%0{1}d', {0})",
    "min": "min",
    "json": "{0}",
}


def _random(stream: int, below: str) -> str:
    """A number from 0 to `below`, which depends on i and the stream alone."""
    return f"((i * {1_103_515_245 + 747_796_404 * stream} + {12_345 + 1_013_904_223 * stream}) % 2147483647 % ({below}))"


def _statements(words: Mapping[str, str]) -> list[str]:
    def moment(seconds: str) -> str:
        return words["moment"].format(seconds)

    numbers = words["numbers"]
    day = f"(i * {_DAYS} / $size)"
    date = f"({_FIRST} + {day} * 86400)"
    created = f"({date} - 86400 * (1 + {_random(1, '60')}) + {_random(2, '86400')})"
    soon_after = f"({date} + 43200 + {_random(3, '259200')})"
    late = f"({date} + {_random(4, '31536000')})"
    now = f"{_FIRST + _DAYS_PAST * 86400}"
    held = f"CASE WHEN {_random(5, '50')} = 0 THEN {late} ELSE {soon_after} END"
    updated = f"CASE WHEN {day} < {_DAYS_PAST} THEN {words['min']}({held}, {now} + i % 3600) ELSE {created} END"
    status = (
        f"CASE WHEN {day} > {_DAYS_PAST} THEN CASE {_random(6, '20')} WHEN 0 THEN 'cancelled' ELSE 'scheduled' END"
        f" WHEN {day} = {_DAYS_PAST} THEN CASE {_random(6, '10')} WHEN 0 THEN 'in-progress' ELSE 'scheduled' END"
        f" ELSE CASE WHEN {_random(6, '100')} < 12 THEN 'cancelled' ELSE 'completed' END END"
    )
    # As MongoDB makes them: seconds first, so that later sessions have later ids.
    session_id = words["hex"].format(f"{created}", 8) + " || " + words["hex"].format("i", 16)
    client = f"CASE WHEN {_random(7, '100')} = 0 THEN 0 ELSE {_random(8, '$clients')} END"
    staff = _random(15, "$staff")
    hour = words["decimal"].format(f"8 + {_random(9, '10')}", 2)
    start, end = (f"{hour} || ':' || " + words["decimal"].format(f"{_random(10, '2')} * 30 + {past}", 2) for past in (0, 25))
    # The cube of a number below one is seldom near one.
    first = f"({_random(11, '1000')} * {_random(11, '1000')} * {_random(11, '1000')} * {SERVICES} / 1000000000)"
    second = (
        f"CASE WHEN {_random(12, '20000')} = 0 THEN 41 WHEN {_random(13, '1000')} = 0 THEN 40"
        f" ELSE ({first} + 1 + {_random(14, '3')}) % {SERVICES} END"
    )
    has_second = f"{_random(12, '20000')} = 0 OR {_random(13, '1000')} = 0 OR i % 3 = 0"

    def services(prefix: str) -> str:
        """A JSON array of texts that begin like this and end with the number of each service."""
        one, other = (f"'\"{prefix}' || {words['decimal'].format(number, 2)} || '\"'" for number in (first, second))
        return f"'[' || {one} || CASE WHEN {has_second} THEN ',' || {other} ELSE '' END || ']'"

    members = {
        "id": f"'\"' || {session_id} || '\"'",
        "workspaceId": "'\"$workspace\"'",
        "clientId": f"'\"client' || ({client}) || '\"'",
        "clientName": f"'\"Client ' || ({client}) || '\"'",
        "serviceIds": services("service"),
        "serviceNames": services("Service "),
        "staffId": f"'\"staff' || {staff} || '\"'",
        "staffName": f"'\"Dr. ' || {staff} || '\"'",
        "name": "'\"Consultation ' || i || '\"'",
        "date": f"'\"' || {moment(date)} || '\"'",
        "startTime": f"'\"' || {start} || '\"'",
        "endTime": f"'\"' || {end} || '\"'",
        "durationMinutes": "'25'",
        "status": f"'\"' || {status} || '\"'",
        "fieldValues": """'[{"fieldId":"f1","label":"Reason for the visit","value":"Follow-up ' || i || '"}]'""",
        "attachments": "'[]'",
        "notes": "'[]'",
        "invoice": "'null'",
        "createdAt": f"'\"' || {moment(created)} || '\"'",
        "updatedAt": f"'\"' || {moment(updated)} || '\"'",
    }
    text = " || ',' || ".join(f"""'"{name}":' || {value}""" for name, value in members.items())
    document = words["json"].format("'{' || " + text + " || '}'")
    rows = f"SELECT '$workspace', {session_id}, {document} FROM ({numbers}) AS numbers"
    return [
        "INSERT INTO workspaces (id) VALUES ('$workspace')",
        f"INSERT INTO sessions (workspace_id, id, document) {rows}",
    ]


_SERVICES_OF_ALL = """
INSERT INTO session_services (workspace_id, service_id, date, start_time, session_id, status, staff_id, updated_at)
SELECT sessions.workspace_id, each.value, date, start_time, sessions.id, status, staff_id, updated_at
FROM sessions, {} AS each (value) ORDER BY 1, 2, 3, 4, 5
"""
_SERVICES_ON_SQLITE = _SERVICES_OF_ALL.replace("{} AS each (value)", "json_each(document, '$.serviceIds') AS each")
"""What the triggers would write row by row."""


def _filled(words: Mapping[str, str], workspaces: Mapping[str, int]) -> list[str]:
    return [
        Template(text).substitute(workspace=workspace, size=size, clients=max(2, size // 20), staff=-(-size // 7_500))
        for workspace, size in workspaces.items()
        for text in _statements(words)
    ]


async def fill(url: str, workspaces: Mapping[str, int]) -> None:
    """Write workspaces with these numbers of sessions into a migrated database, and have it look at them."""
    if url.startswith("sqlite"):
        _fill_sqlite(url, workspaces)
    else:
        await _fill_postgresql(url, workspaces)


def _fill_sqlite(url: str, workspaces: Mapping[str, int]) -> None:
    connection = sqlite3.connect(str(make_url(url).database), isolation_level=None)
    connection.executescript("PRAGMA synchronous = OFF; PRAGMA cache_size = -500000; BEGIN")
    # Indexes are built faster than they are kept, and one revision is as good as one for each row.
    kept = connection.execute(
        "SELECT type, name, sql FROM sqlite_schema"
        " WHERE type IN ('index', 'trigger') AND sql IS NOT NULL AND tbl_name <> 'workspaces'"
    ).fetchall()
    for statement in (
        *(f"DROP {kind} {name}" for kind, name, _ in kept),
        *_filled(_SQLITE, workspaces),
        _SERVICES_ON_SQLITE,
        *(definition for _, _, definition in kept),
        "COMMIT",
    ):
        connection.execute(statement)
    connection.close()


async def _fill_postgresql(url: str, workspaces: Mapping[str, int]) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("SET maintenance_work_mem = '256MB'; SET synchronous_commit = off")
    async with connection.transaction():
        indexes = await connection.fetch(
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND indexname LIKE 'ix\\_%'"
        )
        for statement in (
            *(f"DROP INDEX {name}" for name, _ in indexes),
            "ALTER TABLE sessions DISABLE TRIGGER USER",
            *_filled(_POSTGRESQL, workspaces),
            _SERVICES_OF_ALL.format("json_array_elements_text(document -> 'serviceIds')"),
            "ALTER TABLE sessions ENABLE TRIGGER USER",
            *(definition for _, definition in indexes),
        ):
            await connection.execute(statement)
    await connection.execute("VACUUM ANALYZE")
    await connection.close()
