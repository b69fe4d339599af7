"""What the bare ASGI programs share: the request taken apart, the filters as SQL, and the answer sent."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import orjson

from bench.peers.tokens import Refused, require

List = Callable[[str, dict[str, str]], Awaitable[list[dict] | None]]
"""The sessions of a workspace that pass the filters; None when there is no such workspace."""


def moment(text: str) -> str:
    """A date-time as the tables hold it."""
    return datetime.fromisoformat(text).astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def conditions(
    query: dict[str, str], mark: Callable[[], str], services: Callable[[str], str]
) -> Iterator[tuple[str, object]]:
    """The conditions that the filters ask for, each with its value."""
    if (value := query.get("clientId")) is not None:
        yield f"s.client_id = {mark()}", value
    if (value := query.get("serviceIds")) is not None:
        yield services(mark()), value.split(",")
    if (value := query.get("dateFrom")) is not None:
        yield f"s.date >= {mark()}", moment(value)
    if (value := query.get("dateTo")) is not None:
        yield f"s.date <= {mark()}", moment(value)
    if (value := query.get("status")) is not None:
        yield f"s.status = {mark()}", value


def asgi(list_sessions: List, lifespan: Callable[[], AbstractAsyncContextManager[None]]) -> Callable:
    """The application around one function."""

    async def answer(scope) -> tuple[int, bytes]:
        match scope["path"].split("/"):
            case ["", "v1", "workspace", workspace_id, "sessions"]:
                token = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
                try:
                    require(token.removeprefix(b"Bearer ").decode(), workspace_id)
                except Refused as refused:
                    return refused.status, b"{}"
                sessions = await list_sessions(workspace_id, dict(parse_qsl(scope["query_string"].decode())))
                return (404, b"{}") if sessions is None else (200, orjson.dumps({"sessions": sessions}))
        return 404, b"{}"

    async def app(scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            async with lifespan():
                await send({"type": "lifespan.startup.complete"})
                await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        status, body = await answer(scope)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app
