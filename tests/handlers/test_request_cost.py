"""What one request may cost: no request that fits the size limits costs more than five times a plain one."""

import asyncio
import sys
import time
from collections.abc import Awaitable
from typing import Any, NamedTuple

import jwt
import pytest

from handlers.keys import StaticKeys, secret_key
from handlers.tokens import MAX_TOKEN_LENGTH
from server.app import create_app
from server.settings import Settings
from tests.conftest import SECRET, WORKSPACE, Mint

PATH = f"/v1/workspace/{WORKSPACE}/sessions"
MAX_STEPS = 5
"""Times the calls of a request for one page that is not cached."""


class Abuse(NamedTuple):
    """A request that asks for as much work as it can, and the status of its response."""

    query: str = ""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    secret: str = SECRET
    padding: int = 0
    """Characters of a claim that makes the token long."""
    status: int = 400


def names(pattern: str, count: int) -> str:
    return "&".join(pattern.format(number) for number in range(count))


ABUSES = {
    "unknown names": Abuse(names("clientId{}", 1600)),
    "long unknown names": Abuse(names("sserviceiddateffromclientstatus{}", 450)),
    "unknown names that resemble known ones": Abuse(names("clientI{}", 3)),
    "long unknown names that resemble known ones": Abuse(names("sserviceiddateffromclientstatus{}", 3)),
    "one long unknown name": Abuse("clientIdx" * 1800),
    "one unknown name, repeated": Abuse("a=&" * 5000),
    "escapes in names": Abuse("%61%62=&" * 2000),
    "a name of escapes": Abuse("%61" * 5400),
    "a known name, repeated": Abuse("limit=1&" * 2000),
    "an array, repeated": Abuse("serviceIds=a&" * 1200),
    "commas": Abuse("serviceIds=" + "," * 16_000),
    "encoded commas": Abuse("serviceIds=" + "%2C" * 5300),
    "values with encoded commas": Abuse("serviceIds=" + "a%2C" * 4000),
    "brackets": Abuse("serviceIds[]=a&" * 1000),
    "valid ids of escapes": Abuse("limit=1&serviceIds=" + "%2C".join(["%61" * 50] * 100), status=200),
    "a date of escapes": Abuse("dateFrom=" + "%33" * 5400),
    "a long fraction of a second": Abuse("dateFrom=2024-01-20T00:00:00." + "0" * 16_000),
    "a long number": Abuse("limit=" + "9" * 16_000),
    "a long cursor": Abuse("cursor=" + "A" * 16_000),
    "entity tags": Abuse(headers=((b"if-none-match", b'"",' * 2700),), status=200),
    "too many entity tags": Abuse(headers=((b"if-none-match", b"," * 20_000),)),
    "codings": Abuse("limit=1", headers=((b"accept-encoding", b"a;q=1," * 3_000),), status=200),
    "headers of codings": Abuse("limit=1", headers=((b"accept-encoding", b"a;q=0.1"),) * 99, status=200),
    "a long token": Abuse("limit=1", padding=11_900, status=200),
    "a long forged token": Abuse(secret="x" * 32, padding=11_900, status=401),
    "a token that is too long": Abuse(padding=MAX_TOKEN_LENGTH, status=401),
}


@pytest.fixture(scope="module")
def app(sqlite_demo_url: str) -> Any:
    return create_app(Settings(StaticKeys((secret_key(SECRET),)), sqlite_demo_url))


async def ask(app: Any, token: str, query: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> int:
    """Send a request to the application, and return the status of the response."""
    statuses: list[int] = []

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {"type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "root_path": "", "path": PATH}
    sent = [(b"host", b"tests"), (b"authorization", b"Bearer " + token.encode()), *headers]
    await app({**scope, "raw_path": PATH.encode(), "query_string": query.encode(), "headers": sent}, receive, send)
    return statuses[0]


async def calls_of(work: Awaitable[int]) -> tuple[int, int]:
    """How many functions, of Python and of C, this thread calls until the work is done; and the result of the work."""
    counted = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    before: Any = sys.getprofile()
    sys.setprofile(count)
    try:
        result = await work
    finally:
        sys.setprofile(before)
    return counted, result


@pytest.mark.parametrize("name", ABUSES)
def test_a_request_costs_at_most_five_times_the_calls_of_a_plain_one(app: Any, mint: Mint, name: str) -> None:
    abuse = ABUSES[name]
    claims = {"exp": int(time.time()) + 600, "scope": "sessions.view", "workspaces": [WORKSPACE]}
    token = jwt.encode({**claims, "padding": "x" * abuse.padding}, abuse.secret, "HS256")

    async def compare() -> None:
        for warm_up in ("limit=3", abuse.query.replace("limit=1", "limit=2")):
            await ask(app, mint(), warm_up)  # statements are compiled once in a process, which is not counted
        plain, status = await calls_of(ask(app, mint(), f"limit={50 + list(ABUSES).index(name)}"))
        assert status == 200
        calls, status = await calls_of(ask(app, token, abuse.query, abuse.headers))
        assert (status, calls <= MAX_STEPS * plain) == (abuse.status, True), f"{calls} calls, {plain} of a plain request"

    asyncio.run(compare())
