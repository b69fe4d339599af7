"""Every error becomes a problem document (RFC 9457).

The class of an error decides its status, once, in `problem_of`. The rest of the program raises and does not know about HTTP.
"""

import logging
from asyncio import CancelledError
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from db.errors import DatabaseUnavailable, TooManySnapshots, WorkspaceNotFound
from handlers.concurrency import Overloaded
from handlers.keys import KeysUnavailable
from handlers.pipeline import respond
from handlers.rate import TooManyRequests
from handlers.security import AccessRefused, TokenRefused
from openapi.errors import ContractViolation, InvalidParameters, PageNotFound, ParameterError
from openapi.json import encode

logger = logging.getLogger("sessions")

RETRY_AFTER = 5
"""Seconds after which a client may try again when something that we depend on is down."""

_MAX_LOGGED_PATH = 200  # characters; no path of the contract is longer
_NEWER_TITLES = {413: "Content Too Large", 414: "URI Too Long"}  # RFC 9110's; some Pythons still have older names


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as its client is told of it."""

    status: int
    detail: str
    headers: Mapping[str, str] | None = None
    errors: Sequence[ParameterError] = ()

    @property
    def title(self) -> str:
        """The name of the status."""
        return _NEWER_TITLES.get(self.status) or HTTPStatus(self.status).phrase

    def body(self) -> bytes:
        document: dict[str, Any] = {
            # The type of a problem that its status describes (RFC 9457, section 4.2.1).
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            document["errors"] = self.errors
        return encode(document)


def problem_of(error: BaseException) -> Problem:
    """The problem that a client is shown for an error: nothing of the error's text that was not written for clients."""
    match error:
        case InvalidParameters(errors):
            count = "One parameter is" if len(errors) == 1 else f"{len(errors)} parameters are"
            return Problem(400, f"{count} not valid; see errors.", errors=errors)
        case TokenRefused():
            return Problem(401, error.detail, {"www-authenticate": error.challenge})
        case AccessRefused():
            return Problem(403, error.detail, {"www-authenticate": error.challenge})
        case TooManyRequests():
            seconds = "1 second" if error.retry_after == 1 else f"{error.retry_after} seconds"
            detail = f"Rate limit exceeded; retry in {seconds}."
            return Problem(429, detail, {"retry-after": str(error.retry_after)})
        case WorkspaceNotFound():
            return Problem(404, "There is no workspace with this id.")
        case PageNotFound(errors):
            return Problem(404, "There is no such page; start again without cursor.", errors=errors)
        case HTTPException(status_code=404):
            return Problem(404, "There is nothing at this path; the API's documentation is at /docs.")
        case HTTPException(status_code=405):
            allowed = ", ".join(sorted((error.headers or {}).get("Allow", "GET, HEAD").split(", ")))
            return Problem(405, f"This path answers {allowed.replace(', ', ' and ')} only.", {"allow": allowed})
        case Overloaded():
            return _unavailable("The server is answering as many requests as it can. Try again in a second.", retry_after=1)
        case TooManySnapshots():
            return _unavailable("Too many long lists are being sent. Try again in a few seconds, or ask for pages (limit).")
        case DatabaseUnavailable():
            return _unavailable("The database cannot be reached at the moment. Try again in a few seconds.")
        case CancelledError():  # the grace period of a server that ends is over
            return _unavailable("The server is ending. Try again in a few seconds.")
        case KeysUnavailable():
            keys = "The keys that tokens are signed with"
            return _unavailable(f"{keys} cannot be reached at the moment. Try again in a few seconds.")
        case _:
            return Problem(500, "The server could not produce a valid answer. The failure has been logged.")


def _unavailable(detail: str, retry_after: int = RETRY_AFTER) -> Problem:
    return Problem(503, detail, {"retry-after": str(retry_after)})


def _log(error: BaseException, problem: Problem, scope: Scope) -> None:
    """Log what an operator should know. The path is as it was sent, and the formatter escapes it; the query is left out."""
    request = f"{scope['method']} {scope['path'][:_MAX_LOGGED_PATH]}"
    if isinstance(error, ContractViolation):
        # The violation says where; a traceback would add nothing, and rows must not reach the log.
        logger.error("%s: %s", request, error)
    elif isinstance(error, Overloaded | TooManySnapshots):
        logger.warning("%s: refused, too many requests at the same time", request)
    elif problem.status == 503:
        logger.error("%s: %s: %s", request, type(error).__name__, error)
    elif problem.status >= 500:
        logger.error("%s failed", request, exc_info=error)


class ProblemDetailsMiddleware:
    """Turns an exception into a response. Once a response has begun, an exception can only break it off."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def watched_send(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        except (Exception, CancelledError) as error:
            problem = problem_of(error)
            _log(error, problem, scope)
            if begun:
                raise
            headers = [(b"content-type", b"application/problem+json"), (b"cache-control", b"no-store")]
            headers += [(name.encode(), value.encode("ascii")) for name, value in (problem.headers or {}).items()]
            await respond(scope, send, problem.status, headers, problem.body())
