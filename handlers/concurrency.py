"""The limit on concurrent requests of one process."""

from starlette.types import ASGIApp, Receive, Scope, Send

from handlers.pipeline import Handler, Step
from openapi.contract import Operation


class Overloaded(Exception):
    """The process is at its limit of concurrent requests (503)."""


def limit_concurrency(max_requests: int) -> Step:
    """Refuse requests beyond `max_requests` at once: in a queue, every client would wait until it gives up.

    Requests for pages and health are not counted.
    """
    requests = 0

    def build(_operation: Operation, _handler: Handler, next_app: ASGIApp) -> ASGIApp:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            nonlocal requests
            if requests >= max_requests:
                raise Overloaded
            requests += 1
            try:
                await next_app(scope, receive, send)
            finally:
                requests -= 1

        return app

    return build
