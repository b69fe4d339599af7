"""How many requests are answered at a time."""

from collections.abc import Callable, Collection

from starlette.types import ASGIApp, Receive, Scope, Send


class Overloaded(Exception):
    """As many requests as may be are being answered already (503)."""


def limit_concurrency(most: int, *, except_for: Collection[str]) -> Callable[[ASGIApp], ASGIApp]:
    """Turn requests away while this process answers `most` others, at once and without work: a queue would only make
    everybody wait until they have gone. The paths in `except_for` tell whether the server is well, so they answer then too.
    """

    def build(next_app: ASGIApp) -> ASGIApp:
        under_way = 0

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            nonlocal under_way
            if scope["type"] != "http" or scope["path"] in except_for:
                await next_app(scope, receive, send)
                return
            if under_way >= most:
                raise Overloaded
            under_way += 1
            try:
                await next_app(scope, receive, send)
            finally:
                under_way -= 1

        return app

    return build
