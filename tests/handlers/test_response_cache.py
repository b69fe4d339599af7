"""The response cache: a repeated request reads no list, and no response is older than its request."""

import asyncio
import json
import re
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NamedTuple

import asyncpg
import httpx
import pytest
from starlette.testclient import TestClient

from db.demo import DOCUMENTED_SESSION, FIRST_WORKSPACE
from db.sqlite import SQLiteConnection
from handlers.keys import StaticKeys, secret_key
from handlers.rules import ResponseRules
from server.app import create_app
from server.settings import Settings
from tests.conftest import SECRET, Mint, Store
from tests.in_process import Application, started

PATH = f"/v1/workspace/{FIRST_WORKSPACE}/sessions"
READERS, READS = 4, 60


class Statement(NamedTuple):
    """A statement that a driver was given."""

    text: str
    parameters: tuple[Any, ...]


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[Statement]:
    """Every statement that goes to either driver, from now on."""
    seen: list[Statement] = []

    def watch(owner: Any, name: str, *, given_as_one: bool = False) -> None:
        method = getattr(owner, name)

        def watched(self: Any, text: str, *parameters: Any, **options: Any) -> Any:
            seen.append(Statement(text, tuple(parameters[0]) if given_as_one else parameters))
            return method(self, text, *parameters, **options)

        monkeypatch.setattr(owner, name, watched)

    for name in ("fetch", "execute", "cursor", "prepare"):
        watch(asyncpg.Connection, name)
    watch(SQLiteConnection, "fetch", given_as_one=True)
    return seen


@pytest.fixture
def fresh(demo_url: str, mint: Mint, statements: list[Statement]) -> Iterator[TestClient]:
    """An application on the demo data with an empty cache."""
    settings = Settings(StaticKeys((secret_key(SECRET),)), demo_url)
    with TestClient(create_app(settings), headers={"Authorization": f"Bearer {mint(workspaces=['*'])}"}) as client:
        client.get("/v1/workspace/nothing/sessions")  # opens a connection
        statements.clear()
        yield client


def lists(statements: list[Statement]) -> int:
    return sum("documents.document" in text for text, _ in statements)


@pytest.mark.parametrize("query", ["", "?clientId=unknown", "?dateTo=2024-01-20", "?serviceIds=a,b,c&status=completed"])
def test_a_request_is_one_statement_that_names_the_workspace(
    fresh: httpx.Client, statements: list[Statement], query: str
) -> None:
    assert fresh.get(PATH + query).status_code == 200
    [(text, parameters)] = statements
    assert FIRST_WORKSPACE in parameters
    assert text.startswith("SELECT workspaces.revision")
    for table in re.findall(r"(?:FROM|JOIN) (sessions|session_services)\b", text):
        assert f"{table}.workspace_id = " in text


def test_a_304_is_one_statement_that_reads_no_list(fresh: httpx.Client, statements: list[Statement]) -> None:
    etag = fresh.get(PATH).headers["etag"]
    statements.clear()
    response = fresh.get(PATH, headers={"If-None-Match": etag})
    assert response.status_code == 304
    assert len(statements) == 1
    assert lists(statements) == 0


def test_a_repeated_request_is_one_statement_that_reads_no_list(fresh: httpx.Client, statements: list[Statement]) -> None:
    first = fresh.get(f"{PATH}?limit=5")
    statements.clear()
    again = fresh.get(f"{PATH}?limit=5")
    assert len(statements) == 1
    assert lists(statements) == 0
    assert again.content == first.content
    assert again.headers == first.headers


def test_a_repeated_request_in_another_coding_reads_no_list(fresh: httpx.Client, statements: list[Statement]) -> None:
    bodies = {coding: fresh.get(PATH, headers={"Accept-Encoding": coding}).json() for coding in ("identity", "gzip", "zstd")}
    assert bodies["identity"] == bodies["gzip"] == bodies["zstd"]
    assert lists(statements) == 1


@pytest.mark.parametrize(
    ("claims", "status"),
    [({"scope": "sessions.edit"}, 403), ({"workspaces": ["another"]}, 403), ({"exp": 1}, 401)],
)
def test_cached_responses_are_for_those_who_may_read_them(
    fresh: TestClient, mint: Mint, claims: dict[str, Any], status: int
) -> None:
    etag = fresh.get(PATH).headers["etag"]
    headers = {"Authorization": f"Bearer {mint(**{'workspaces': ['*'], **claims})}"}
    assert fresh.get(PATH, headers=headers).status_code == status
    assert fresh.get(PATH, headers={**headers, "If-None-Match": etag}).status_code == status


def test_a_cache_of_no_bytes_keeps_nothing(demo_url: str, mint: Mint, statements: list[Statement]) -> None:
    settings = Settings(StaticKeys((secret_key(SECRET),)), demo_url, responses=ResponseRules(cache_bytes=0))
    with TestClient(create_app(settings), headers={"Authorization": f"Bearer {mint()}"}) as client:
        first, second = client.get(PATH), client.get(PATH)
    assert first.content == second.content
    assert lists(statements) == 2


def test_a_cache_keeps_no_more_bytes_than_it_may(demo_url: str, mint: Mint, statements: list[Statement]) -> None:
    # Two of these responses do not fit.
    settings = Settings(StaticKeys((secret_key(SECRET),)), demo_url, responses=ResponseRules(cache_bytes=5_000))
    with TestClient(create_app(settings), headers={"Authorization": f"Bearer {mint()}"}) as client:
        client.headers["Accept-Encoding"] = "identity"
        assert 2_500 < len(client.get(f"{PATH}?limit=5").content) < 4_500
        client.get(f"{PATH}?limit=5")
        assert lists(statements) == 1
        client.get(f"{PATH}?limit=5&sort=-date")
        client.get(f"{PATH}?limit=5")
    assert lists(statements) == 3


async def writer_of(url: str) -> tuple[Callable[[int], Awaitable[None]], Callable[[], Awaitable[None]]]:
    """Another program, which commits a number as the name of the session; and how to end it."""
    sql = "UPDATE sessions SET document = {}"

    def document(number: int) -> str:
        return json.dumps(DOCUMENTED_SESSION | {"name": str(number)}, ensure_ascii=False)

    if url.startswith("sqlite"):
        file = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)

        async def change_file(number: int) -> None:
            file.execute(sql.format("?"), [document(number)])

        async def close_file() -> None:
            file.close()

        return change_file, close_file

    connection = await asyncpg.connect(url)

    async def change(number: int) -> None:
        await connection.execute(sql.format("$1"), document(number))

    return change, connection.close


def test_no_response_is_older_than_its_request_while_others_write(database_url: str, store: Store, mint: Mint) -> None:
    store(database_url, [DOCUMENTED_SESSION | {"name": "0"}])
    committed = not_modified = 0
    reading = True
    has_written = asyncio.Event()

    async def write() -> None:
        nonlocal committed
        change, close = await writer_of(database_url)
        while reading:
            await change(committed + 1)
            committed += 1
            has_written.set()
            await asyncio.sleep(0.001)
        await close()

    async def read(app: Application) -> None:
        nonlocal not_modified
        held, shown = b"", 0
        for number in range(READS):
            before = committed
            response = await app.get(PATH, headers=((b"if-none-match", held),) if number % 2 else ())
            if response.status == 304:
                not_modified += 1
            else:
                (session,) = json.loads(response.body)["sessions"]
                held, shown = response.headers[b"etag"], int(session["name"])
            assert shown >= before
            await asyncio.sleep(0)

    async def run() -> None:
        nonlocal reading
        async with started(database_url, mint()) as app:
            writing = asyncio.create_task(write())
            await has_written.wait()
            try:
                await asyncio.gather(*(read(app) for _ in range(READERS)))
            finally:
                reading = False
                await writing

    asyncio.run(run())
    assert committed > 0
    assert not_modified > 0
