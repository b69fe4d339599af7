"""Pages of other origins that may read answers in a browser (CORS, as the Fetch standard has it)."""

from collections.abc import Callable, Sequence

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

_READABLE = ("ETag", "Link", "Next-Cursor", "RateLimit", "RateLimit-Policy", "Retry-After")


class _ExactOrigins(CORSMiddleware):
    """Starlette's middleware, but a preflight that is not granted goes on to be refused like any other OPTIONS, with a
    problem document, and learns nothing of what would be granted."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if scope["method"] == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers:
            granted = self.preflight_response(headers)
            if granted.status_code == 200:
                await granted(scope, receive, send)
                return
        await self.simple_response(scope, receive, send, request_headers=headers)


def allow_origins(origins: Sequence[str]) -> Callable[[ASGIApp], ASGIApp]:
    """Let pages of exactly these origins read answers. Without any, no answer says a word about origins.

    Cookies play no part: a page sends its token itself, so no credentials are allowed.
    """

    def build(next_app: ASGIApp) -> ASGIApp:
        if not origins:
            return next_app
        return _ExactOrigins(
            next_app,
            allow_origins=origins,
            allow_methods=("GET", "HEAD"),
            allow_headers=("Authorization", "If-None-Match"),
            expose_headers=_READABLE,
            max_age=600,
        )

    return build
