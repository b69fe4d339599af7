"""The steps that a request takes, in the shape of Connexion's middlewares.

The server builds each step once for each operation, at start-up: a step gets the compiled operation, its handler and the
next step, and returns an ASGI application.
"""

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, TypeAlias

from connexion.middleware.abstract import RoutedAPI, RoutedMiddleware
from connexion.middleware.routing import RoutingMiddleware
from connexion.operations import AbstractOperation
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from openapi.contract import Contract, Operation
from openapi.parameters import Header

Handler: TypeAlias = Callable[..., Awaitable[Any]]
"""The business step of an operation: from a store and arguments to a result."""

Step: TypeAlias = Callable[[Operation, Handler, ASGIApp], ASGIApp]
"""Builds one step of one operation in front of the next."""

ARGUMENTS = "sessions.arguments"
"""Where the ASGI scope holds the handler's arguments once they are read."""


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
    """Connexion's routing without Starlette's redirect of `/path/` to `/path`, and without paths that end in a line feed.

    The redirect names the host that the client claims to have asked for, and hides a mistake from its author. Starlette's
    patterns end in `$`, which matches before a last line feed: `/metrics%0A` would get past a proxy that guards `/metrics`.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].endswith(("/", "\n")) and scope["path"] not in ("/", "/docs/"):
            raise HTTPException(404)
        await super().__call__(scope, receive, send)


def read_parameters(operation: Operation, _handler: Handler, next_app: ASGIApp) -> ASGIApp:
    """Turn the path and the query into arguments, or refuse with `InvalidParameters`."""
    read = operation.parameters.read

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope[ARGUMENTS] = read(scope["path_params"], scope["query_string"], scope["headers"])
        await next_app(scope, receive, send)

    return app


async def respond(scope: Scope, send: Send, status: int, headers: Iterable[Header], body: bytes | None = None) -> None:
    """Send a whole response. A HEAD request gets the headers of the GET and no body (RFC 9110, section 9.3.2)."""
    length = [] if body is None else [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *length]})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body or b""})
