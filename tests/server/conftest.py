"""What the tests of the server share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.key_servers import KeyServer, jwk
from tests.processes import Start, programs_in
from tests.signers import rsa_key


@pytest.fixture
def key_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyServer]:
    """A key server that lets requests wait until it is opened."""
    monkeypatch.setenv("no_proxy", "*")
    server = KeyServer()
    server.answer = {"keys": [jwk(rsa_key(), kid="a")]}
    server.open.clear()
    yield server
    server.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start the program in an empty folder."""
    with programs_in(tmp_path) as start_program:
        yield start_program
