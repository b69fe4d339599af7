"""CORS: pages of which origins may read responses in a browser (Fetch standard, section 3.3)."""

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
    """Starlette's middleware, which grants any request headers: tracing libraries add theirs, and a GET changes nothing.

    A preflight that is not granted is refused with a problem document like any other OPTIONS request.
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
    """Whether a list of header names is well-formed, and short enough to be repeated in a response."""
    if text is None:
        return True
    names = text.split(",") if len(text) <= MAX_REQUEST_HEADERS_LENGTH else []
    return 0 < len(names) <= MAX_REQUEST_HEADERS and all(_TOKEN.fullmatch(name.strip(" \t")) for name in names)


def allow_origins(origins: Sequence[str]) -> Callable[[ASGIApp], ASGIApp]:
    """Let pages of these origins read responses. They send tokens themselves, so credentials are not allowed."""

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
