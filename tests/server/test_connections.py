"""A process keeps room for new connections, however many idle ones its clients hold."""

import logging
import resource
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from handlers.jwks import JWKSServer
from handlers.keys import StaticKeys, secret_key
from server.connections import ConnectionLimit, max_connections, raise_descriptor_limit
from server.settings import Settings
from tests.conftest import SECRET, WORKSPACE, Mint
from tests.key_servers import KeyServer
from tests.live import Connection, serving
from tests.processes import TIMEOUT, Start, port_of, read_until
from tests.signers import rsa_key

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
WITH_1024_DESCRIPTORS = ("sh", "-c", 'ulimit -n 1024; exec "$0" "$@"')


@pytest.fixture
def descriptors() -> Iterator[tuple[int, int]]:
    """The limits on file descriptors, of which a test may lower the first."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def status(connection: Connection, request: bytes) -> int:
    connection.send(request)
    return connection.answer().status


def test_the_limit_on_descriptors_is_raised_to_what_the_system_allows(descriptors: tuple[int, int]) -> None:
    _, hard = descriptors
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard // 2, hard))
    raise_descriptor_limit()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)


def test_connections_leave_descriptors_for_everything_else(descriptors: tuple[int, int]) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, descriptors[1]))
    assert max_connections() == 960


def test_health_and_lists_are_answered_while_clients_hold_more_idle_connections_than_there_are_descriptors(
    start: Start, sqlite_demo_url: str, mint: Mint
) -> None:
    server = start(
        *("serve", "--port", "0"),
        prefix=WITH_1024_DESCRIPTORS,
        SESSIONS_DATABASE_URL=sqlite_demo_url,
        SESSIONS_JWT_SECRET=SECRET,
        SESSIONS_REQUEST_TIMEOUT="3600",
    )
    port = port_of(server)
    path = f"/v1/workspace/{WORKSPACE}/sessions?limit=1"
    listing = f"GET {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {mint()}\r\n\r\n".encode()
    with ExitStack() as idle:
        for _ in range(1_100):
            idle.enter_context(Connection(port))
        for _ in range(10):
            for request in (HEALTH, listing):
                with Connection(port) as connection:
                    assert status(connection, request) == 200
        assert "960 connections are open" in read_until(server, "has been idle longest")


def test_the_connection_that_has_been_idle_longest_is_closed_for_a_new_one(
    sqlite_demo_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(StaticKeys((secret_key(SECRET),)), sqlite_demo_url)
    with serving(settings, limit=ConnectionLimit(2)) as served, ExitStack() as opened:
        first, second = (opened.enter_context(Connection(served.port)) for _ in range(2))
        assert status(second, HEALTH) == 200
        assert status(first, HEALTH) == 200
        third = opened.enter_context(Connection(served.port))
        assert second.rest() == b""
        assert status(third, HEALTH) == 200
        opened.enter_context(Connection(served.port))
        assert first.rest() == b""
        assert status(third, HEALTH) == 200
    messages = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert [message.partition(":")[0] for message in messages] == [
        "2 connections are open, as many as the limit on file descriptors allows"
    ]


def test_a_connection_whose_request_is_being_answered_is_not_closed(
    key_server: KeyServer, sqlite_demo_url: str, mint: Mint
) -> None:
    token = mint(key=rsa_key(), algorithm="RS256", headers={"kid": "a"})
    request = f"GET /v1/workspace/{WORKSPACE}/sessions HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n\r\n"
    settings = Settings(JWKSServer(key_server.url, frozenset({"RS256"})), sqlite_demo_url)
    with serving(settings, limit=ConnectionLimit(1)) as served, Connection(served.port) as busy:
        busy.send(request.encode())
        assert key_server.asked.acquire(timeout=TIMEOUT)
        with Connection(served.port) as refused:
            assert refused.rest() == b""
        key_server.open.set()
        assert busy.answer().status == 200
