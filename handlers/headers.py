"""Headers that every answer has, whoever gives it."""

from collections.abc import Callable, Iterable, Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from handlers.pipeline import Header

_ADDED = "sessions.headers"


def security_headers(*, behind_tls: bool) -> tuple[Header, ...]:
    """What browsers are told with every answer.

    HSTS (RFC 6797) only where TLS ends in front of this server: sent by mistake, it would lock them out for a year.
    """
    nosniff = (b"x-content-type-options", b"nosniff")
    return (nosniff, (b"strict-transport-security", b"max-age=31536000")) if behind_tls else (nosniff,)


def every_answer_has(headers: Sequence[Header]) -> Callable[[ASGIApp], ASGIApp]:
    """The outermost layer: puts these headers on every answer, and those that `add_headers` was given for it."""

    def build(next_app: ASGIApp) -> ASGIApp:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await next_app(scope, receive, send)
                return
            added: list[Header] = []
            scope[_ADDED] = added

            async def send_with_headers(message: Message) -> None:
                if message["type"] == "http.response.start":
                    message = {**message, "headers": [*message["headers"], *headers, *added]}
                await send(message)

            await next_app(scope, receive, send_with_headers)

        return app

    return build


def add_headers(scope: Scope, headers: Iterable[Header]) -> None:
    """Add headers to the answer of this request, be it a success or a problem."""
    scope[_ADDED].extend(headers)
