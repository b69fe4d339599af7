"""Responses that need no list, while the revision of the workspace stands: 304 for a client that holds the current response
(RFC 9110, section 13.1.2), and cached responses for repeated requests.

Authorization comes before this step, so a cached response reaches only those who may read it.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from cachetools import LRUCache
from starlette.types import ASGIApp, Receive, Scope, Send

from handlers.pipeline import ARGUMENTS, Handler, Step, respond
from handlers.responses import Response, etag, validators
from openapi.contract import Operation

KEEP = "sessions.keep_response"
"""Where the ASGI scope holds the function that takes a response and its revision into the cache."""

ReadRevision = Callable[[str], Awaitable[int]]
"""From the id of a workspace to its current revision; raises `WorkspaceNotFound`."""


class _Cached(NamedTuple):
    response: Response
    revision: int
    size: int


def reuse_responses(read_revision: ReadRevision, max_size: int) -> Step:
    """Respond with 304 or from the cache where possible, which costs one short statement.

    `max_size` is the number of bytes that the cache of one process may hold; 0 turns it off.
    """

    def build(operation: Operation, _handler: Handler, next_app: ASGIApp) -> ASGIApp:
        cache: LRUCache[object, _Cached] = LRUCache(max_size, getsizeof=lambda cached: cached.size)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            arguments = scope[ARGUMENTS]
            key = tuple(sorted(arguments.items()))

            def keep(response: Response, revision: int) -> None:
                cache.pop(key, None)
                if (size := response.size()) <= max_size:
                    cache[key] = _Cached(response, revision, size)

            scope[KEEP] = keep
            held = b",".join(value for name, value in scope["headers"] if name == b"if-none-match")
            cached = cache.get(key)
            if held or cached:
                revision = await read_revision(arguments["workspace_id"])
                if held and _names(held, tag := etag(operation, arguments, revision)):
                    await respond(scope, send, 304, validators(tag))
                    return
                if cached and cached.revision == revision:
                    await cached.response.send(scope, send)
                    if cached.response.size() != cached.size:  # it has been compressed
                        keep(cached.response, revision)
                    return
            await next_app(scope, receive, send)

        return app

    return build


def _names(held: bytes, tag: bytes) -> bool:
    """Whether a value of `If-None-Match` names an entity tag, by weak comparison; `*` names every one."""
    # An opaque tag has quotes around it and none inside, so it is found without splitting the list.
    return held.strip() == b"*" or tag.removeprefix(b"W/") in held
