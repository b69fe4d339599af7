"""What is asked again: answered without asking the database for it again, and never with what is not so any more."""

import asyncio
import json
import re
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import asyncpg
import httpx
import pytest
from starlette.testclient import TestClient
from starlette.types import Message

from db.demo import DOCUMENTED_SESSION, FIRST_WORKSPACE
from handlers.keys import StaticKeys, secret_key
from handlers.rules import AnswerRules
from server.app import create_app
from server.settings import Settings
from tests.conftest import SECRET, Mint, Store

PATH = f"/v1/workspace/{FIRST_WORKSPACE}/sessions"
SERVICES = list(DOCUMENTED_SESSION["serviceIds"])


class Asked(NamedTuple):
    """A statement that a driver was given."""

    statement: str
    values: tuple[Any, ...]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Asked]:
    """Every statement that goes to either driver, from now on."""
    seen: list[Asked] = []

    def watch(name: str) -> None:
        method = getattr(asyncpg.Connection, name)

        def watched(self: Any, statement: str, *values: Any, **options: Any) -> Any:
            seen.append(Asked(statement, values))
            return method(self, statement, *values, **options)

        monkeypatch.setattr(asyncpg.Connection, name, watched)

    class Watched(sqlite3.Connection):
        def execute(self, statement: str, values: Any = (), /) -> sqlite3.Cursor:
            seen.append(Asked(statement, tuple(values)))
            return super().execute(statement, values)

    for name in ("fetch", "execute", "cursor", "prepare"):
        watch(name)
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Watched))
    return seen


@pytest.fixture
def fresh(demo_url: str, mint: Mint, asked: list[Asked]) -> Iterator[TestClient]:
    """An application on the demo data that has answered nothing yet."""
    settings = Settings(StaticKeys((secret_key(SECRET),)), demo_url)
    with TestClient(create_app(settings), headers={"Authorization": f"Bearer {mint(workspaces=['*'])}"}) as client:
        client.get("/v1/workspace/nothing/sessions")  # opens a connection
        asked.clear()
        yield client


def lists(asked: list[Asked]) -> int:
    return sum("FROM sessions" in statement for statement, _ in asked)


@pytest.mark.parametrize("query", ["", "?clientId=unknown", "?dateTo=2024-01-20", "?serviceIds=a,b,c&status=completed"])
def test_a_request_asks_at_most_five_statements_and_each_names_the_workspace(
    fresh: httpx.Client, asked: list[Asked], query: str
) -> None:
    assert fresh.get(PATH + query).status_code == 200
    assert 2 <= len(asked) <= 5
    assert " ".join(asked[0].statement.split()).startswith(
        "SELECT workspaces.revision FROM workspaces WHERE workspaces.id = "
    )
    for statement, values in asked:
        assert FIRST_WORKSPACE in values
        assert not re.match(r"\s*(BEGIN|START|COMMIT|ROLLBACK|SET|RESET)\b", statement)
        tables = re.findall(r"(?:FROM|JOIN) (sessions|session_services|clients|staff|services)\b", statement)
        for table in tables:
            assert f"{table}.workspace_id = " in statement


def test_an_answer_that_the_client_holds_is_confirmed_by_one_statement(fresh: httpx.Client, asked: list[Asked]) -> None:
    etag = fresh.get(PATH).headers["etag"]
    asked.clear()
    response = fresh.get(PATH, headers={"If-None-Match": etag})
    assert response.status_code == 304
    assert response.content == b""
    assert response.headers["etag"] == etag
    assert len(asked) == 1


def test_a_question_that_is_asked_again_is_answered_by_one_statement(fresh: httpx.Client, asked: list[Asked]) -> None:
    first = fresh.get(f"{PATH}?limit=5")
    asked.clear()
    again = fresh.get(f"{PATH}?limit=5")
    assert len(asked) == 1
    assert again.content == first.content
    assert again.headers == first.headers


def test_the_same_question_in_other_words_is_the_same_question(fresh: httpx.Client, asked: list[Asked]) -> None:
    a, b = SERVICES
    first = fresh.get(f"{PATH}?serviceIds={a},{b}&dateFrom=2024-01-20")
    asked.clear()
    for query in (
        f"serviceIds={b},{a}&dateFrom=2024-01-20",
        f"dateFrom=2024-01-20T00:00:00Z&serviceIds={a}&serviceIds={b}&serviceIds={a}",
        f"serviceIds={a}%2C{b}&dateFrom=2024-01-20T03:00:00%2B03:00",
    ):
        assert fresh.get(f"{PATH}?{query}").headers["etag"] == first.headers["etag"]
    assert lists(asked) == 0


def test_the_link_to_the_next_page_is_in_the_words_of_the_request_that_it_answers(fresh: httpx.Client) -> None:
    a, b = SERVICES
    links = [fresh.get(f"{PATH}?limit=1&serviceIds={ids}").headers["link"] for ids in (f"{a},{b}", f"{b},{a}")]
    assert f"serviceIds={a},{b}&cursor=" in links[0]
    assert f"serviceIds={b},{a}&cursor=" in links[1]


@pytest.mark.parametrize(
    "queries", [("", "?limit=1000"), ("?limit=5", "?limit=6"), ("?sort=date", "?sort=-date"), ("", "?status=scheduled")]
)
def test_other_questions_have_other_etags(fresh: httpx.Client, queries: tuple[str, str]) -> None:
    first, second = (fresh.get(PATH + query).headers["etag"] for query in queries)
    assert first != second


def test_the_default_order_in_words_is_the_default_order(fresh: httpx.Client) -> None:
    assert fresh.get(f"{PATH}?sort=date").headers["etag"] == fresh.get(PATH).headers["etag"]


@pytest.mark.parametrize(
    ("claims", "status"),
    [({"scope": "sessions.edit"}, 403), ({"workspaces": ["another"]}, 403), ({"exp": 1}, 401)],
)
def test_what_is_remembered_or_held_is_for_those_who_may_read_it(
    fresh: TestClient, mint: Mint, claims: dict[str, Any], status: int
) -> None:
    etag = fresh.get(PATH).headers["etag"]
    headers = {"Authorization": f"Bearer {mint(**{'workspaces': ['*'], **claims})}"}
    assert fresh.get(PATH, headers=headers).status_code == status
    assert fresh.get(PATH, headers={**headers, "If-None-Match": etag}).status_code == status


def test_with_no_memory_nothing_is_remembered(demo_url: str, mint: Mint, asked: list[Asked]) -> None:
    settings = Settings(StaticKeys((secret_key(SECRET),)), demo_url, answers=AnswerRules(cache_bytes=0))
    with TestClient(create_app(settings), headers={"Authorization": f"Bearer {mint()}"}) as client:
        first, second = client.get(PATH), client.get(PATH)
    assert first.content == second.content
    assert lists(asked) == 2


def test_what_is_remembered_takes_no_more_than_it_may(demo_url: str, mint: Mint, asked: list[Asked]) -> None:
    # Two of these answers are too large to be kept at once.
    settings = Settings(StaticKeys((secret_key(SECRET),)), demo_url, answers=AnswerRules(cache_bytes=5_000))
    with TestClient(create_app(settings), headers={"Authorization": f"Bearer {mint()}"}) as client:
        client.headers["Accept-Encoding"] = "identity"
        assert 2_500 < len(client.get(f"{PATH}?limit=5").content) < 4_500
        client.get(f"{PATH}?limit=5")
        assert lists(asked) == 1
        client.get(f"{PATH}?limit=5&sort=-date")
        client.get(f"{PATH}?limit=5")
    assert lists(asked) == 3


# Never stale ---------------------------------------------------------------------------------------------------------

Ask: TypeAlias = Callable[[bytes], Awaitable[tuple[int, dict[bytes, bytes], bytes]]]
"""Ask for the list, with this in If-None-Match; returns status, headers and body."""

READERS = 4
READS = 2_500  # of each: 10,000 in all


@asynccontextmanager
async def asked_in_process(settings: Settings, token: str) -> AsyncGenerator[Ask]:
    """The application in this event loop, so that requests and writes come as close together as they can."""
    app = create_app(settings)
    orders: asyncio.Queue[Message] = asyncio.Queue()
    done: asyncio.Queue[Message] = asyncio.Queue()
    living = asyncio.create_task(app({"type": "lifespan", "asgi": {}, "state": {}}, orders.get, done.put))
    await orders.put({"type": "lifespan.startup"})
    assert (await done.get())["type"] == "lifespan.startup.complete"
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": PATH,
        "raw_path": PATH.encode(),
        "root_path": "",
        "query_string": b"",
    }

    async def ask(held: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        headers = [(b"authorization", b"Bearer " + token.encode()), *([(b"if-none-match", held)] if held else [])]
        await app({**scope, "headers": headers}, receive, send)
        start, *bodies = sent
        return start["status"], dict(start["headers"]), b"".join(part["body"] for part in bodies)

    yield ask
    await orders.put({"type": "lifespan.shutdown"})
    await living


async def writer_of(url: str) -> tuple[Callable[[int], Awaitable[None]], Callable[[], Awaitable[None]]]:
    """Another program, which commits a number, in turns as the name of the session and of its client; and how to end it."""

    def statement(number: int) -> str:
        return f"UPDATE {'sessions' if number % 2 else 'clients'} SET name = '{number}'"

    if url.startswith("sqlite"):
        file = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)

        async def change_file(number: int) -> None:
            file.execute(statement(number))

        async def close_file() -> None:
            file.close()

        return change_file, close_file

    connection = await asyncpg.connect(url)

    async def change(number: int) -> None:
        await connection.execute(statement(number))

    return change, connection.close


def test_no_answer_is_older_than_its_request_while_others_write(database_url: str, store: Store, mint: Mint) -> None:
    store(database_url, [DOCUMENTED_SESSION])
    settings = Settings(StaticKeys((secret_key(SECRET),)), database_url)
    committed = 0
    reading = True
    told = 0  # by 304
    both_written = asyncio.Event()

    async def write() -> None:
        nonlocal committed
        change, close = await writer_of(database_url)
        while reading:
            # Both the session and a name that is joined to it, in turns.
            await change(committed + 1)
            committed += 1
            if committed == 2:
                both_written.set()
            await asyncio.sleep(0.001)
        await close()

    async def read(ask: Ask) -> None:
        nonlocal told
        held, shown = b"", 0
        for number in range(READS):
            before = committed
            status, headers, body = await ask(held if number % 2 else b"")
            if status == 304:
                told += 1
            else:
                (session,) = json.loads(body)["sessions"]
                held, shown = headers[b"etag"], max(int(session["name"]), int(session["clientName"]))
                assert abs(int(session["name"]) - int(session["clientName"])) == 1  # written in turns: one state, not two
            assert shown >= before
            await asyncio.sleep(0)

    async def run() -> None:
        nonlocal reading
        async with asked_in_process(settings, mint()) as ask:
            writing = asyncio.create_task(write())
            await both_written.wait()
            try:
                await asyncio.gather(*(read(ask) for _ in range(READERS)))
            finally:
                reading = False
                await writing

    asyncio.run(run())
    assert committed > 100
    assert told > 0
