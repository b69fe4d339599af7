"""How many requests one process works on at the same time."""

from starlette.types import ASGIApp, Receive, Scope, Send

from handlers.pipeline import Handler, Step
from openapi.contract import Operation


class Overloaded(Exception):
    """The process works on as many requests as it may (503)."""


def limit_concurrency(max_requests: int) -> Step:
    """Refuse requests to the operations while `max_requests` are being worked on. Pages and health are not counted.

    A refusal is immediate: in a queue, every client would wait until it gives up.
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
