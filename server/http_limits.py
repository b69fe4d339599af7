"""What a request must be to reach the application, and the refusal that it gets otherwise."""

import re
from collections.abc import Iterable, Sequence

import httptools

from handlers.problems import Problem
from openapi.parameters import Header

MAX_TARGET_SIZE = 16_384
"""Bytes of path and query. A hundred `serviceIds` of the greatest length, a key for each, are half of it."""
MAX_HEADER_SIZE = 20_480
"""Bytes of one header: the longest token that is looked at, and room around it."""
MAX_HEADERS_SIZE = 65_536
"""Bytes of all headers and trailers together."""
MAX_HEADERS = 100
MAX_BODY_SIZE = 65_536
"""Bytes. No operation reads a body; a request that has one all the same is served, up to this size."""
MAX_PIPELINED = 32
"""Requests that may wait on one connection for the response to an earlier one."""
MIN_RATE = 32 * 1024
"""Bytes per second of a response that a client must read, once the stall timeout has passed."""
MAX_REQUEST_SIZE = 512 * 1024
"""Bytes of the reads in which a request arrives: a read is at most 256 KiB, and may hold earlier requests too. This bounds
what the parser does not report, such as a header without an end."""

_HOST = re.compile(rb"([A-Za-z0-9._~!$&'()*+;=%-]*|\[[0-9A-Fa-f:.]+\])(:[0-9]*)?")  # RFC 3986, section 3.2, without commas


class RequestRefused(Exception):
    """A request that is not passed on to the application."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail

    def response(self, headers: Iterable[Header], *, to_head: bool) -> bytes:
        """The whole response with these headers added; a HEAD request gets no body."""
        problem = Problem(self.status, self.detail)
        body = problem.body()
        lines = [
            b"HTTP/1.1 %d %s" % (problem.status, problem.title.encode("ascii")),
            *(name + b": " + value for name, value in headers),
            b"content-type: application/problem+json",
            b"cache-control: no-store",
            b"content-length: %d" % len(body),
            b"connection: close",
        ]
        return b"\r\n".join(lines) + b"\r\n\r\n" + (b"" if to_head else body)


class RequestSize:
    """The size of one request, which raises `RequestRefused` when a part of it is too large."""

    def __init__(self) -> None:
        self._received = self._target = self._headers = self._number_of_headers = self._body = 0

    def add_received(self, size: int) -> None:
        self._received += size
        if self._received > MAX_REQUEST_SIZE:
            raise RequestRefused(431, f"The request is larger than {MAX_REQUEST_SIZE:,} bytes.")

    def add_target(self, part: bytes) -> None:
        self._target += len(part)
        if self._target > MAX_TARGET_SIZE:
            raise RequestRefused(414, f"The path and query are longer than {MAX_TARGET_SIZE:,} bytes.")

    def add_header(self, name: bytes, value: bytes) -> None:
        size = len(name) + len(value)
        self._headers += size
        self._number_of_headers += 1
        if size > MAX_HEADER_SIZE:
            raise RequestRefused(431, f"The header {name[:64].decode('ascii')} is longer than {MAX_HEADER_SIZE:,} bytes.")
        if self._headers > MAX_HEADERS_SIZE:
            raise RequestRefused(431, f"The headers are longer than {MAX_HEADERS_SIZE:,} bytes together.")
        if self._number_of_headers > MAX_HEADERS:
            raise RequestRefused(431, f"There are more than {MAX_HEADERS} headers.")

    def add_body(self, part: bytes) -> None:
        self._body += len(part)
        if self._body > MAX_BODY_SIZE:
            raise _body_too_large()


def require_sound(version: str, target: bytes, headers: Sequence[Header]) -> None:
    """Refuse what the parser lets pass, and what a proxy may read differently (RFC 9112, sections 3, 6 and 11).

    Raises:
        RequestRefused: with 400, or 413 for a body that is announced as too large.
    """
    if version not in ("1.1", "1.0"):
        raise RequestRefused(400, "This server speaks HTTP/1.1 and HTTP/1.0.")
    if not target.startswith((b"/", b"http://", b"https://")) or b"#" in target:
        raise _not_well_formed("the target must be a path, or an http address")
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) > 1 or (version == "1.1" and not hosts):
        raise _not_well_formed("there must be one Host header")
    if hosts and not _HOST.fullmatch(hosts[0]):
        raise _not_well_formed("the Host header does not hold a host")
    for name, value in headers:
        if name == b"transfer-encoding" and (value.lower() != b"chunked" or version == "1.0"):
            raise _not_well_formed("the only Transfer-Encoding accepted is chunked, in HTTP/1.1")
        if name == b"content-length" and int(value) > MAX_BODY_SIZE:
            raise _body_too_large()


def refusal_of(error: BaseException) -> RequestRefused:
    """The refusal for an error of the parser, or for one that was raised in what it calls."""
    cause = error.__context__ if isinstance(error, httptools.HttpParserCallbackError) else error
    if isinstance(cause, RequestRefused):
        return cause
    # The parser's sentences are fixed. Those of other errors repeat what was sent.
    return _not_well_formed(str(error).replace("`", "").rstrip(".") if cause is error else "the target cannot be read")


def _not_well_formed(reason: str) -> RequestRefused:
    return RequestRefused(400, f"The request is not well-formed HTTP/1.1: {reason}.")


def _body_too_large() -> RequestRefused:
    return RequestRefused(413, f"The body is larger than {MAX_BODY_SIZE:,} bytes; no operation reads one.")
