"""The last step: call the handler, check its documents against the contract, and send them."""

import inspect
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from handlers.checked_documents import CheckedDocuments
from handlers.paging import next_page
from handlers.pipeline import ARGUMENTS, Handler, Step
from handlers.response_cache import KEEP
from handlers.responses import Response, etag, validators
from handlers.streaming import stream_documents
from openapi.contract import Operation
from openapi.errors import ContractError


class Store(Protocol):
    """Where handlers read from."""

    def snapshot(self) -> AbstractAsyncContextManager[Any]:
        """One state of it, to read a long list page after page."""


def list_documents(store: Store) -> Step:
    """Send a list of documents: as a stream if it has more than one page and the request has no `limit`, otherwise whole."""

    def build(operation: Operation, handler: Handler, _next_app: ASGIApp) -> ASGIApp:
        _require_arguments(operation, handler)
        checked = CheckedDocuments(operation.documents.check)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            arguments = scope[ARGUMENTS]
            page = await handler(store, **arguments)
            if page.next_cursor is not None and "limit" not in arguments:
                async with store.snapshot() as snapshot:
                    await stream_documents(operation, handler, snapshot, checked, scope, receive, send)
                return
            checked.require_valid(arguments["workspace_id"], page.documents)
            headers = validators(etag(operation, arguments, page.revision))
            if page.next_cursor is not None:
                headers.append((b"link", next_page(scope["query_string"], page.next_cursor)))
                headers.append((b"next-cursor", page.next_cursor.encode()))
            response = Response(headers, operation.documents.body(page.documents))
            if KEEP in scope:
                scope[KEEP](response, page.revision)
            await response.send(scope, send)

        return app

    return build


def _require_arguments(operation: Operation, handler: Handler) -> None:
    """Make sure that a handler takes, after its store, exactly the arguments that the contract gives it."""
    parameters = list(inspect.signature(handler).parameters.values())[1:]
    taken = {parameter.name: parameter.default is parameter.empty for parameter in parameters}
    if taken != operation.parameters.arguments:
        raise ContractError(
            [f"the handler of {operation.operation_id} takes {taken}; the contract gives {operation.parameters.arguments}"]
        )
