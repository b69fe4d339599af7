"""Each generated client compiles in its strictest mode, and returns to its caller what was imported."""

import json
import re
from typing import Any

import pytest

from tests.sdk.clients import CLIENTS, Client, execute, generate
from tests.sdk.expectations import CHECKS, comparable

pytestmark = pytest.mark.sdk

NOT_OF_THE_CONTRACT = (
    # The address is relative, so that it holds behind a proxy that adds a prefix; clients set their own.
    "'scheme' not defined in the spec (2.0). Default to [http] for server URL [http://.]",
    # openapi-generator 7.26 prints it for every contract that has a schema.
    "Failed to get the schema name: null",
)


@pytest.fixture(scope="module", params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if missing := CLIENTS[name].missing():
        pytest.skip(f"this machine has no {', '.join(missing)}")
    return name


@pytest.fixture(scope="module")
def generated(client: str) -> str:
    """What the generator printed."""
    return generate(client)


@pytest.fixture(scope="module")
def compiled(client: str, generated: str) -> Client:
    del generated  # it is there
    for command in CLIENTS[client].compile:
        execute(client, command)
    return CLIENTS[client]


@pytest.fixture(scope="module")
def reported(client: str, compiled: Client, environment: dict[str, str]) -> dict[str, Any]:
    """The outcome of each check, as the program reports it."""
    if compiled.run is None:
        pytest.skip("generated only: Debian has no compiler for it")
    found: dict[str, Any] = json.loads(execute(client, compiled.run, **environment))
    return found


def test_the_generator_warns_of_nothing_in_the_contract(generated: str) -> None:
    warnings = re.findall(r"(?:WARN|ERROR) +\S+ - (.*)", generated)
    assert [each for each in warnings if each not in NOT_OF_THE_CONTRACT] == []


def test_the_client_compiles_in_the_strictest_mode_it_passes(compiled: Client) -> None:
    if not compiled.compile:
        pytest.skip("generated only: Debian has no compiler for it")


@pytest.mark.parametrize("check", CHECKS)
def test_the_client_returns(client: str, check: str, reported: dict[str, Any], expected: dict[str, Any]) -> None:
    if check in CLIENTS[client].untyped:
        pytest.skip("the types of this language rule it out")
    assert comparable(check, reported[check]) == comparable(check, expected[check])
