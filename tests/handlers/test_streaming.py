"""Long lists: streamed, complete, in order and checked; or visibly cut off."""

import asyncio
import json
import sqlite3
import tracemalloc

import httpx
import pytest
from starlette.types import Message

from db.limits import CONNECTIONS, SNAPSHOTS
from handlers.sessions import MAX_PAGE
from openapi.errors import ContractViolation
from tests.conftest import ClientOf, Mint, Store
from tests.handlers.long_list import NUMBER, documents
from tests.in_process import started
from tests.response_bodies import require_valid_body

PATH = "/v1/workspace/long/sessions"


def test_everything_is_the_same_list_as_the_pages_together(long: httpx.Client) -> None:
    response = long.get(PATH)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert "content-length" not in response.headers
    assert long.get(PATH, headers={"If-None-Match": response.headers["etag"]}).status_code == 304
    assert response.json() == {"sessions": documents(NUMBER)}


@pytest.mark.parametrize("length", [0, 1, MAX_PAGE - 1, MAX_PAGE, MAX_PAGE + 1])
def test_whole_and_streamed_responses_meet_without_a_seam(long: httpx.Client, length: int) -> None:
    wanted = documents(length)
    query = f"?dateTo={wanted[-1]['date']}" if wanted else "?dateTo=2019-12-31"
    response = long.get(PATH + query)
    assert response.json() == {"sessions": wanted}
    assert ("content-length" in response.headers) is (length <= MAX_PAGE)


def test_a_streamed_response_has_the_bytes_that_pages_have(long: httpx.Client) -> None:
    streamed = long.get(f"{PATH}?dateTo={documents(MAX_PAGE + 1)[-1]['date']}").content
    first = long.get(f"{PATH}?limit=1000")
    second = long.get(f"{PATH}?limit=1&cursor={long.get(f'{PATH}?limit=1000').headers['next-cursor']}")
    assert streamed == first.content[:-2] + b"," + second.content[len(b'{"sessions":[') :]


@pytest.mark.parametrize("sort", ["date", "-date", "updatedAt", "-updatedAt"])
@pytest.mark.parametrize("query", ["", "&status=scheduled&updatedSince=2020-01-01", "&serviceIds=507f1f77bcf86cd799439013"])
def test_a_long_list_comes_in_its_order(long: httpx.Client, sort: str, query: str) -> None:
    ids = [session["id"] for session in long.get(f"{PATH}?sort={sort}{query}").json()["sessions"]]
    key = (lambda document: document["id"]) if sort.endswith("updatedAt") else (lambda document: document["date"])
    assert ids == [each["id"] for each in sorted(documents(NUMBER), key=key, reverse=sort.startswith("-"))]


def test_a_long_list_behind_a_cursor_is_streamed(long: httpx.Client) -> None:
    cursor = long.get(f"{PATH}?limit=5&sort=-date").headers["next-cursor"]
    assert long.get(f"{PATH}?sort=-date&cursor={cursor}").json()["sessions"] == documents(NUMBER)[::-1][5:]


def test_a_head_request_for_a_long_list_has_no_body(long: httpx.Client) -> None:
    response = long.head(PATH)
    assert response.status_code == 200
    assert response.content == b""


def test_connections_are_released_however_a_long_list_ends(long: httpx.Client) -> None:
    for _ in range(CONNECTIONS + SNAPSHOTS):
        long.head(PATH)
        assert long.get(f"{PATH}?limit=1").status_code == 200


def break_session(url: str, id_: str) -> None:
    """Put a status that the contract does not know into a session, as a damaged database might have it."""
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("UPDATE sessions SET document = replace(document, 'scheduled', 'SECRET') WHERE id = ?", [id_])
    connection.close()


def test_a_document_that_breaks_the_contract_cuts_the_response_off(
    client_of: ClientOf, sqlite_url: str, store: Store, mint: Mint
) -> None:
    store(sqlite_url, documents(NUMBER))
    client, headers = client_of(sqlite_url), {"Authorization": f"Bearer {mint(workspaces=['long'])}"}
    assert client.get(PATH, headers=headers).status_code == 200  # every document was right, and is remembered as such
    break_session(sqlite_url, f"s{NUMBER - 1}")
    for _ in range(CONNECTIONS + SNAPSHOTS):
        with pytest.raises(ContractViolation):  # it reaches the server, which closes the connection: server/test_serving.py
            client.get(PATH, headers=headers)
    assert client.get(f"{PATH}?limit=1", headers=headers).status_code == 200


def test_a_document_that_breaks_the_contract_before_the_response_has_begun_is_a_500(
    client_of: ClientOf, sqlite_url: str, store: Store, mint: Mint
) -> None:
    store(sqlite_url, documents(NUMBER))
    break_session(sqlite_url, "s0")
    response = client_of(sqlite_url).get(PATH, headers={"Authorization": f"Bearer {mint(workspaces=['long'])}"})
    assert response.status_code == 500
    require_valid_body(500, response.json())


def test_long_lists_beyond_the_limit_are_503_while_pages_are_served(long_url: str, mint: Mint) -> None:
    async def run() -> None:
        begun, proceed = asyncio.Semaphore(0), asyncio.Event()

        async def read_slowly(message: Message) -> None:
            if message["type"] == "http.response.body":
                begun.release()
                await proceed.wait()

        async with started(long_url, mint(workspaces=["long"])) as app:
            slow = [asyncio.create_task(app.get(PATH, on_send=read_slowly)) for _ in range(SNAPSHOTS)]
            for _ in slow:
                await begun.acquire()
            for _ in range(CONNECTIONS):
                refused = await app.get(PATH)
                assert refused.status == 503
                assert b"retry-after" in refused.headers
                require_valid_body(503, json.loads(refused.body))
                assert (await app.get(PATH, b"limit=1")).status == 200
            proceed.set()
            for response in await asyncio.gather(*slow):
                assert len(json.loads(response.body)["sessions"]) == NUMBER
            assert (await app.get(PATH)).status == 200

    asyncio.run(run())


def test_nothing_more_is_read_for_a_client_that_has_gone(long_url: str, mint: Mint) -> None:
    async def disconnect() -> Message:
        return {"type": "http.disconnect"}

    async def run() -> bytes:
        async with started(long_url, mint(workspaces=["long"])) as app:
            return (await app.get(PATH, receive=disconnect, on_send=lambda _: asyncio.sleep(0))).body

    assert not asyncio.run(run()).endswith(b"]}")


@pytest.mark.parametrize("query", [b"", b"limit=1000"])
def test_memory_is_bounded_by_bytes_and_not_by_sessions(database_url: str, store: Store, mint: Mint, query: bytes) -> None:
    large = [{**each, "notes": [{"text": "x" * 1_000_000}]} for each in documents(60)]
    store(database_url, large, workspaces=["long"])
    size = peak = 0

    async def count(message: Message) -> None:
        nonlocal size
        size += len(message.get("body", b""))

    async def run() -> None:
        nonlocal peak
        async with started(database_url, mint(workspaces=["long"])) as app:
            assert (await app.get(PATH, b"limit=1")).status == 200
            tracemalloc.start()
            assert (await app.get(PATH, query, on_send=count, forget_body=True)).status == 200
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()

    asyncio.run(run())
    assert size > (60_000_000 if not query else 7_000_000)
    assert peak < 70_000_000
