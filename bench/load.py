"""A load generator that costs little: raw sockets, one request at a time on each, kept alive.

It looks at no more of an answer than its status and its length; that answers are right is checked before (`bench.check`).
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
    """What was measured: how many answers came in how many seconds, and how long each took."""

    seconds: float
    latencies: list[float]


class UnexpectedAnswer(Exception):
    """A server answered with another status than it should, or not at all."""


class _Closed(Exception):
    """The server has closed a connection that it took for an idle one, and has not begun to answer."""


class _Connection:
    """One client: sends its request, takes the answer, and sends it again."""

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
        """On a new connection, as every client does (RFC 9112, section 9.3.1); the time goes on."""
        self.reconnected += 1
        if self.reconnected > _RECONNECTS:
            raise UnexpectedAnswer(f"the server closed a connection {_RECONNECTS} times")
        self.socket.close()
        self.connect()
        began = self.began
        self.send()
        self.began = began

    def send(self) -> None:
        self._left = (
            -1
        )  # until the head of the answer is there; then what is left of its body, or -2 when only its end tells
        self._head = b""
        self._tail = b""
        self.began = perf_counter()
        with suppress(ConnectionError):  # which the next look at the socket tells
            self.socket.sendall(self._request)

    def receive(self) -> bool:
        """Take what has come; True when the answer is whole."""
        try:
            number = self.socket.recv_into(self._buffer)
        except ConnectionError:
            number = 0
        if not number:
            if self._left == -1 and not self._head:
                raise _Closed
            raise UnexpectedAnswer("the server broke an answer off")
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
            raise UnexpectedAnswer(head.partition(b"\r\n")[0].decode())
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
        """Keep every connection busy for so long; what is on its way then is waited for."""
        latencies: list[float] = []
        began = perf_counter()
        for connection in self._connections:
            connection.send()
        busy = len(self._connections)
        while busy:
            for key, _ in self._selector.select():
                connection = key.data
                try:
                    whole = connection.receive()
                except _Closed:
                    self._selector.unregister(connection.socket)
                    connection.send_again()
                    self._selector.register(connection.socket, selectors.EVENT_READ, connection)
                    continue
                if whole:
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
