"""The tables: what the database derives from documents, and which documents it refuses."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import asyncpg
import pytest

from db.demo import DOCUMENTED_SESSION
from openapi.json import encode
from tests.conftest import Databases
from tests.db.conftest import Execute, fetch, insert

TWO = DOCUMENTED_SESSION["serviceIds"]


class Refused(Exception):
    """The database did not take a document."""


Attempt: TypeAlias = Callable[[str], None]
"""Write a document, given as text, to the row of session s in workspace w; raises `Refused`."""

WRITE = "INSERT INTO sessions (workspace_id, id, document) VALUES ('w', 's', {})"


@pytest.fixture(scope="module")
def attempt_on_sqlite(sqlite_databases: Databases) -> Iterator[Attempt]:
    connection = sqlite3.connect(sqlite_databases.migrated().removeprefix("sqlite:///"), isolation_level=None)
    connection.execute("INSERT INTO workspaces (id) VALUES ('w')")

    def attempt(document: str) -> None:
        connection.execute("BEGIN")
        try:
            connection.execute(WRITE.format("?"), [document])
        except (sqlite3.IntegrityError, sqlite3.OperationalError) as error:
            raise Refused(str(error)) from error
        finally:
            connection.execute("ROLLBACK")

    yield attempt
    connection.close()


@pytest.fixture(scope="module")
def attempt_on_postgresql(postgresql_databases: Databases) -> Iterator[Attempt]:
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(postgresql_databases.migrated()))
        runner.run(connection.execute("INSERT INTO workspaces (id) VALUES ('w')"))

        async def attempt(document: str) -> None:
            transaction = connection.transaction()
            await transaction.start()
            try:
                await connection.execute(WRITE.format("$1"), document)
            except (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError) as error:
                raise Refused(str(error)) from error
            finally:
                await transaction.rollback()

        yield lambda document: runner.run(attempt(document))
        runner.run(connection.close())


@pytest.fixture(params=["sqlite", "postgresql"])
def attempt(request: pytest.FixtureRequest) -> Attempt:
    """A database of each engine with one workspace, w."""
    found: Attempt = request.getfixturevalue(f"attempt_on_{request.param}")
    return found


def document(**changes: Any) -> str:
    return encode(DOCUMENTED_SESSION | {"workspaceId": "w", "id": "s"} | changes).decode()


TAKEN = [
    {},
    {"date": "0001-01-01T00:00:00.000Z"},
    {"date": "9999-12-31T23:59:59.999Z", "updatedAt": "2024-02-29T12:34:56.789Z"},
    {"startTime": "00:00"},
    {"startTime": "23:59"},
    {"name": "استشارة ☀️\u200f", "clientName": "O'Connor"},
    {"serviceIds": [], "serviceNames": []},
    {"serviceIds": ["a", "a"], "serviceNames": ["A", "A"]},
    {"notes": [{}, {"a": [1, None, {"b": {}}]}], "invoice": {"total": 12345678901234567890}},
]


@pytest.mark.parametrize("changes", TAKEN)
def test_a_document_that_the_contract_allows_can_be_stored(attempt: Attempt, changes: dict[str, Any]) -> None:
    attempt(document(**changes))


BAD_TIMESTAMPS = (
    "",
    "now",
    "2024-01-20",
    "2024-01-20T00:00:00Z",
    "2024-01-20T00:00:00.0000Z",
    "2024-01-20T00:00:00.000+00:00",
    "2024-01-20 00:00:00.000Z",
    "2024-02-30T00:00:00.000Z",
    "2024-99-99T00:00:00.000Z",
    "2024-01-20T25:00:00.000Z",
    "2024-01-20Tnonsense.000Z",
    "2023-02-29T00:00:00.000Z",
    "2024-01-20T24:00:00.000Z",
    "2024-01-20T23:59:60.000Z",
    "10000-01-01T00:00:00.000Z",
    "0000-01-01T00:00:00.000Z",
    "２024-01-20T00:00:00.000Z",
    "2460325.5",
)
REFUSED: list[dict[str, Any]] = [
    {"id": "other"},
    {"id": 5},
    {"id": None},
    {"workspaceId": "other"},
    {"workspaceId": None},
    {"clientId": None},
    {"staffId": None},
    {"serviceIds": None},
    {"serviceIds": "a"},
    {"serviceIds": {"a": "b"}},
    *({name: value} for name in ("date", "updatedAt", "createdAt") for value in (*BAD_TIMESTAMPS, None, 1705708800000)),
    *({"startTime": time} for time in ("", "9:00", "24:00", "10:60", "10:00:00", "1a:00", "29:00", None)),
    *({"status": status} for status in ("Scheduled", "", "done", None, 1)),
]


@pytest.mark.parametrize("changes", REFUSED)
def test_a_document_that_would_sort_or_filter_wrongly_is_refused(attempt: Attempt, changes: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        attempt(document(**changes))


NEEDED = ("id", "workspaceId", "clientId", "staffId", "status", "date", "startTime", "updatedAt", "createdAt", "serviceIds")


@pytest.mark.parametrize("name", NEEDED)
def test_a_document_without_a_member_that_lists_need_is_refused(attempt: Attempt, name: str) -> None:
    with pytest.raises(Refused):
        attempt(encode({key: value for key, value in DOCUMENTED_SESSION.items() if key != name}).decode())


@pytest.mark.parametrize("text", ["", "null", "1", '"text"', "[]", "not json", "{", "{}", "{} {}", "{'id': 's'}", "[{}]"])
def test_a_text_that_is_no_json_object_is_refused(attempt: Attempt, text: str) -> None:
    with pytest.raises(Refused):
        attempt(text)


@pytest.mark.parametrize("id_", ["", "no id", "a" * 65, "é", "a/b", "a\n"])
def test_a_workspace_with_an_id_that_no_path_can_name_is_refused(execute: Execute, id_: str) -> None:
    with pytest.raises((sqlite3.IntegrityError, asyncpg.IntegrityConstraintViolationError)):
        execute(f"INSERT INTO workspaces (id) VALUES ('{id_}')")


def test_a_session_of_an_unknown_workspace_is_refused_even_without_foreign_keys(execute: Execute) -> None:
    with pytest.raises((sqlite3.IntegrityError, asyncpg.IntegrityConstraintViolationError)):
        execute(insert(workspaceId="unknown"))


def services(url: str) -> list[tuple[Any, ...]]:
    rows = fetch(
        url,
        "SELECT workspace_id, session_id, service_id, date, start_time, status, staff_id, updated_at FROM session_services",
    )
    return sorted(rows)


def derived(*documents: dict[str, Any]) -> list[tuple[Any, ...]]:
    names = ("date", "startTime", "status", "staffId", "updatedAt")
    return sorted(
        (each["workspaceId"], each["id"], service, *(each[name] for name in names))
        for each in documents
        for service in set(each["serviceIds"])
    )


A, B = ({**DOCUMENTED_SESSION, "workspaceId": workspace_id} for workspace_id in "ab")


def test_the_columns_are_what_the_document_says(two_workspaces: str) -> None:
    names = "workspace_id, id, client_id, staff_id, status, date, start_time, updated_at"
    members = ("workspaceId", "id", "clientId", "staffId", "status", "date", "startTime", "updatedAt")
    assert sorted(fetch(two_workspaces, f"SELECT {names} FROM sessions")) == [
        tuple(each[name] for name in members) for each in (A, B)
    ]


def test_the_document_is_stored_byte_for_byte(two_workspaces: str, execute: Execute) -> None:
    odd = ' {"z": 1.10, "z2":1e2,  "ü": "\\u00fc"}'
    text = encode(A | {"id": "odd"}).decode().replace('"invoice":null', f'"invoice":{odd}')
    execute(f"INSERT INTO sessions (workspace_id, id, document) VALUES ('a', 'odd', '{text}')")
    stored = "CAST(document AS BLOB)" if two_workspaces.startswith("sqlite") else "document"
    assert fetch(two_workspaces, f"SELECT {stored} FROM sessions WHERE id = 'odd'") == [(text.encode(),)]


CHANGES = [
    {"serviceIds": [], "serviceNames": []},
    {"serviceIds": [TWO[1], "other", "other"], "serviceNames": ["1", "2", "2"]},
    {"date": "2025-01-20T00:00:00.000Z", "startTime": "11:00"},
    {"status": "completed", "staffId": "other", "updatedAt": "2025-01-20T00:00:00.000Z"},
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("how", ["upsert", "update", "delete and insert", "replace"])
def test_the_services_of_sessions_follow_the_documents_however_they_are_written(
    two_workspaces: str, execute: Execute, change: dict[str, Any], how: str
) -> None:
    assert services(two_workspaces) == derived(A, B)
    statement = insert(**change)
    if how == "upsert":
        execute(statement + " ON CONFLICT (workspace_id, id) DO UPDATE SET document = excluded.document")
    elif how == "update":
        text = encode(A | change).decode()
        execute(f"UPDATE sessions SET document = '{text}' WHERE workspace_id = 'a'")
    elif how == "delete and insert":
        execute("DELETE FROM sessions WHERE workspace_id = 'a'")
        assert services(two_workspaces) == derived(B)
        execute(statement)
    elif two_workspaces.startswith("sqlite"):
        execute(statement.replace("INSERT", "INSERT OR REPLACE", 1))
    else:
        pytest.skip("PostgreSQL has no INSERT OR REPLACE")
    assert services(two_workspaces) == derived(A | change, B)


def test_a_write_that_changes_nothing_leaves_the_services_alone(two_workspaces: str, execute: Execute) -> None:
    execute(insert(serviceIds=[]) + " ON CONFLICT DO NOTHING")
    assert services(two_workspaces) == derived(A, B)


def test_a_session_that_moves_to_another_id_takes_its_services_along(two_workspaces: str, execute: Execute) -> None:
    moved = A | {"workspaceId": "b", "id": "moved"}
    text = encode(moved).decode()
    execute(f"UPDATE sessions SET workspace_id = 'b', id = 'moved', document = '{text}' WHERE workspace_id = 'a'")
    assert services(two_workspaces) == derived(B, moved)


def test_a_removed_workspace_takes_its_sessions_along_even_without_foreign_keys(
    two_workspaces: str, execute: Execute
) -> None:
    execute("DELETE FROM workspaces WHERE id = 'a'")
    assert services(two_workspaces) == derived(B)
    assert fetch(two_workspaces, "SELECT workspace_id FROM sessions") == [("b",)]


def test_many_rows_of_many_workspaces_in_one_statement_are_derived_alike(two_workspaces: str, execute: Execute) -> None:
    # More than one part of the arrays that PostgreSQL's trigger reads.
    sqlite = two_workspaces.startswith("sqlite")
    numbers = (
        "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 11000) SELECT i FROM n)"
        if sqlite
        else "generate_series(1, 11000) AS i"
    )
    text = encode(A | {"id": "NUMBER", "serviceIds": ["x", "y"]}).decode()
    value = f"replace('{text}', 'NUMBER', CAST(i AS text))"
    value = value if sqlite else f"CAST({value} AS json)"
    other = value.replace('"workspaceId":"a"', '"workspaceId":"b"')
    execute(
        "INSERT INTO sessions (workspace_id, id, document)"
        f" SELECT 'a', CAST(i AS text), {value} FROM {numbers} UNION ALL SELECT 'b', CAST(i AS text), {other} FROM {numbers}"
    )
    counted = (
        "SELECT workspace_id, service_id, count(*) FROM session_services WHERE session_id <> '{}'"
        " GROUP BY 1, 2 ORDER BY 1, 2"
    )
    expected = [(workspace, service, 11_000) for workspace in "ab" for service in "xy"]
    assert fetch(two_workspaces, counted.format(A["id"])) == expected
    execute("DELETE FROM sessions WHERE workspace_id = 'a'")
    assert fetch(two_workspaces, counted.format(A["id"])) == expected[2:]
