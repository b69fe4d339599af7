"""The shared part of the bare ASGI programs: reads the request, writes the filters as SQL, sends the response."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from bench.peers.tokens import Refused, require

List = Callable[[str, dict[str, str]], Awaitable[bytes | None]]
"""From a workspace and filters to the body of the response; None when there is no such workspace."""


def timestamp(text: str) -> str:
    """A date-time in the form of the tables."""
    return datetime.fromisoformat(text).astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def conditions(
    query: dict[str, str], mark: Callable[[], str], services: Callable[[str], str]
) -> Iterator[tuple[str, object]]:
    """The conditions of the filters, each with its value."""
    if (value := query.get("clientId")) is not None:
        yield f"s.client_id = {mark()}", value
    if (value := query.get("serviceIds")) is not None:
        yield services(mark()), value.split(",")
    if (value := query.get("dateFrom")) is not None:
        yield f"s.date >= {mark()}", timestamp(value)
    if (value := query.get("dateTo")) is not None:
        yield f"s.date <= {mark()}", timestamp(value)
    if (value := query.get("status")) is not None:
        yield f"s.status = {mark()}", value


def joined(documents: list[bytes]) -> bytes:
    """The body of a list of documents."""
    return b'{"sessions":[' + b",".join(documents) + b"]}"


def asgi(list_sessions: List, lifespan: Callable[[], AbstractAsyncContextManager[None]]) -> Callable:
    """The application around one function."""

    async def respond(scope) -> tuple[int, bytes]:
        match scope["path"].split("/"):
            case ["", "v1", "workspace", workspace_id, "sessions"]:
                token = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
                try:
                    require(token.removeprefix(b"Bearer ").decode(), workspace_id)
                except Refused as refused:
                    return refused.status, b"{}"
                body = await list_sessions(workspace_id, dict(parse_qsl(scope["query_string"].decode())))
                return (404, b"{}") if body is None else (200, body)
        return 404, b"{}"

    async def app(scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            async with lifespan():
                await send({"type": "lifespan.startup.complete"})
                await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        status, body = await respond(scope)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app
