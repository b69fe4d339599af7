"""Long lists: sent in parts, complete, in order and checked; or visibly cut off."""

import asyncio
import functools
import sqlite3
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from db.demo import DOCUMENTED_SESSION
from handlers.answers import Answer, Part, Steps, Version, answer
from handlers.pipeline import ARGUMENTS
from handlers.rules import AnswerRules
from handlers.sessions import LARGEST_WHOLE_LIST, list_sessions
from openapi.contract import load
from openapi.errors import ContractViolation
from tests.conftest import ClientOf, Mint, Store
from tests.handlers.long_list import NUMBER, documents

PATH = "/v1/workspace/long/sessions"
OPERATION = load().operations["list_sessions"]


def test_everything_is_the_same_list_as_the_pages_together(long: httpx.Client) -> None:
    response = long.get(PATH)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert "content-length" not in response.headers
    assert long.get(PATH, headers={"If-None-Match": response.headers["etag"]}).status_code == 304
    assert response.json() == {"sessions": documents(NUMBER)}


@pytest.mark.parametrize("length", [0, 1, LARGEST_WHOLE_LIST - 1, LARGEST_WHOLE_LIST, LARGEST_WHOLE_LIST + 1])
def test_whole_and_streamed_answers_meet_without_a_seam(long: httpx.Client, length: int) -> None:
    wanted = documents(length)
    query = f"?dateTo={wanted[-1]['date']}" if wanted else "?dateTo=2019-12-31"
    response = long.get(PATH + query)
    assert response.json() == {"sessions": wanted}
    assert ("content-length" in response.headers) is (length <= LARGEST_WHOLE_LIST)


def test_a_streamed_answer_has_the_bytes_that_a_whole_one_would_have(long: httpx.Client) -> None:
    streamed = long.get(f"{PATH}?dateTo={documents(LARGEST_WHOLE_LIST + 1)[-1]['date']}").content
    first = long.get(f"{PATH}?limit=1000")
    second = long.get(first.links["next"]["url"].replace("limit=1000", "limit=1"))
    assert streamed == first.content[:-2] + b"," + second.content[len(b'{"sessions":[') :]


def test_what_follows_a_cursor_is_streamed_too(long: httpx.Client) -> None:
    address = long.get(f"{PATH}?limit=5&sort=-date").links["next"]["url"].replace("limit=5&", "")
    assert long.get(address).json()["sessions"] == documents(NUMBER)[::-1][5:]


def test_a_head_request_for_a_long_list_has_no_body(long: httpx.Client) -> None:
    response = long.head(PATH)
    assert response.status_code == 200
    assert response.content == b""


def test_connections_are_given_back_however_a_long_list_ends(long: httpx.Client) -> None:
    for _ in range(12):  # more than the pool holds
        long.head(PATH)
        assert long.get(f"{PATH}?limit=1").status_code == 200


def break_session(url: str, id_: str) -> None:
    """Put a status that the contract does not know into a session, as a damaged database might hold it."""
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("UPDATE sessions SET status = 'SECRET' WHERE id = ?", [id_])
    connection.close()


def test_a_row_that_breaks_the_contract_cuts_the_answer_off(
    client_of: ClientOf, sqlite_url: str, store: Store, mint: Mint
) -> None:
    store(sqlite_url, documents(NUMBER))
    break_session(sqlite_url, f"s{NUMBER - 1}")
    client, headers = client_of(sqlite_url), {"Authorization": f"Bearer {mint(workspaces=['long'])}"}
    for _ in range(12):
        with pytest.raises(ContractViolation):  # it reaches the server, which closes the connection: server/test_serving.py
            client.get(PATH, headers=headers)
    assert client.get(f"{PATH}?limit=1", headers=headers).status_code == 200


def test_a_row_that_breaks_the_contract_before_the_answer_has_begun_is_a_500(
    client_of: ClientOf, sqlite_url: str, store: Store, mint: Mint
) -> None:
    store(sqlite_url, documents(NUMBER))
    break_session(sqlite_url, "s0")
    response = client_of(sqlite_url).get(PATH, headers={"Authorization": f"Bearer {mint(workspaces=['long'])}"})
    assert response.status_code == 500
    OPERATION.responses[500](response.json())


VERSION = Version(1, "anything")


class Endless:
    """A handler whose answer never ends, and what has become of it."""

    def __init__(self) -> None:
        self.closed = False

    async def ask(self, receive: Receive, send: Send, stall_timeout: float = 30) -> None:
        @functools.wraps(list_sessions)  # the parameters that the contract gives
        async def answer_endlessly(*_resources: object, **_arguments: object) -> Steps:
            yield VERSION
            yield Answer(VERSION, {"sessions": self.parts()})

        async def nothing_follows(_scope: Scope, _receive: Receive, _send: Send) -> None:
            raise AssertionError

        build = answer("in the place of a database", AnswerRules(stall_timeout=stall_timeout))
        await build(OPERATION, answer_endlessly, nothing_follows)(SCOPE, receive, send)

    async def parts(self) -> AsyncGenerator[Part]:
        try:
            while True:
                await asyncio.sleep(0)
                yield [DOCUMENTED_SESSION], []
        finally:
            self.closed = True


SCOPE: dict[str, Any] = {"type": "http", "method": "GET", "path": PATH, "headers": [], ARGUMENTS: {}}


def test_nothing_more_is_read_for_a_client_that_has_gone() -> None:
    endless, sent = Endless(), list[Message]()

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(endless.ask(receive, send))
    assert endless.closed
    assert not any(message.get("body", b"").endswith(b"]}") for message in sent)


def test_a_client_that_takes_nothing_is_given_up_after_a_time() -> None:
    endless = Endless()

    async def never() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        asyncio.run(endless.ask(never, send, stall_timeout=0.05))
    assert endless.closed
