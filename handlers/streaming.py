"""Streaming a long list: page after page of one state of the database, each checked before its bytes leave.

Whatever fails on the way leaves the body without its end, so that no client takes a part of a list for the whole. A client
that has gone, or is disconnected because it reads too slowly (`server.transport`), ends the stream.
"""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from handlers.checked_documents import CheckedDocuments
from handlers.encodings import CODINGS, choose_coding
from handlers.pipeline import ARGUMENTS, Handler
from handlers.responses import content_headers, etag, send_pieces, validators
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
    arguments = scope[ARGUMENTS]
    coding = choose_coding(scope["headers"])
    compressor = CODINGS[coding]() if coding else None

    async def read_page(**cursor: str) -> Any:
        page = await handler(snapshot, **{**arguments, **cursor})
        checked.require_valid(arguments["workspace_id"], page.documents)
        return page

    async def send_part(part: bytes) -> None:
        await send_pieces(send, await asyncio.to_thread(compressor.compress, part) if compressor else part)

    page = await read_page()  # the response begins when there is something to send: earlier errors become problems
    headers = [*validators(etag(operation, arguments, page.revision)), *content_headers(coding)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if scope["method"] == "HEAD":
        await send({"type": "http.response.body"})
        return
    request = Request(scope, receive)
    await send_part(operation.documents.begin + b",".join(page.documents))
    while page.next_cursor is not None:
        page = await read_page(cursor=page.next_cursor)
        if await request.is_disconnected():
            return
        await send_part(b"," + b",".join(page.documents))
    await send_part(operation.documents.end)
    await send({"type": "http.response.body", "body": compressor.flush() if compressor else b""})
