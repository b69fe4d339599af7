"""The server as it runs, on a real socket, and a client that sends it bytes as they are."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Self

import uvicorn
from uvicorn.server import ServerState

from server.app import create_app
from server.serving import options
from server.settings import Settings

PATIENCE = 20
"""Seconds after which a test gives up; none needs a tenth of it."""


@dataclass(frozen=True)
class Received:
    """One answer, as it came."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        values = [value for named, value in self.headers if named == name]
        assert len(values) <= 1, f"{name} stands twice"
        return values[0] if values else None


class Connection:
    """A connection to the server that is talked to in bytes."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def rest(self) -> bytes:
        """All that the server sends until it closes the connection."""
        received = b""
        while data := self._socket.recv(65536):
            received += data
        return received

    def answer(self, *, to_head: bool = False) -> Received:
        """The next answer, without waiting for more."""
        reader = _Reader(partial(self._socket.recv, 65536))
        return reader.answer(to_head=to_head)


class _Reader:
    """Reads answers from bytes, strictly: what it cannot read is wrong."""

    def __init__(self, more: Callable[[], bytes]) -> None:
        self._more = more
        self._buffer = b""

    def _until(self, end: bytes) -> bytes:
        while end not in self._buffer:
            data = self._more()
            assert data, f"cut off: {self._buffer!r}"
            self._buffer += data
        found, _, self._buffer = self._buffer.partition(end)
        return found

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            data = self._more()
            assert data, f"cut off: {self._buffer!r}"
            self._buffer += data
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def answer(self, *, to_head: bool = False) -> Received:
        status_line, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, status, reason = status_line.split(" ", 2)
        assert version == "HTTP/1.1"
        headers = [(name.lower(), value) for name, value in (line.split(": ", 1) for line in lines)]
        without_body = to_head or status == "304"
        length = dict(headers).get("content-length", "0")
        return Received(int(status), reason, headers, b"" if without_body else self._exactly(int(length)))

    def at_end(self) -> bool:
        if not self._buffer:
            self._buffer = self._more()
        return not self._buffer


def answers_in(received: bytes, *, to_head: bool = False) -> list[Received]:
    """All answers in what a connection has sent, with nothing before, between and after them."""
    reader = _Reader(iter([received, *[b""] * 1000]).__next__)
    found = []
    while not reader.at_end():
        found.append(reader.answer(to_head=to_head))
    return found


class Served(NamedTuple):
    """A server that runs."""

    port: int
    state: ServerState


@contextmanager
def serving(settings: Settings, **protocol: Any) -> Iterator[Served]:
    """Serve these settings as `sessions-api serve` does. `protocol` changes what the protocol is told."""
    told = options(settings)
    told["http"] = partial(told["http"], **protocol)
    server = uvicorn.Server(uvicorn.Config(create_app(settings), port=0, **{**told, "log_config": None}))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started or not thread.is_alive())
        yield Served(server.servers[0].sockets[0].getsockname()[1], server.server_state)
    finally:
        server.should_exit = True
        thread.join()


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition, which must come true."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.005)
