"""When something fails: a clear problem, the right status, nothing leaked, and recovery without a restart."""

import asyncio
import json
import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
import httpx
import pytest
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from db.demo import DOCUMENTED_SESSION
from db.errors import DatabaseUnavailable, TooManySnapshots, WorkspaceNotFound
from handlers.keys import KeysUnavailable
from handlers.problems import ProblemDetailsMiddleware, problem_of
from handlers.rate import TooManyRequests
from handlers.security import AccessRefused
from handlers.tokens import TokenRefused
from openapi.errors import ContractViolation, InvalidParameters, PageNotFound
from tests.conftest import WORKSPACE, ClientOf, Databases, Mint, Store
from tests.response_bodies import require_valid_body

PATH = f"/v1/workspace/{WORKSPACE}/sessions"


Get: TypeAlias = Callable[[], httpx.Response]


def getter(client_of: ClientOf, url: str, store: Store, mint: Mint) -> Get:
    """Return a function that gets the list of a workspace with the documented session."""
    store(url, [DOCUMENTED_SESSION])
    client = client_of(url)
    headers = {"Authorization": f"Bearer {mint()}"}
    return lambda: client.get(PATH, headers=headers)


@pytest.fixture
def get(client_of: ClientOf, database_url: str, store: Store, mint: Mint) -> Get:
    return getter(client_of, database_url, store, mint)


@pytest.fixture
def get_from_file(client_of: ClientOf, sqlite_url: str, store: Store, mint: Mint) -> Get:
    return getter(client_of, sqlite_url, store, mint)


def file_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def plant(url: str, statement: str) -> None:
    """Write what the tables refuse, as a damaged or hand-edited database might hold it."""
    if url.startswith("sqlite"):
        with sqlite3.connect(file_of(url)) as connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
            for (name,) in triggers:
                connection.execute(f"DROP TRIGGER {name}")
            connection.execute(statement)
        connection.close()
        return

    async def plant_in_postgresql() -> None:
        connection = await asyncpg.connect(url)
        checks = "SELECT conname, conrelid::regclass::text FROM pg_constraint WHERE contype = 'c' AND conrelid > 0"
        for name, table in await connection.fetch(checks + " AND connamespace = 'public'::regnamespace"):
            await connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        await connection.execute(statement)
        await connection.close()

    asyncio.run(plant_in_postgresql())


def is_internal_error(response: httpx.Response, log: str, place: str) -> None:
    assert response.status_code == 500
    require_valid_body(500, response.json())
    assert response.json()["detail"] == "The server could not produce a valid response. The failure has been logged."
    assert place in log
    assert "SECRET" not in log + response.text


def plant_document(url: str, document: str) -> None:
    """Write a document that the tables refuse in place of the one that is stored."""
    literal = document.replace("'", "''")
    plant(url, f"UPDATE sessions SET document = '{literal}'")


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"status": "SECRET"}, "enum at status"),
        ({"id": "SECRET id"}, "pattern at id"),
        ({"staffName": 5}, "type at staffName"),
        ({"date": "SECRET"}, "format at date"),
        ({"date": "2024-02-30T00:00:00.000Z"}, "format at date"),
        ({"createdAt": "2024-01-15T10:00"}, "format at createdAt"),
        ({"updatedAt": ""}, "format at updatedAt"),
        ({"startTime": "24:00"}, "pattern at startTime"),
        ({"endTime": "9:00"}, "at endTime"),
        ({"durationMinutes": -1}, "minimum at durationMinutes"),
        ({"durationMinutes": 525601}, "maximum at durationMinutes"),
        ({"clientName": "x" * 1001}, "maxLength at clientName"),
        ({"serviceNames": ["x" * 1001]}, "maxLength at serviceNames/0"),
        ({"notes": ["SECRET"]}, "type at notes/0"),
        ({"attachments": [{}, None]}, "type at attachments/1"),
        ({"fieldValues": [[]]}, "type at fieldValues/0"),
        ({"invoice": [1]}, "type at invoice"),
        ({"SECRET": 1}, "at its root"),
        ({"workspaceId": "another"}, "a document belongs to another workspace"),
    ],
)
def test_a_document_that_breaks_the_contract_is_a_500(
    get: Get, database_url: str, caplog: pytest.LogCaptureFixture, change: dict[str, Any], place: str
) -> None:
    plant_document(database_url, json.dumps({**DOCUMENTED_SESSION, **change}, ensure_ascii=False))
    is_internal_error(get(), caplog.text, place)


@pytest.mark.parametrize("change", [{"name": "SECRET\0"}, {"serviceNames": ["\0", ""]}], ids=str)
def test_a_nul_that_only_sqlite_can_hold_is_a_500(
    get_from_file: Get, sqlite_url: str, caplog: pytest.LogCaptureFixture, change: dict[str, Any]
) -> None:
    plant_document(sqlite_url, json.dumps({**DOCUMENTED_SESSION, **change}, ensure_ascii=False))
    is_internal_error(get_from_file(), caplog.text, f"at {next(iter(change))}")


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ('"status":"scheduled"', '"status":"scheduled","status":"SECRET"'),
        ('"fieldValues":[]', '"fieldValues":[{"a":1,"a":2}]'),
    ],
)
def test_an_ambiguous_document_is_a_500(
    get: Get, database_url: str, caplog: pytest.LogCaptureFixture, written: str, instead: str
) -> None:
    document = json.dumps(DOCUMENTED_SESSION, ensure_ascii=False, separators=(",", ":"))
    assert written in document
    plant_document(database_url, document.replace(written, instead))
    is_internal_error(get(), caplog.text, "a document is not JSON that all readers read alike")


def put_away(file: Path) -> None:
    file.rename(file.with_suffix(".away"))


def put_back(file: Path) -> None:
    file.with_suffix(".away").replace(file)


def put_something_else_there(file: Path) -> None:
    put_away(file)
    file.write_bytes(b"no database " * 1000)


@pytest.mark.parametrize(
    ("break_", "mend"),
    [
        (put_away, put_back),
        (put_something_else_there, put_back),
        (
            lambda file: plant(f"sqlite:///{file}", "ALTER TABLE workspaces RENAME TO gone"),
            lambda file: plant(f"sqlite:///{file}", "ALTER TABLE gone RENAME TO workspaces"),
        ),
    ],
    ids=["file missing", "file damaged", "table missing"],
)
def test_an_unusable_file_is_a_503_and_service_resumes_when_it_is_back(
    get_from_file: Get,
    client_of: ClientOf,
    sqlite_url: str,
    break_: Callable[[Path], object],
    mend: Callable[[Path], object],
    tmp_path: Path,
) -> None:
    assert get_from_file().status_code == 200
    break_(file_of(sqlite_url))
    response = get_from_file()
    assert response.status_code == 503
    require_valid_body(503, response.json())
    assert int(response.headers["retry-after"]) > 0
    assert str(tmp_path) not in response.text
    assert client_of(sqlite_url).get("/healthz").status_code == 200
    mend(file_of(sqlite_url))
    assert get_from_file().json() == {"sessions": [DOCUMENTED_SESSION]}


def test_a_file_that_is_replaced_while_serving_is_read_from_then_on(
    get_from_file: Get, sqlite_url: str, sqlite_databases: Databases, store: Store
) -> None:
    assert len(get_from_file().json()["sessions"]) == 1
    another = sqlite_databases.migrated()
    store(another, [DOCUMENTED_SESSION, {**DOCUMENTED_SESSION, "id": "second"}])
    with sqlite3.connect(file_of(another)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")  # one file holds it all
    connection.close()
    file_of(another).replace(file_of(sqlite_url))
    assert len(get_from_file().json()["sessions"]) == 2


def test_lists_are_served_while_another_process_writes(get_from_file: Get, sqlite_url: str) -> None:
    writer = sqlite3.connect(file_of(sqlite_url), isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    writer.execute("UPDATE sessions SET document = replace(document, 'scheduled', 'cancelled')")
    assert get_from_file().json() == {"sessions": [DOCUMENTED_SESSION]}
    writer.execute("COMMIT")
    writer.close()
    assert get_from_file().json()["sessions"][0]["status"] == "cancelled"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidParameters([{"location": "query", "name": "x", "message": "is wrong"}]), 400),
        (PageNotFound([{"location": "query", "name": "cursor", "message": "is wrong"}]), 404),
        (TokenRefused("No."), 401),
        (AccessRefused("No.", ["sessions.view"]), 403),
        (TooManyRequests(5), 429),
        (WorkspaceNotFound("w"), 404),
        (HTTPException(404), 404),
        (HTTPException(405, headers={"Allow": "HEAD, GET"}), 405),
        (ContractViolation("SECRET"), 500),
        (RuntimeError("SECRET"), 500),
        (HTTPException(418, "SECRET"), 500),
        (RecursionError(), 500),
        (DatabaseUnavailable("SECRET"), 503),
        (KeysUnavailable("SECRET"), 503),
        (TooManySnapshots(), 503),
    ],
)
def test_the_class_of_an_error_decides_its_status_and_its_body_keeps_the_contract(error: Exception, status: int) -> None:
    problem = problem_of(error)
    assert problem.status == status
    body = httpx.Response(200, content=problem.body()).json()
    require_valid_body(status, body)
    assert "SECRET" not in problem.body().decode()


@pytest.mark.parametrize(
    ("seconds", "detail"),
    [(1, "Rate limit exceeded; retry in 1 second."), (12, "Rate limit exceeded; retry in 12 seconds.")],
)
def test_a_429_says_when_to_retry(seconds: int, detail: str) -> None:
    problem = problem_of(TooManyRequests(seconds))
    assert problem.detail == detail
    assert problem.headers == {"retry-after": str(seconds)}


def call(app: Callable[[Scope, Receive, Send], Any], scope: dict[str, Any]) -> list[Message]:
    """Run an ASGI application and return what it sent, or raise what it raised."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


HTTP: dict[str, Any] = {"type": "http", "method": "GET", "path": "/x", "headers": []}


def test_an_unexpected_error_is_logged_with_its_traceback_and_shown_without(caplog: pytest.LogCaptureFixture) -> None:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise RuntimeError("the real reason")

    start, body = call(ProblemDetailsMiddleware(app), HTTP)
    assert start["status"] == 500
    assert b"the real reason" not in body["body"]
    assert "Traceback" in caplog.text
    assert "the real reason" in caplog.text


def test_an_error_after_the_start_of_a_response_breaks_it_off(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("too late")

    with pytest.raises(RuntimeError, match="too late"):
        call(ProblemDetailsMiddleware(app), HTTP)


def test_a_scope_that_is_not_http_passes_unchanged() -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "lifespan.startup.complete"})

    assert call(ProblemDetailsMiddleware(app), {"type": "lifespan"}) == [{"type": "lifespan.startup.complete"}]
