"""Streaming a long list: page after page of one state of the database, each checked before its bytes leave.

Whatever fails on the way leaves the body without its end, so that no client takes a part of a list for the whole. A client
that has gone, or is disconnected because it reads too slowly (`server.transport`), ends the stream.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
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

    async def send_part(part: bytes) -> None:
        await send_pieces(send, await asyncio.to_thread(compressor.compress, part) if compressor else part)

    page = await handler(snapshot, **arguments)
    checked.require_valid(arguments["workspace_id"], page.documents)
    headers = [(b"content-type", b"application/json"), *validators(etag(operation, arguments, page.revision))]
    if coding:
        headers.append((b"content-encoding", coding.encode()))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if scope["method"] == "HEAD":
        await send({"type": "http.response.body"})
        return
    async with _disconnect(receive) as disconnected:
        await send_part(documents.begin() + b",".join(page.documents))
        while page.next_cursor is not None:
            if disconnected.done():
                return
            page = await handler(snapshot, **{**arguments, "cursor": page.next_cursor})
            checked.require_valid(arguments["workspace_id"], page.documents)
            await send_part(b"," + b",".join(page.documents))
        await send_part(documents.end())
        await send({"type": "http.response.body", "body": compressor.flush() if compressor else b""})


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
