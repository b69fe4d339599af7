"""The wire: HTTP/1.1 as uvicorn and httptools speak it, with bounds, deadlines, and problem documents for what they refuse.

It builds on private parts of uvicorn 0.54; tests/server/test_uvicorn.py fails when they move.
"""

import asyncio
import re
from asyncio import AbstractEventLoop, BaseTransport, Transport
from asyncio.events import TimerHandle
from collections.abc import Callable, Iterable, Sequence
from enum import Enum, auto
from typing import Any, cast

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from handlers.problems import Problem
from openapi.parameters import Header

MAX_TARGET_SIZE = 16_384
"""Bytes of path and query. A hundred `serviceIds` of the greatest length, a key for each, are half of it."""
MAX_HEADER_SIZE = 20_480
"""Bytes of one header: the longest token that is looked at, and room around it."""
MAX_HEADERS_SIZE = 65_536
"""Bytes of all headers together."""
MAX_HEADERS = 100
MAX_BODY_SIZE = 65_536
"""Bytes. No operation reads a body; what clients send all the same is read over, up to here."""
MAX_PIPELINED = 32
"""Requests that may wait on one connection while another is answered."""

MIN_RATE = 32 * 1024
"""Bytes per second that a client must take of a response, once the stall timeout has passed."""

_GRACE = 1  # seconds for which a request is worked on after its client has gone
_LINGER = 2  # seconds in which a client that is still sending can read why it was refused

_HOST = re.compile(rb"([A-Za-z0-9._~!$&'()*+;=%-]*|\[[0-9A-Fa-f:.]+\])(:[0-9]*)?")  # RFC 3986, section 3.2, without commas
_NOT_WELL_FORMED = "The request is not well-formed HTTP/1.1"


class Refused(Exception):
    """A request that does not get as far as the application."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.problem = Problem(status, detail)


class _Enough(Exception):
    """A client sends more requests than it waits for the answers of."""


class _Stage(Enum):
    """How far the request that is being received has come."""

    BETWEEN = auto()
    HEAD = auto()
    BODY = auto()


_BETWEEN, _HEAD, _BODY = _Stage  # looked up several times a request


class RequestProtocol(HttpToolsProtocol):
    """One connection.

    What cannot be passed on is refused with a problem document, after the answers to earlier requests on this connection.
    Then the connection is closed: nobody can tell where the next request would begin.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
        *,
        request_timeout: float,
        stall_timeout: float,
        headers: Sequence[Header],
        accepted: Callable[[int], None] = lambda _descriptor: None,
    ) -> None:
        """A request has `request_timeout` seconds to arrive. Its client has `stall_timeout` seconds to take what is waiting,
        and a second more for each `MIN_RATE` of them. `headers` stand on every problem that is answered here.
        `accepted` is told the file descriptor of the connection."""
        super().__init__(config, server_state, app_state, _loop)
        self._accepted = accepted
        self._request_timeout = request_timeout
        self._stall_timeout = stall_timeout
        self._problem_headers = headers
        self._stage = _BETWEEN
        self._told = False  # whether the parser has made anything of the bytes that came last
        self._unread = 0  # bytes that it has made nothing of, as in a header without an end
        self._head_size = 0
        self._body_size = 0
        self._closing = False  # nothing is read any more
        self._last_words: Problem | None = None
        self._answered: RequestResponseCycle | None = None  # uvicorn remembers only the last that came
        self._task: asyncio.Task[None] | None = None  # works on the request
        self._deadline: TimerHandle | None = None
        self._write_deadline: TimerHandle | None = None

    # What asyncio calls

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(cast("Transport", transport))
        self._accepted(transport.get_extra_info("socket").fileno())
        self._set_deadline(self._request_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        self._clear_deadline()
        self._clear_write_deadline()
        if self._answered is not None:
            self._answered.disconnected = True
            self._answered.message_event.set()
        if self._task is not None:
            # A query that is nearly done is cheaper than its cancellation.
            self.loop.call_later(_GRACE, self._task.cancel)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        self._unset_keepalive_if_required()
        self._told = False
        try:
            self.parser.feed_data(data)
            self._count_unread(len(data))
        except httptools.HttpParserUpgrade:
            pass  # no other protocol is spoken here, and the answer says so by being one (RFC 9110, section 7.8)
        except httptools.HttpParserCallbackError as error:
            self._stop(error.__context__)
        except httptools.HttpParserError as error:
            self._stop(Refused(400, f"{_NOT_WELL_FORMED}: {_reason(error)}."))
        except Refused as refused:
            self._stop(refused)
        self._require_the_rest()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._set_write_deadline()

    def resume_writing(self) -> None:
        self._clear_write_deadline()
        super().resume_writing()

    # What the parser calls

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            raise _Enough
        super().on_message_begin()
        self._told = True
        self._stage = _HEAD
        self._head_size = self._body_size = 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._told = True
        if len(self.url) > MAX_TARGET_SIZE:
            raise Refused(414, f"The path and query are longer than {MAX_TARGET_SIZE:,} bytes.")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._told = True
        size = len(name) + len(value)
        self._head_size += size
        if size > MAX_HEADER_SIZE:
            raise Refused(431, f"The header {name[:64].decode('ascii')} is longer than {MAX_HEADER_SIZE:,} bytes.")
        if self._head_size > MAX_HEADERS_SIZE:
            raise Refused(431, f"The headers are longer than {MAX_HEADERS_SIZE:,} bytes together.")
        if self._stage is _BODY:
            return  # a trailer, which must not act as a header (RFC 9110, section 6.5.1)
        if len(self.headers) >= MAX_HEADERS:
            raise Refused(431, f"There are more than {MAX_HEADERS} headers.")
        HttpToolsProtocol.on_header(self, name, value)

    def on_headers_complete(self) -> None:
        self._told = True
        _require_sound(self.parser.get_http_version(), self.url, self.headers)
        super().on_headers_complete()
        self._stage = _BODY
        if self.parser.should_upgrade():
            self.cycle.keep_alive = False  # the parser drops what follows

    def on_body(self, body: bytes) -> None:
        self._told = True
        self._body_size += len(body)
        if self._body_size > MAX_BODY_SIZE:
            raise _body_too_large()
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._told = True
        self._stage = _BETWEEN
        self._clear_deadline()
        super().on_message_complete()

    # What happens to an answer

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        async def run(scope: Any, receive: Any, send: Any) -> None:
            self._task = task = asyncio.current_task()
            try:
                await app(scope, receive, send)
            except asyncio.CancelledError:
                if not cycle.disconnected:
                    raise
            finally:
                if self._task is task:  # the next request may have begun
                    self._task = None

        self._answered = cycle
        super()._start_asgi_task(cycle, run)

    def on_response_complete(self) -> None:
        nothing_waits = not self.pipeline
        super().on_response_complete()
        if nothing_waits and self._last_words is not None:
            self._answer(self._last_words)
        if self.transport.get_write_buffer_size():
            self._set_write_deadline()

    # Bounds

    def _count_unread(self, size: int) -> None:
        self._unread = 0 if self._told else self._unread + size
        if self._unread > MAX_HEADERS_SIZE:
            raise Refused(431, f"A header is longer than {MAX_HEADER_SIZE:,} bytes.")

    def _require_the_rest(self) -> None:
        """Let a request that has begun, or a connection on which none has, not stay as it is."""
        if not self._closing and self._deadline is None and (self._stage is not _BETWEEN or not self._told):
            self._set_deadline(self._request_timeout)

    def _set_deadline(self, seconds: float) -> None:
        self._clear_deadline()
        self._deadline = self.loop.call_later(seconds, self._out_of_time)

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _out_of_time(self) -> None:
        self._deadline = None
        if self._is_answering():
            self._set_deadline(self._request_timeout)  # what is still to come may not have been let in yet
        elif self._stage is _HEAD:
            self._stop(Refused(408, f"The request did not arrive within {self._request_timeout:g} seconds."))
        else:
            # Nothing was asked, or the answer is out already. A browser that opens connections ahead would take a word now
            # for the answer to its next request.
            self.transport.close()

    def _set_write_deadline(self) -> None:
        """Disconnect the client unless it takes what is waiting to be sent in time."""
        self._clear_write_deadline()
        waiting = self.transport.get_write_buffer_size()
        self._write_deadline = self.loop.call_later(self._stall_timeout + waiting / MIN_RATE, self._end_stalled_write)

    def _clear_write_deadline(self) -> None:
        if self._write_deadline is not None:
            self._write_deadline.cancel()
            self._write_deadline = None

    def _end_stalled_write(self) -> None:
        self._write_deadline = None
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    # Refusals

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete  # type: ignore[redundant-expr] # None at first

    def _stop(self, reason: BaseException | None) -> None:
        """Read no more, and say why as soon as all that came before is answered."""
        self._closing = True
        self._clear_deadline()
        if isinstance(reason, _Enough):
            self.cycle.keep_alive = False  # the last of those that wait; who asked for more asks again (RFC 9112, 9.3.2)
            return
        if not isinstance(reason, Refused):
            reason = Refused(400, f"{_NOT_WELL_FORMED}.")
        others = self._is_answering()
        if self._stage is _BODY:
            if self.cycle.response_started:
                self.cycle.keep_alive = False
                if self.cycle.response_complete:
                    self._hang_up()
                return
            others = self._withdraw()
        if others:
            self._last_words = reason.problem
        else:
            self._answer(reason.problem)

    def _withdraw(self) -> bool:
        """Take back the request whose body is being received: it is not answered. Says whether others are before it."""
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        if not self.pipeline:
            return False
        self.pipeline.popleft()
        return True

    def _answer(self, problem: Problem) -> None:
        body = problem.body()
        headers = [
            *self.server_state.default_headers,
            (b"content-type", b"application/problem+json"),
            (b"cache-control", b"no-store"),
            *self._problem_headers,
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        head = b"HTTP/1.1 %d %s\r\n" % (problem.status, problem.title.encode("ascii"))
        to_head = self._stage is _HEAD and self.url != b"" and self.parser.get_method() == b"HEAD"
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        self.transport.write(head + lines + b"\r\n" + (b"" if to_head else body))
        if self.access_log:
            self.access_logger.info("%s - refused with %d", self.client[0] if self.client else "", problem.status)
        self._hang_up()

    def _hang_up(self) -> None:
        """Close the connection, but not at once: while the client still sends, that would take the answer from it (RFC 9112,
        section 9.6)."""
        self._closing = True
        self._unset_keepalive_if_required()
        self._clear_deadline()
        if self.transport.is_closing():
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._deadline = self.loop.call_later(_LINGER, self.transport.abort)


def _require_sound(version: str, target: bytes, headers: Iterable[Header]) -> None:
    """Refuse what the parser lets pass, and what others may read differently (RFC 9112, sections 3, 6 and 11)."""
    if version not in ("1.1", "1.0"):
        raise Refused(400, "This server speaks HTTP/1.1 and HTTP/1.0.")
    if not target.startswith((b"/", b"http://", b"https://")) or b"#" in target:
        raise Refused(400, f"{_NOT_WELL_FORMED}: the target must be a path, or an http address.")
    hosts = 0
    for name, value in headers:
        if name == b"host":
            hosts += 1
            if not _HOST.fullmatch(value):
                raise Refused(400, f"{_NOT_WELL_FORMED}: the Host header does not hold a host.")
        elif name == b"transfer-encoding":
            if value.lower() != b"chunked" or version == "1.0":
                raise Refused(400, f"{_NOT_WELL_FORMED}: the only Transfer-Encoding read here is chunked, in HTTP/1.1.")
        elif name == b"content-length" and int(value) > MAX_BODY_SIZE:
            raise _body_too_large()
    if hosts > 1 or (hosts == 0 and version == "1.1"):
        raise Refused(400, f"{_NOT_WELL_FORMED}: there must be one Host header.")


def _body_too_large() -> Refused:
    return Refused(413, f"The body is larger than {MAX_BODY_SIZE:,} bytes; no operation here reads one.")


def _reason(error: httptools.HttpParserError) -> str:
    """What the parser says is wrong; its sentences are fixed, and repeat nothing that was sent."""
    return str(error).replace("`", "").rstrip(".") or "it cannot be read"


def require_strict_parser() -> None:
    """Refuse to start with a parser that lets pass what a proxy in front may read differently (request smuggling)."""
    start = b"GET / HTTP/1.1\r\nHost: h\r\n"
    for what, rest in {
        "Content-Length beside Transfer-Encoding": b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "two Content-Lengths": b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "a folded header": b"A: b\r\n c\r\n\r\n",
        "a line that ends without CR": b"A: b\n\r\n",
        "a space before a colon": b"A : b\r\n\r\n",
        "NUL in a header": b"A: \0\r\n\r\n",
    }.items():
        try:
            httptools.HttpRequestParser(object()).feed_data(start + rest)
        except httptools.HttpParserError:
            continue
        raise RuntimeError(f"the HTTP parser (httptools) accepts {what}; this server must not run on it")
