"""HTTP/1.1 as uvicorn and httptools speak it, with bounds and deadlines; what they refuse gets a problem document.

A request is passed on when all of it has arrived. This module builds on private parts of uvicorn 0.54;
tests/server/test_uvicorn.py names each of them, and says what to do when one moves.
"""

import asyncio
from asyncio import BaseTransport, TimerHandle, Transport
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from openapi.parameters import Header
from server.connections import ConnectionLimit
from server.http_limits import MAX_PIPELINED, MIN_RATE, RequestRefused, RequestSize, refusal_of, require_sound

_CANCEL_DELAY = 1  # seconds: a query that is nearly done is cheaper than its cancellation
_LINGER = 2  # seconds in which a client that is still sending can read why it was refused


class RequestProtocol(HttpToolsProtocol):
    """One connection. It is closed after a refusal, since nobody can tell where the next request would begin."""

    def __init__(
        self,
        *args: Any,
        request_timeout: float,
        stall_timeout: float,
        headers: Sequence[Header],
        limit: ConnectionLimit,
        **kwargs: Any,
    ) -> None:
        """A request has `request_timeout` seconds to arrive. Its client has `stall_timeout` seconds to read what is waiting,
        and a second more for each `MIN_RATE` bytes of it. `headers` are added to every refusal."""
        super().__init__(*args, **kwargs)
        self._request_timeout = request_timeout
        self._stall_timeout = stall_timeout
        self._refusal_headers = headers
        self._limit = limit
        self._size = RequestSize()
        self._receiving = False  # a part of a request has arrived
        self._has_headers = False  # and all of its headers
        self._closing = False  # nothing more is read
        self._responding: RequestResponseCycle | None = None  # uvicorn's `cycle` is the newest request, which may be waiting
        self._task: asyncio.Task[None] | None = None
        self._deadline: TimerHandle | None = None
        self._write_deadline: TimerHandle | None = None

    # Called by asyncio

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(cast("Transport", transport))
        self._limit.add(self.transport, len(self.connections))
        self._set_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        _cancel(self._deadline)
        _cancel(self._write_deadline)
        self._limit.discard(self.transport)
        if self._responding is not None:
            self.cycle = self._responding
        if self._task is not None:
            self.loop.call_later(_CANCEL_DELAY, self._task.cancel)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        try:
            self.parser.feed_data(data)
            self._size.add_received(len(data))
        except httptools.HttpParserUpgrade:
            pass  # the protocol stays HTTP/1.1 (RFC 9110, section 7.8)
        except (httptools.HttpParserError, RequestRefused) as error:
            self._refuse(refusal_of(error))

    def pause_writing(self) -> None:
        super().pause_writing()
        self._set_write_deadline()

    def resume_writing(self) -> None:
        _cancel(self._write_deadline)
        super().resume_writing()

    # Called by the parser

    def on_message_begin(self) -> None:
        if self._closing or len(self.pipeline) >= MAX_PIPELINED:
            raise RequestRefused(400, "No more requests are read from this connection.")
        super().on_message_begin()
        self._unset_keepalive_if_required()
        self._set_deadline()
        self._size = RequestSize()
        self._receiving, self._has_headers = True, False

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._size.add_target(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._size.add_header(name, value)
        if not self._has_headers:  # a trailer must not act as a header (RFC 9110, section 6.5.1)
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._has_headers = True
        require_sound(self.parser.get_http_version(), self.url, self.headers)
        if self.expect_100_continue:
            self.on_message_complete()  # the client gets the response at once, and keeps its body (RFC 9110, 10.1.1)

    def on_body(self, body: bytes) -> None:
        self._size.add_body(body)

    def on_message_complete(self) -> None:
        if self._closing:
            return
        super().on_headers_complete()
        super().on_message_complete()
        _cancel(self._deadline)
        self._receiving = False
        if self.parser.should_upgrade() or self.expect_100_continue:  # what follows is no request
            self.cycle.keep_alive = False
        self._closing = not self.cycle.keep_alive

    # Responses

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._responding = cycle
        self._limit.discard(self.transport)
        super()._start_asgi_task(cycle, partial(self._run, app, cycle))

    async def _run(self, app: ASGI3Application, cycle: RequestResponseCycle, scope: Any, receive: Any, send: Any) -> None:
        self._task = asyncio.current_task()
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            if not cycle.disconnected:
                raise

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.get_write_buffer_size():
            self._set_write_deadline()
        if self._receiving:
            self._unset_keepalive_if_required()  # the next request has a deadline of its own
        if self._is_idle():
            self._limit.set_idle(self.transport)

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr] # None at first

    def _refuse(self, refused: RequestRefused) -> None:
        """Read no more. Earlier requests get their responses, and the refused one a response only if there are none."""
        _cancel(self._deadline)
        self._closing = True
        if not self._is_idle():
            self.cycle.keep_alive = False  # as a client that pipelines must expect (RFC 9112, section 9.3.2)
            return
        headers = [*self.server_state.default_headers, *self._refusal_headers]
        to_head = self._receiving and self.url != b"" and self.parser.get_method() == b"HEAD"
        self.transport.write(refused.response(headers, to_head=to_head))
        if self.access_log:
            self.access_logger.info("%s - refused with %d", self.client[0] if self.client else "", refused.status)
        # Closed while the client still sends, the connection would be reset and the response lost (RFC 9112, section 9.6).
        self.transport.write_eof()
        self._deadline = self.loop.call_later(_LINGER, self.transport.abort)

    # Deadlines

    def _set_deadline(self) -> None:
        _cancel(self._deadline)
        self._deadline = self.loop.call_later(self._request_timeout, self._end_slow_request)

    def _end_slow_request(self) -> None:
        if not self._is_idle():
            self._set_deadline()  # nothing is read while requests wait for an earlier one
        elif self._receiving:
            self._refuse(RequestRefused(408, f"The request did not arrive within {self._request_timeout:g} seconds."))
        else:
            # A browser that has opened the connection ahead would take a refusal for the response to its first request.
            self.transport.close()

    def _set_write_deadline(self) -> None:
        _cancel(self._write_deadline)
        seconds = self._stall_timeout + self.transport.get_write_buffer_size() / MIN_RATE
        self._write_deadline = self.loop.call_later(seconds, self._end_stalled_write)

    def _end_stalled_write(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()


def _cancel(timer: TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
