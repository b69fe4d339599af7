"""A load generator that costs little: raw sockets, one request at a time on each, kept alive.

It reads no more of a response than its status and its length; `bench.check` checks before that responses are right.
"""

import selectors
import socket
from collections.abc import Sequence
from contextlib import suppress
from time import perf_counter
from typing import NamedTuple

_BUFFER = 1 << 20
_RECONNECTS = 10  # of one connection


class Load(NamedTuple):
    """How long a run took, and the latency of each response in seconds."""

    seconds: float
    latencies: list[float]


class UnexpectedResponse(Exception):
    """A server responded with another status than it should, or not at all."""


class _Closed(Exception):
    """The server closed a connection as idle, before it began to respond."""


class _Connection:
    """One client: sends its request, reads the response, and sends it again."""

    def __init__(self, port: int, request: bytes, status: int) -> None:
        self._port = port
        self._request = request
        self._status = b" %d " % status
        self._buffer = bytearray(_BUFFER)
        self.began = 0.0
        self.reconnected = 0
        self.connect()

    def connect(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self._port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send_again(self) -> None:
        """On a new connection, as every client does (RFC 9112, section 9.3.1); the latency counts from the first try."""
        self.reconnected += 1
        if self.reconnected > _RECONNECTS:
            raise UnexpectedResponse(f"the server closed a connection {_RECONNECTS} times")
        self.socket.close()
        self.connect()
        began = self.began
        self.send()
        self.began = began

    def send(self) -> None:
        self._left = -1  # until the head has arrived; then the bytes left of the body, or -2 when it is chunked
        self._head = b""
        self._tail = b""
        self.began = perf_counter()
        with suppress(ConnectionError):  # the next read raises it again
            self.socket.sendall(self._request)

    def receive(self) -> bool:
        """Read what has arrived; True when the response is complete."""
        try:
            number = self.socket.recv_into(self._buffer)
        except ConnectionError:
            number = 0
        if not number:
            if self._left == -1 and not self._head:
                raise _Closed
            raise UnexpectedResponse("the server broke off a response")
        if self._left == -1:
            self._head += self._buffer[:number]
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return False
            body = len(self._head) - end - 4
            self._begin(self._head[:end].lower())
            if self._left == -2:
                self._tail = self._head[-5:]
            else:
                self._left -= body
        elif self._left == -2:
            self._tail = (self._tail + self._buffer[max(0, number - 5) : number])[-5:]
        else:
            self._left -= number
        return self._tail == b"0\r\n\r\n" if self._left == -2 else self._left == 0

    def _begin(self, head: bytes) -> None:
        if self._status not in head[:16]:
            raise UnexpectedResponse(head.partition(b"\r\n")[0].decode())
        _, named, rest = head.partition(b"\r\ncontent-length:")
        if named:
            self._left = int(rest.partition(b"\r\n")[0])
        else:
            self._left = -2 if b"\r\ntransfer-encoding: chunked" in head else 0  # a 304 has no body


class Clients:
    """Connections to one server, each with a request of its own."""

    def __init__(self, port: int, requests: Sequence[bytes], status: int) -> None:
        self._connections = [_Connection(port, request, status) for request in requests]
        self._selector = selectors.DefaultSelector()
        for connection in self._connections:
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)

    def run(self, seconds: float) -> Load:
        """Keep every connection busy for so long, then wait for the last responses."""
        latencies: list[float] = []
        began = perf_counter()
        for connection in self._connections:
            connection.send()
        busy = len(self._connections)
        while busy:
            for key, _ in self._selector.select():
                connection = key.data
                try:
                    complete = connection.receive()
                except _Closed:
                    self._selector.unregister(connection.socket)
                    connection.send_again()
                    self._selector.register(connection.socket, selectors.EVENT_READ, connection)
                    continue
                if complete:
                    now = perf_counter()
                    latencies.append(now - connection.began)
                    if now - began < seconds:
                        connection.send()
                    else:
                        busy -= 1
        return Load(perf_counter() - began, latencies)

    def close(self) -> None:
        self._selector.close()
        for connection in self._connections:
            connection.socket.close()
