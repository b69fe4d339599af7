"""Authentication and authorization: a request needs a valid token (401) that permits it (403).

Neither reads the database, so the response does not reveal whether a workspace of others exists.
"""

from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from handlers.pipeline import Handler, Step
from handlers.tokens import TokenRefused, Verify, challenge
from openapi.contract import Operation
from openapi.errors import ContractError
from openapi.parameters import Header

CLAIMS = "sessions.claims"
"""Where the ASGI scope holds the claims of a request that may pass."""


class AccessRefused(Exception):
    """The token is valid and does not permit this (403)."""

    def __init__(self, detail: str, scopes: Iterable[str]) -> None:
        super().__init__(detail)
        self.detail = detail
        self.challenge = challenge(error="insufficient_scope", error_description=detail, scope=" ".join(sorted(scopes)))


def authorize(verify: Verify) -> Step:
    """Pass on requests whose token has the permissions that the contract names and covers the workspace."""

    def build(operation: Operation, _handler: Handler, next_app: ASGIApp) -> ASGIApp:
        required = operation.required_scopes
        if required is None:
            return next_app
        if not operation.parameters.arguments.get("workspace_id"):
            raise ContractError([f"{operation.operation_id} requires permissions but has no parameter workspaceId"])
        named = " ".join(sorted(required))

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            claims = await verify(bearer_token(scope["headers"]))
            if not required <= claims.scopes:
                raise AccessRefused(f"The token does not carry the permission {named}.", required)
            if not claims.cover(scope["path_params"]["workspaceId"]):
                raise AccessRefused("The token does not cover this workspace.", required)
            scope[CLAIMS] = claims
            await next_app(scope, receive, send)

        return app

    return build


def bearer_token(headers: Iterable[Header]) -> str:
    """Return the bearer token of a request (RFC 6750, section 2.1).

    Raises:
        TokenRefused: when there is not exactly one.
    """
    sent = [value for name, value in headers if name == b"authorization"]
    if len(sent) > 1:
        raise TokenRefused("There is more than one Authorization header; send one.", error="invalid_request")
    kind, _, token = b"".join(sent).strip(b" \t").partition(b" ")
    if kind.lower() != b"bearer":
        raise TokenRefused("Send a token: Authorization: Bearer <token>.", error=None)
    parts = token.split()
    if len(parts) != 1 or b"," in token:
        raise TokenRefused("Send one token after Bearer: Authorization: Bearer <token>.", error="invalid_request")
    if not token.isascii():
        raise TokenRefused("The token is malformed.")
    return parts[0].decode("ascii")
