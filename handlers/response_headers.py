"""Headers that every response has, including errors."""

from collections.abc import Iterable, Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openapi.parameters import Header

_ADDED = "sessions.headers"


def security_headers(*, behind_tls: bool) -> tuple[Header, ...]:
    """The security headers of every response.

    HSTS (RFC 6797) is among them only if TLS ends in front of this server: by mistake, it locks browsers out for a year.
    """
    nosniff = (b"x-content-type-options", b"nosniff")
    return (nosniff, (b"strict-transport-security", b"max-age=31536000")) if behind_tls else (nosniff,)


class ResponseHeadersMiddleware:
    """Adds fixed headers to every response, and the headers that `add_headers` got for it."""

    def __init__(self, app: ASGIApp, headers: Sequence[Header]) -> None:
        self._app = app
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        added: list[Header] = []
        scope[_ADDED] = added

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *self._headers, *added]}
            await send(message)

        await self._app(scope, receive, send_with_headers)


def add_headers(scope: Scope, headers: Iterable[Header]) -> None:
    """Add headers to the response to this request, whether it is a success or a problem."""
    scope[_ADDED].extend(headers)
