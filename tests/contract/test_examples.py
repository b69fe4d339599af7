"""The error examples of the contract are what the server says, to the letter."""

import json
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import httpx
import pytest

from db.errors import DatabaseUnavailable
from handlers.keys import StaticKeys, secret_key
from handlers.problems import problem_of
from handlers.rate import TooManyRequests
from openapi.contract import load
from openapi.errors import ContractViolation
from server.settings import REQUEST_TIMEOUT, Settings
from tests.conftest import SECRET, WORKSPACE, ClientOf, Mint
from tests.live import Connection, Served, serving

PATH = f"/v1/workspace/{WORKSPACE}/sessions"
EXAMPLES = {
    (name, example): item["value"]
    for name, response in load().document["components"]["responses"].items()
    for example, item in response.get("content", {}).get("application/problem+json", {}).get("examples", {}).items()
}

Get: TypeAlias = Callable[..., httpx.Response]


@pytest.fixture
def get(client_of: ClientOf, sqlite_demo_url: str, mint: Mint) -> Get:
    """Send a request as the holder of a token with these claims."""
    client = client_of(sqlite_demo_url)

    def send(target: str, method: str = "GET", **claims: Any) -> httpx.Response:
        response: httpx.Response = client.request(method, target, headers={"Authorization": f"Bearer {mint(**claims)}"})
        return response

    return send


REQUESTS: dict[tuple[str, str], Callable[[Get], httpx.Response]] = {
    ("BadRequest", "two"): lambda get: get(f"{PATH}?clientID=1&dateFrom=yesterday"),
    ("Unauthorized", "expired"): lambda get: get(PATH, exp=1),
    ("Forbidden", "workspace"): lambda get: get(PATH, workspaces=["another"]),
    ("NotFound", "workspace"): lambda get: get("/v1/workspace/none/sessions", workspaces=["none"]),
    ("NotFound", "page"): lambda get: get(f"{PATH}?cursor={get(f'{PATH}?limit=1').headers['next-cursor']}&sort=-date"),
    ("MethodNotAllowed", "post"): lambda get: get(PATH, "POST"),
}

ERRORS: dict[tuple[str, str], Exception] = {
    ("TooManyRequests", "often"): TooManyRequests(12),
    ("InternalServerError", "failure"): ContractViolation("at sessions/0"),
    ("ServiceUnavailable", "database"): DatabaseUnavailable("no route to host"),
}
"""Errors that no request can cause; other tests show that the server raises them."""

WIRE: dict[tuple[str, str], bytes] = {
    ("Unauthorized", "missing"): f"GET {PATH} HTTP/1.1\r\nHost: t\r\n\r\n".encode(),
    ("RequestTimeout", "late"): f"GET {PATH} HTTP/1.1\r\nHost: t\r\n".encode(),
    ("ContentTooLarge", "body"): f"GET {PATH} HTTP/1.1\r\nHost: t\r\nContent-Length: 70000\r\n\r\n".encode(),
    ("URITooLong", "query"): f"GET {PATH}?{'x' * 17_000} HTTP/1.1\r\nHost: t\r\n\r\n".encode(),
    ("RequestHeaderFieldsTooLarge", "header"): (
        f"GET {PATH} HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {'x' * 21_000}\r\n\r\n".encode()
    ),
}


def test_every_error_example_is_compared_here() -> None:
    assert EXAMPLES.keys() == REQUESTS.keys() | ERRORS.keys() | WIRE.keys()


@pytest.mark.parametrize("example", REQUESTS, ids="/".join)
def test_a_request_gets_the_error_of_the_example(get: Get, example: tuple[str, str]) -> None:
    response = REQUESTS[example](get)
    assert (response.status_code, response.json()) == (EXAMPLES[example]["status"], EXAMPLES[example])


@pytest.mark.parametrize("example", ERRORS, ids="/".join)
def test_an_error_is_shown_as_in_the_example(example: tuple[str, str]) -> None:
    assert json.loads(problem_of(ERRORS[example]).body()) == EXAMPLES[example]


@pytest.fixture(scope="module")
def served(sqlite_demo_url: str) -> Iterator[Served]:
    with serving(Settings(StaticKeys((secret_key(SECRET),)), sqlite_demo_url), request_timeout=0.2) as server:
        yield server


@pytest.mark.parametrize("example", WIRE, ids="/".join)
def test_bytes_on_the_wire_get_the_error_of_the_example(served: Served, example: tuple[str, str]) -> None:
    with Connection(served.port) as connection:
        connection.send(WIRE[example])
        received = connection.answer()
    body = json.loads(received.body.replace(b"within 0.2 seconds", b"within %d seconds" % REQUEST_TIMEOUT))
    assert (received.status, body) == (EXAMPLES[example]["status"], EXAMPLES[example])
