"""Clients that read slowly, or not at all, hold up nobody else, and lose their connection."""

import asyncio
import json
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from db.limits import SNAPSHOTS
from handlers.keys import StaticKeys, secret_key
from server.settings import Settings
from tests.conftest import SECRET, Databases, Mint
from tests.live import Served, serving, until
from tests.scale.practice import PRACTICE, fill

SIZE = 20_000
PATH = f"/v1/workspace/{PRACTICE}/sessions"


@pytest.fixture(scope="module")
def large_url(databases: Databases) -> str:
    """A workspace whose whole list is larger than what the operating system buffers for a connection."""
    url = databases.migrated()
    asyncio.run(fill(url, {PRACTICE: SIZE}))
    return url


@contextmanager
def reading(port: int, path: str, token: str, *, rate: int) -> Iterator[socket.socket]:
    """A client that asks, and takes so many bytes a second, in a thread."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", port))
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    ended = threading.Event()

    def read() -> None:
        with suppress(OSError):
            while not ended.wait(0.1) and client.recv(max(1, rate // 10)):
                pass

    thread = threading.Thread(target=read)
    if rate:
        thread.start()
    try:
        yield client
    finally:
        ended.set()
        if rate:
            thread.join()
        client.close()


def get(port: int, path: str, token: str = "") -> tuple[int, bytes]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - our own server
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def streams(served: Served) -> int:
    """How many responses are being sent."""
    return len(served.state.tasks)


def test_fifty_slow_readers_of_a_long_list_hold_up_nobody(large_url: str, mint: Mint) -> None:
    token = mint(workspaces=[PRACTICE])
    settings = Settings(StaticKeys((secret_key(SECRET),)), large_url)
    with serving(settings, stall_timeout=30) as served, ExitStack() as clients:
        for _ in range(50):
            clients.enter_context(reading(served.port, PATH, token, rate=1000))
        until(lambda: streams(served) == SNAPSHOTS)
        for _ in range(20):
            assert get(served.port, "/readyz")[0] == 200
            status, body = get(served.port, f"{PATH}?limit=1", token)
            assert status == 200
            assert len(json.loads(body)["sessions"]) == 1


@pytest.mark.parametrize("path", [PATH, "/docs/swagger-ui-bundle.js"])
def test_a_client_that_takes_nothing_loses_its_connection_whatever_it_asked_for(
    large_url: str, mint: Mint, path: str
) -> None:
    token = mint(workspaces=[PRACTICE])
    settings = Settings(StaticKeys((secret_key(SECRET),)), large_url)
    with serving(settings, stall_timeout=0.1) as served, ExitStack() as clients:
        for _ in range(SNAPSHOTS):
            clients.enter_context(reading(served.port, path, token, rate=0))
        until(lambda: streams(served) == SNAPSHOTS or path != PATH)
        until(lambda: streams(served) == 0 and not served.state.connections)
        status, body = get(served.port, PATH, token)
        assert status == 200
        assert len(json.loads(body)["sessions"]) == SIZE


def test_a_client_that_reads_steadily_gets_everything(large_url: str, mint: Mint) -> None:
    token = mint(workspaces=[PRACTICE])
    settings = Settings(StaticKeys((secret_key(SECRET),)), large_url)
    with serving(settings, stall_timeout=1) as served:
        status, body = get(served.port, PATH, token)
        assert status == 200
        assert len(json.loads(body)["sessions"]) == SIZE


def test_static_files_take_no_place_of_the_requests(large_url: str, mint: Mint) -> None:
    token = mint(workspaces=[PRACTICE])
    settings = Settings(StaticKeys((secret_key(SECRET),)), large_url, concurrent_requests=5)
    with serving(settings, stall_timeout=30) as served, ExitStack() as clients:
        for _ in range(20):
            clients.enter_context(reading(served.port, "/docs/swagger-ui-bundle.js", "", rate=0))
        until(lambda: len(served.state.connections) == 20)
        for _ in range(10):
            assert get(served.port, f"{PATH}?limit=1", token)[0] == 200
