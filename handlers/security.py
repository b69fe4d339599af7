"""Authentication and authorization: a request needs a valid token (401) that permits it (403).

Neither reads the database, so the response does not reveal whether a workspace of others exists.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from time import time
from typing import Any, NamedTuple, TypeAlias

import jwt
from cachetools import LRUCache
from starlette.types import ASGIApp, Receive, Scope, Send

from handlers.jws import UnreadableToken, read_header, read_payload
from handlers.keys import Key, KeySource
from handlers.pipeline import Handler, Header, Step
from handlers.rules import TokenRules
from openapi.contract import Operation
from openapi.errors import ContractError

REALM = "sessions"
EVERY_WORKSPACE = "*"
CLAIMS = "sessions.claims"
"""Where the ASGI scope holds the claims of a request that may pass."""
MAX_SUBJECT_LENGTH = 2048
"""Characters; the longest names in common use are those of workloads (SPIFFE-ID, section 2.3)."""
MAX_CACHED_VERIFICATIONS = 1024
_MAX_CACHED_LENGTH = 4096  # characters of a token; longer ones are verified at each request
_MAX_TIME = 253_402_300_799  # 9999-12-31T23:59:59Z
_SUBJECT = re.compile(rf"[^\x00-\x1f\x7f]{{1,{MAX_SUBJECT_LENGTH}}}")


class TokenRefused(Exception):
    """There is no valid token (401). `error` is a code of RFC 6750, section 3.1; None when no credentials were sent."""

    def __init__(self, detail: str, error: str | None = "invalid_token") -> None:
        super().__init__(detail)
        self.detail = detail
        self.challenge = _challenge(error=error, error_description=detail if error else None)


class AccessRefused(Exception):
    """The token is valid and does not permit this (403)."""

    def __init__(self, detail: str, scopes: Iterable[str]) -> None:
        super().__init__(detail)
        self.detail = detail
        self.challenge = _challenge(error="insufficient_scope", error_description=detail, scope=" ".join(sorted(scopes)))


def _challenge(**attributes: str | None) -> str:
    """A challenge of RFC 6750, section 3. The values are ASCII without quotes and backslashes."""
    pairs = [f'{name}="{value}"' for name, value in {"realm": REALM, **attributes}.items() if value is not None]
    return "Bearer " + ", ".join(pairs)


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a valid token that decide what its holder may do."""

    subject: str | None
    scopes: frozenset[str]
    workspaces: frozenset[str]

    def cover(self, workspace_id: str) -> bool:
        return workspace_id in self.workspaces or EVERY_WORKSPACE in self.workspaces


Verify: TypeAlias = Callable[[str], Awaitable[Claims]]
"""Returns the claims of a token; raises `TokenRefused`, or `KeysUnavailable` when the token cannot be verified now."""


class _Verification(NamedTuple):
    """A successful verification, with the times (Unix) between which it holds."""

    header: Mapping[str, Any]
    key: Key
    begins: int
    ends: int
    claims: Claims


def token_verifier(keys: KeySource, rules: TokenRules) -> Verify:
    """Return a function that verifies tokens by these keys and rules (RFC 7519, section 7.2, and RFC 8725).

    It caches successful verifications by the digest of the token, since verifying a signature is most of the work of a
    request. A cached verification holds while the key source still has its key and the token has not expired.
    """
    options: Any = {"require": ["exp"], "enforce_minimum_key_length": True}
    cache: LRUCache[bytes, _Verification] = LRUCache(MAX_CACHED_VERIFICATIONS)

    async def verify(token: str) -> Claims:
        digest = sha256(token.encode()).digest()
        cached = cache.get(digest)
        if cached is not None:
            if cached.key in await keys.candidates(cached.header) and cached.begins <= time() < cached.ends:
                return cached.claims
            cache.pop(digest, None)
        try:
            verification = await verify_uncached(token)
        except UnreadableToken as error:
            raise TokenRefused(str(error)) from None
        if len(token) <= _MAX_CACHED_LENGTH:
            cache[digest] = verification
        return verification.claims

    async def verify_uncached(token: str) -> _Verification:
        header = read_header(token)
        candidates = await keys.candidates(header)
        if not candidates:
            raise TokenRefused("The token is signed with a key or an algorithm that this server does not accept.")
        refusal: jwt.PyJWTError | None = None
        for key in candidates:
            try:
                jwt.decode(
                    token,
                    key.material,
                    algorithms=[header["alg"]],  # which is one of key.algorithms
                    options=options,
                    audience=rules.audiences or None,
                    issuer=rules.issuer,
                    leeway=rules.leeway,
                )
            except jwt.InvalidSignatureError as error:
                refusal = error
            except jwt.PyJWTError as error:
                raise TokenRefused(_reason(error, rules)) from error
            else:
                payload = read_payload(token)
                claims = _claims(payload, rules)
                begins = max(int(payload.get(name, 0)) for name in ("nbf", "iat")) - rules.leeway
                return _Verification(header, key, begins, int(payload["exp"]) + rules.leeway, claims)
        raise TokenRefused("The signature of the token is not valid.") from refusal

    return verify


_REASONS: Mapping[type[jwt.PyJWTError], str] = {
    jwt.ExpiredSignatureError: "The token has expired.",
    jwt.ImmatureSignatureError: "The token is not valid yet.",
    jwt.InvalidAudienceError: "The token is meant for another audience (aud).",
    jwt.InvalidIssuerError: "The token comes from another issuer (iss).",
    jwt.DecodeError: "The token is malformed.",
}
_UNEXPECTED_AUDIENCE = "The token is meant for an audience (aud), and this server is configured with none."


def _reason(error: jwt.PyJWTError, rules: TokenRules) -> str:
    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"The token lacks the claim {error.claim}."
    if isinstance(error, jwt.InvalidAudienceError) and not rules.audiences:
        return _UNEXPECTED_AUDIENCE
    return next((text for kind, text in _REASONS.items() if isinstance(error, kind)), "The token is not valid.")


def _claims(payload: Mapping[str, Any], rules: TokenRules) -> Claims:
    for name in ("exp", "nbf", "iat"):
        moment = payload.get(name, 0)
        # PyJWT also accepts strings and booleans (RFC 7519, section 2: NumericDate is a JSON number).
        if isinstance(moment, bool) or not isinstance(moment, (int, float)) or not 0 <= moment <= _MAX_TIME:
            raise TokenRefused(f"The claim {name} of the token is not a time.")
    if not isinstance(payload.get("iss", ""), str):
        raise TokenRefused("The claim iss of the token is not a text.")
    if not rules.audiences and "aud" in payload:
        raise TokenRefused(_UNEXPECTED_AUDIENCE)  # PyJWT accepts an empty one (RFC 7519, section 4.1.3)
    subject = payload.get("sub")
    if subject is not None and not (isinstance(subject, str) and _SUBJECT.fullmatch(subject)):
        raise TokenRefused("The claim sub of the token is not a name.")
    scopes, workspaces = _strings(payload, rules.scope_claims, split=True), _strings(payload, rules.workspace_claims)
    return Claims(subject, scopes, workspaces)


def _claim(claims: Any, name: str) -> Any:
    """The claim with this name or else at this path: `realm_access.roles` may be `roles` in the object `realm_access`."""
    if not isinstance(claims, dict):
        return None
    if name in claims:
        return claims[name]
    dots = [match.start() for match in re.finditer(r"\.", name)]
    return next((_claim(claims[name[:dot]], name[dot + 1 :]) for dot in reversed(dots) if name[:dot] in claims), None)


def _strings(payload: Mapping[str, Any], names: Sequence[str], *, split: bool = False) -> frozenset[str]:
    """The union of claims that hold arrays of strings or a string, which is split at spaces if `split` is set."""
    united: set[str] = set()
    for name in names:
        match _claim(payload, name):
            case None:
                pass
            case str() as text:
                united.update(text.split(" ") if split else [text])
            case list() as texts if all(isinstance(text, str) for text in texts):
                united.update(texts)
            case _:
                raise TokenRefused(f"The claim {name} of the token is neither a text nor an array of texts.")
    return frozenset(united - {""})


def authorize(verify: Verify) -> Step:
    """Pass on requests whose token has the permissions that the contract names and covers the workspace."""

    def build(operation: Operation, _handler: Handler, next_app: ASGIApp) -> ASGIApp:
        required = operation.required_scopes
        if required is None:
            return next_app
        if not operation.parameters.arguments.get("workspace_id"):
            raise ContractError([f"{operation.operation_id} asks for permissions but has no parameter workspaceId"])
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
    if not sent:
        raise TokenRefused("Send a token: Authorization: Bearer <token>.", error=None)
    if len(sent) > 1:
        raise TokenRefused("There is more than one Authorization header; send one.", error="invalid_request")
    kind, _, token = sent[0].strip(b" \t").partition(b" ")
    if kind.lower() != b"bearer":
        raise TokenRefused("Send a token: Authorization: Bearer <token>.", error=None)
    parts = token.split()
    if len(parts) != 1 or b"," in token:
        raise TokenRefused("Send one token after Bearer: Authorization: Bearer <token>.", error="invalid_request")
    try:
        return parts[0].decode("ascii")
    except UnicodeDecodeError:
        raise TokenRefused("The token is malformed.") from None
