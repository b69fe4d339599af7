"""Pages of other origins that may read responses in a browser (CORS, as the Fetch standard has it)."""

import re
from collections.abc import Callable, Sequence

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

MAX_REQUEST_HEADERS = 50
"""Names in one preflight."""
MAX_REQUEST_HEADERS_LENGTH = 1024
"""Characters of these names together."""
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_READABLE = ("ETag", "Link", "Next-Cursor", "RateLimit", "RateLimit-Policy", "Retry-After")


class _ExactOrigins(CORSMiddleware):
    """Starlette's middleware, but a preflight that is not granted goes on to be refused like any other OPTIONS, with a
    problem document, and learns nothing of what would be granted.

    Any request header is granted that is asked for: a GET changes nothing whatever its headers are, and libraries for
    tracing add their own (baggage, traceparent).
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if scope["method"] == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers:
            granted = self.preflight_response(headers)
            if granted.status_code == 200 and _are_names(headers.get("access-control-request-headers")):
                await granted(scope, receive, send)
                return
        await self.simple_response(scope, receive, send, request_headers=headers)


def _are_names(text: str | None) -> bool:
    """Whether these are names of headers, and few enough to be repeated in a response."""
    if text is None:
        return True
    names = text.split(",") if len(text) <= MAX_REQUEST_HEADERS_LENGTH else []
    return 0 < len(names) <= MAX_REQUEST_HEADERS and all(_TOKEN.fullmatch(name.strip(" \t")) for name in names)


def allow_origins(origins: Sequence[str]) -> Callable[[ASGIApp], ASGIApp]:
    """Let pages of exactly these origins read responses. Without any, no response says a word about origins.

    Cookies play no part: a page sends its token itself, so no credentials are allowed.
    """

    def build(next_app: ASGIApp) -> ASGIApp:
        if not origins:
            return next_app
        return _ExactOrigins(
            next_app,
            allow_origins=origins,
            allow_methods=("GET", "HEAD"),
            allow_headers=("*",),  # those that are asked for
            expose_headers=_READABLE,
            max_age=600,
        )

    return build
