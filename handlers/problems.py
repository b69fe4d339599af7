"""Every error becomes a problem document (RFC 9457).

The class of an error decides its status, once, in `problem_of`. The rest of the program raises and does not know about HTTP.
"""

import logging
from asyncio import CancelledError
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from db.errors import DatabaseUnavailable, TooManySnapshots, WorkspaceNotFound
from handlers.concurrency import Overloaded
from handlers.keys import KeysUnavailable
from handlers.pipeline import respond
from handlers.rate import TooManyRequests
from handlers.security import AccessRefused
from handlers.tokens import TokenRefused
from openapi.errors import ContractViolation, InvalidParameters, PageNotFound, ParameterError
from openapi.json import encode

logger = logging.getLogger("sessions")

_MAX_LOGGED_PATH = 200  # characters; no path of the contract is longer
_NEWER_TITLES = {413: "Content Too Large", 414: "URI Too Long"}  # RFC 9110's; some Pythons still have older names


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as clients see it."""

    status: int
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)
    errors: Sequence[ParameterError] = ()

    @property
    def title(self) -> str:
        """The name of the status."""
        return _NEWER_TITLES.get(self.status) or HTTPStatus(self.status).phrase

    def body(self) -> bytes:
        # This type is for problems that their status describes (RFC 9457, section 4.2.1).
        document = {"type": "about:blank", "title": self.title, "status": self.status, "detail": self.detail}
        return encode({**document, "errors": self.errors} if self.errors else document)


def problem_of(error: BaseException) -> Problem:
    """The problem that a client is shown for an error: nothing of the error's text that was not written for clients."""
    match error:
        case PageNotFound(errors=errors):
            return Problem(404, "There is no such page; start again without cursor.", errors=errors)
        case InvalidParameters(errors=errors):
            count = "One parameter is" if len(errors) == 1 else f"{len(errors)} parameters are"
            return Problem(400, f"{count} not valid; see errors.", errors=errors)
        case TokenRefused():
            return Problem(401, error.detail, {"www-authenticate": error.challenge})
        case AccessRefused():
            return Problem(403, error.detail, {"www-authenticate": error.challenge})
        case TooManyRequests():
            seconds = "1 second" if error.retry_after == 1 else f"{error.retry_after} seconds"
            return Problem(429, f"Rate limit exceeded; retry in {seconds}.", {"retry-after": str(error.retry_after)})
        case WorkspaceNotFound():
            return Problem(404, "There is no workspace with this id.")
        case HTTPException(status_code=404):
            return Problem(404, "There is nothing at this path; the API's documentation is at /docs.")
        case HTTPException(status_code=405):
            methods = sorted((error.headers or {}).get("Allow", "GET, HEAD").split(", "))
            return Problem(405, f"This path supports {' and '.join(methods)} only.", {"allow": ", ".join(methods)})
        case Overloaded():
            return _unavailable("The server is at its limit of concurrent requests.", retry_after=1)
        case TooManySnapshots():
            return _unavailable("The server is at its limit of long lists; pages (limit) have none.")
        case DatabaseUnavailable():
            return _unavailable("The database cannot be reached at the moment.")
        case KeysUnavailable():
            return _unavailable("The keys that tokens are signed with cannot be reached at the moment.")
        case CancelledError():  # the grace period of a server that shuts down is over
            return _unavailable("The server is shutting down.")
        case _:
            return Problem(500, "The server could not produce a valid response. The failure has been logged.")


def _unavailable(detail: str, retry_after: int = 5) -> Problem:
    advice = "Try again in a second." if retry_after == 1 else "Try again in a few seconds."
    return Problem(503, f"{detail} {advice}", {"retry-after": str(retry_after)})


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
    """Turns an exception into a response. If a response has begun, the exception goes on and breaks it off."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def send_and_note(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except (Exception, CancelledError) as error:
            problem = problem_of(error)
            _log(error, problem, scope)
            if has_begun:
                raise
            headers = [(b"content-type", b"application/problem+json"), (b"cache-control", b"no-store")]
            headers += [(name.encode(), value.encode("ascii")) for name, value in problem.headers.items()]
            await respond(scope, send, problem.status, headers, problem.body())
