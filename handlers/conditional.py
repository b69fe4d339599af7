"""Conditional requests: 304 for a client that holds the current response already (RFC 9110, section 13.1.2)."""

from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from handlers.pipeline import ARGUMENTS, Handler, Step, respond
from handlers.responses import etag, validators
from openapi.contract import Operation

ReadRevision = Callable[[str], Awaitable[int]]
"""From the id of a workspace to its current revision; raises `WorkspaceNotFound`."""


def answer_conditional_requests(read_revision: ReadRevision) -> Step:
    """Answer 304 when `If-None-Match` names the current entity tag. That costs one short statement, and no list."""

    def build(operation: Operation, _handler: Handler, next_app: ASGIApp) -> ASGIApp:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            held = b",".join(value for name, value in scope["headers"] if name == b"if-none-match")
            if held:
                arguments = scope[ARGUMENTS]
                tag = etag(operation, arguments, await read_revision(arguments["workspace_id"]))
                if _matches(held, tag):
                    await respond(scope, send, 304, validators(tag))
                    return
            await next_app(scope, receive, send)

        return app

    return build


def _matches(held: bytes, tag: bytes) -> bool:
    """Whether a list of entity tags has this one, by weak comparison; `*` has every one."""
    tags = {item.strip().removeprefix(b"W/") for item in held.split(b",")}
    return b"*" in tags or tag.removeprefix(b"W/") in tags
