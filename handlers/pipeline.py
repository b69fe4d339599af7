"""The steps that carry a request through the contract, in the shape of Connexion's middlewares.

A step is built once for each operation when the server starts: it gets the compiled operation, its handler and the next
step, and returns an ASGI application. What it works out then is not worked out again while requests are served.
"""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager
from functools import partial
from hashlib import blake2b
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import unquote

from connexion.middleware.abstract import RoutedAPI, RoutedMiddleware
from connexion.middleware.routing import RoutingMiddleware
from connexion.operations import AbstractOperation
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from openapi.contract import Contract, Operation
from openapi.errors import ContractError
from openapi.json import JSONValue, encode


class Answer(NamedTuple):
    """What a handler returns: the body of a 200, and the parameters that lead to the next page, if there is one.

    A body of one member, an array, may come in parts: its value is then an asynchronous generator of arrays.
    """

    body: JSONValue
    following: Mapping[str, str] | None = None


Handler: TypeAlias = Callable[..., Awaitable[Answer]]
"""The business step of an operation: from its resources and arguments to its answer."""

Step: TypeAlias = Callable[[Operation, Handler, ASGIApp], ASGIApp]
"""Builds one step of one operation in front of the next."""

ARGUMENTS = "sessions.arguments"
"""Where the ASGI scope holds the handler's arguments once they are read."""

Header: TypeAlias = tuple[bytes, bytes]

_PATIENCE = 30  # seconds for which a client may take nothing of a streamed answer


class _StepAPI(RoutedAPI[ASGIApp]):
    def __init__(self, *args: Any, contract: Contract, step: Step, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._contract = contract
        self._step = step
        self.add_paths()

    def make_operation(self, operation: AbstractOperation) -> ASGIApp:
        compiled = self._contract.operations[operation.operation_id]
        return self._step(compiled, operation.function, self.next_app)


class StepMiddleware(RoutedMiddleware[_StepAPI]):
    """One step of the pipeline for every operation of the contract; other paths pass by."""

    api_cls = _StepAPI

    def __init__(self, app: ASGIApp, *, step: Step) -> None:
        super().__init__(app)
        self._step = step

    def add_api(self, specification: Any, **kwargs: Any) -> _StepAPI:
        api: _StepAPI = super().add_api(specification, step=self._step, **kwargs)
        return api


def step(build: Step) -> Callable[[ASGIApp], StepMiddleware]:
    """Put a step into Connexion's list of middlewares."""
    return partial(StepMiddleware, step=build)


class ExactRoutingMiddleware(RoutingMiddleware):
    """Connexion's routing without Starlette's redirect of `/path/` to `/path`.

    The redirect names the host that the client claims to have asked for, and hides a mistake from its author.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].endswith("/") and scope["path"] != "/":
            raise HTTPException(404)
        await super().__call__(scope, receive, send)


def read_parameters(operation: Operation, _handler: Handler, next_app: ASGIApp) -> ASGIApp:
    """Turn the path and the query into arguments, or refuse with `InvalidParameters`."""
    read = operation.parameters.read

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope[ARGUMENTS] = read(scope["path_params"], scope["query_string"])
        await next_app(scope, receive, send)

    return app


def answer(*resources: object) -> Step:
    """Call the handler with these resources, check what it returns against the contract, and send it."""

    def build(operation: Operation, handler: Handler, _next_app: ASGIApp) -> ASGIApp:
        _require_arguments(operation, handler, resources)
        check = operation.responses[200]

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            value, following = await handler(*resources, **scope[ARGUMENTS])
            if parts := _parts(value):
                await _stream(scope, receive, send, check, *parts)
                return
            check(value)
            body = encode(value)
            link = [(b"link", _next_link(scope, following))] if following else []
            etag = b'W/"%s"' % blake2b(body + b"".join(target for _, target in link), digest_size=16).hexdigest().encode()
            headers = [
                (b"etag", etag),
                (b"cache-control", b"private, no-cache"),
                (b"vary", b"Authorization, Accept-Encoding"),
                *link,
            ]
            if _is_current(etag, scope["headers"]):
                await respond(scope, send, 304, headers)
            else:
                await respond(scope, send, 200, [(b"content-type", b"application/json"), *headers], body)

        return app

    return build


def _parts(value: JSONValue) -> tuple[str, AsyncGenerator[list[JSONValue]]] | None:
    for name, member in value.items():
        if isinstance(member, AsyncGenerator):
            return name, member
    return None


@asynccontextmanager
async def _watching(receive: Receive) -> AsyncGenerator[asyncio.Task[None], None]:
    """A task that is done once the client has gone, which `send` would not tell."""

    async def wait() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    task = asyncio.create_task(wait())
    try:
        yield task
    finally:
        task.cancel()


async def _stream(
    scope: Scope,
    receive: Receive,
    send: Send,
    check: Callable[[JSONValue], None],
    name: str,
    parts: AsyncGenerator[list[JSONValue]],
) -> None:
    """Send a body whose one member comes in parts, each checked before its bytes leave.

    Whatever fails on the way leaves the body without its end, so that no client takes a cut list for a whole one. A client
    that has gone, or takes nothing for `_PATIENCE` seconds, is given up: a connection to the database waits with it.
    """

    async def send_text(text: bytes) -> None:
        async with asyncio.timeout(_PATIENCE):
            await send({"type": "http.response.body", "body": text, "more_body": True})

    async with aclosing(parts), _watching(receive) as gone:
        # The answer begins when there is something to send: what fails before that is still told in full.
        first: list[JSONValue] = await anext(parts, [])
        check({name: first})
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [
                    (b"content-type", b"application/json"),
                    (b"cache-control", b"private, no-cache"),
                    (b"vary", b"Authorization, Accept-Encoding"),
                ],
            }
        )
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body"})
            return
        await send_text(b"{" + encode(name) + b":[" + encode(first)[1:-1])
        async for part in parts:
            if gone.done():
                return
            check({name: part})
            await send_text(b"," + encode(part)[1:-1])
        await send({"type": "http.response.body", "body": b"]}"})


def _require_arguments(operation: Operation, handler: Handler, resources: tuple[object, ...]) -> None:
    """Make sure that a handler takes what the contract gives it, no more and no less."""
    parameters = list(inspect.signature(handler).parameters.values())[len(resources) :]
    taken = {parameter.name: parameter.default is parameter.empty for parameter in parameters}
    if taken != operation.parameters.arguments:
        raise ContractError(
            [f"the handler of {operation.operation_id} takes {taken}; the contract gives {operation.parameters.arguments}"]
        )


def _next_link(scope: Scope, following: Mapping[str, str]) -> bytes:
    """The address of the next page (RFC 8288): this one, with some parameters changed. It names no host, so it holds behind
    any proxy; path and query have passed the contract, so they need no more encoding than they came with."""
    sent = scope["query_string"].decode("ascii").split("&")
    kept = [pair for pair in sent if pair and unquote(pair.partition("=")[0]) not in following]
    changed = [f"{name}={value}" for name, value in following.items()]
    return f'<{scope["path"]}?{"&".join([*kept, *changed])}>; rel="next"'.encode("ascii")


def _is_current(etag: bytes, headers: Iterable[Header]) -> bool:
    """Whether the client holds this answer already: If-None-Match with weak comparison (RFC 9110, section 13.1.2)."""
    for name, value in headers:
        if name == b"if-none-match":
            held = {tag.strip().removeprefix(b"W/") for tag in value.split(b",")}
            if b"*" in held or etag.removeprefix(b"W/") in held:
                return True
    return False


async def respond(scope: Scope, send: Send, status: int, headers: Iterable[Header], body: bytes | None = None) -> None:
    """Send a whole answer. A HEAD request gets the headers of the GET and no body (RFC 9110, section 9.3.2)."""
    length = [] if body is None else [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *length]})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body or b""})
