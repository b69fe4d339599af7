"""Successful responses: their headers, and sending them in the coding that the client accepts."""

import asyncio
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

from starlette.types import Scope, Send

from handlers.encodings import MIN_SIZE, choose_coding, compress
from openapi.contract import Operation
from openapi.parameters import Header

PIECE = 256 * 1024
"""Bytes that are sent at a time. The client must take each piece within a time limit; see `server.transport`."""
_MAX_SIZE_IN_LOOP = 32 * 1024  # bytes that are compressed faster than a thread is started


def etag(operation: Operation, arguments: Mapping[str, Any], revision: int) -> bytes:
    """The entity tag of a list: it changes with the contract, the parameters and the revision of the workspace.

    It is weak (RFC 9110, section 8.8.1), since it is the same for compressed and uncompressed bytes.
    """
    content = repr((sorted(arguments.items()), revision)).encode()
    return b'W/"%s"' % blake2b(content, digest_size=16, key=operation.contract_digest).hexdigest().encode()


def validators(tag: bytes) -> list[Header]:
    """The headers with which a client can revalidate a response."""
    return [(b"etag", tag), (b"cache-control", b"private, no-cache"), (b"vary", b"Authorization, Accept-Encoding")]


def content_headers(coding: str | None) -> list[Header]:
    coded = [(b"content-encoding", coding.encode())] if coding else []
    return [(b"content-type", b"application/json"), *coded]


class Response:
    """A whole response, with its body in each coding that a request has needed."""

    def __init__(self, headers: Sequence[Header], body: bytes) -> None:
        self._headers = headers
        self._bodies: dict[str | None, bytes] = {None: body}

    def size(self) -> int:
        return 500 + sum(map(len, self._bodies.values()))

    async def send(self, scope: Scope, send: Send) -> None:
        coding = choose_coding(scope["headers"]) if len(self._bodies[None]) >= MIN_SIZE else None
        body = await self._coded(coding)
        headers = [*self._headers, *content_headers(coding), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if scope["method"] == "HEAD":
            body = b""
        if len(body) > PIECE:
            await send_pieces(send, body)
            body = b""
        await send({"type": "http.response.body", "body": body})

    async def _coded(self, coding: str | None) -> bytes:
        """The body in a coding, which is made once."""
        if coding is not None and coding not in self._bodies:
            body = self._bodies[None]
            in_loop = len(body) <= _MAX_SIZE_IN_LOOP
            self._bodies[coding] = compress(coding, body) if in_loop else await asyncio.to_thread(compress, coding, body)
        return self._bodies[coding]


async def send_pieces(send: Send, body: bytes) -> None:
    """Send a part of a body that more follows."""
    for start in range(0, len(body), PIECE):
        await send({"type": "http.response.body", "body": body[start : start + PIECE], "more_body": True})
