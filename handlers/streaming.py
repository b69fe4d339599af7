"""Streaming a long list: page after page of one state of the database, each checked before its bytes leave.

Whatever fails on the way leaves the body without its end, so that no client takes a part of a list for the whole. A client
that has gone, or is disconnected because it reads too slowly (`server.transport`), ends the stream.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

from starlette.types import Receive, Scope, Send

from handlers.checked_documents import CheckedDocuments
from handlers.encodings import CODINGS, choose_coding
from handlers.pipeline import ARGUMENTS, Handler
from handlers.responses import etag, send_pieces, validators
from openapi.contract import Operation


async def stream_documents(
    operation: Operation,
    handler: Handler,
    snapshot: Any,
    checked: CheckedDocuments,
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    """Send everything that a handler lists from a snapshot, as one response of unknown length."""
    documents, arguments = operation.documents, scope[ARGUMENTS]
    assert documents is not None  # `list_documents` has made sure
    coding = choose_coding(scope["headers"])
    compressor = CODINGS[coding]() if coding else None
    content_headers = [(b"content-type", b"application/json")]
    if coding:
        content_headers.append((b"content-encoding", coding.encode()))

    async def send_part(part: bytes) -> None:
        await send_pieces(send, await asyncio.to_thread(compressor.compress, part) if compressor else part)

    async with aclosing(_pages(handler, snapshot, arguments)) as pages, _disconnect(receive) as disconnected:
        separator = documents.begin()
        async for page in pages:
            checked.require_valid(arguments["workspace_id"], page.documents)
            if separator != b",":  # the response begins when there is something to send: earlier errors are told in full
                tag = etag(operation, arguments, page.revision)
                await send({"type": "http.response.start", "status": 200, "headers": [*validators(tag), *content_headers]})
                if scope["method"] == "HEAD":
                    break
            if disconnected.done():
                return
            await send_part(separator + b",".join(page.documents))
            separator = b","
        else:
            await send_part(documents.end())
        await send({"type": "http.response.body", "body": compressor.flush() if compressor else b""})


async def _pages(handler: Handler, snapshot: Any, arguments: Mapping[str, Any]) -> AsyncGenerator[Any]:
    """The pages of a list. The database reads the next one while the caller uses this one."""
    following: asyncio.Task[Any] | None = asyncio.ensure_future(handler(snapshot, **arguments))
    try:
        while following is not None:
            page = await following
            following = None
            if page.next_cursor is not None:
                following = asyncio.ensure_future(handler(snapshot, **{**arguments, "cursor": page.next_cursor}))
            yield page
    finally:
        if following is not None:
            following.cancel()
            await asyncio.wait([following])


@asynccontextmanager
async def _disconnect(receive: Receive) -> AsyncGenerator[asyncio.Task[None]]:
    """A task that is done once the client has gone; `send` does not tell."""

    async def wait() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    task = asyncio.create_task(wait())
    try:
        yield task
    finally:
        task.cancel()
