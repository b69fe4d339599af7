"""The application in the test's own event loop, without a network: for tests of what happens at the same time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from starlette.types import ASGIApp, Message

from handlers.keys import StaticKeys, secret_key
from server.app import create_app
from server.settings import Settings
from tests.conftest import SECRET


class Response(NamedTuple):
    """A response, and whether it came to its end."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


async def _stay_connected() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


async def _accept(_message: Message) -> None:
    pass


class Application:
    """A started application."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._authorization = (b"authorization", f"Bearer {token}".encode())

    async def get(
        self,
        path: str,
        query: bytes = b"",
        headers: tuple[tuple[bytes, bytes], ...] = (),
        *,
        receive: Callable[[], Awaitable[Message]] = _stay_connected,
        on_send: Callable[[Message], Awaitable[None]] = _accept,
        forget_body: bool = False,
    ) -> Response:
        """Send a request. `on_send` is called after each message of the response, and delays the next."""
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append({**message, "body": b""} if forget_body else message)
            await on_send(message)

        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query,
            "headers": [self._authorization, *headers],
        }
        await self._app(scope, receive, send)
        start, *bodies = sent
        return Response(start["status"], dict(start["headers"]), b"".join(part.get("body", b"") for part in bodies))


@asynccontextmanager
async def started(url: str, token: str) -> AsyncIterator[Application]:
    """An application on this database, asked with this token."""
    app = create_app(Settings(StaticKeys((secret_key(SECRET),)), url))
    orders: asyncio.Queue[Message] = asyncio.Queue()
    done: asyncio.Queue[Message] = asyncio.Queue()
    living = asyncio.create_task(app({"type": "lifespan", "asgi": {}, "state": {}}, orders.get, done.put))
    await orders.put({"type": "lifespan.startup"})
    assert (await done.get())["type"] == "lifespan.startup.complete"
    try:
        yield Application(app, token)
    finally:
        await orders.put({"type": "lifespan.shutdown"})
        await living
