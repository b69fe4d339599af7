"""The response cache: a repeated request is served from memory while the revision of its workspace stands.

Authorization comes before it, so a cached response reaches only those who may read it.
"""

from typing import NamedTuple

from cachetools import LRUCache
from starlette.types import ASGIApp, Receive, Scope, Send

from handlers.conditional import ReadRevision
from handlers.pipeline import ARGUMENTS, Handler, Step
from handlers.responses import Response
from openapi.contract import Operation

KEEP = "sessions.keep_response"
"""Where the ASGI scope holds the function that takes a response and its revision into the cache."""


class _Cached(NamedTuple):
    response: Response
    revision: int
    size: int


def cache_responses(read_revision: ReadRevision, max_size: int) -> Step:
    """Keep whole responses, `max_size` bytes of them at most; 0 keeps none."""

    def build(_operation: Operation, _handler: Handler, next_app: ASGIApp) -> ASGIApp:
        if max_size == 0:
            return next_app
        cache: LRUCache[object, _Cached] = LRUCache(max_size, getsizeof=lambda cached: cached.size)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            arguments = scope[ARGUMENTS]
            key = tuple(sorted(arguments.items()))

            def keep(response: Response, revision: int) -> None:
                cache.pop(key, None)
                if (size := response.size()) <= max_size:
                    cache[key] = _Cached(response, revision, size)

            cached = cache.get(key)
            if cached is not None and cached.revision == await read_revision(arguments["workspace_id"]):
                await cached.response.send(scope, send)
                if cached.response.size() != cached.size:  # it has been compressed
                    keep(cached.response, cached.revision)
                return
            scope[KEEP] = keep
            await next_app(scope, receive, send)

        return app

    return build
