"""The verification of access tokens: signed JWTs (RFC 7519), checked as RFC 8725 advises."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from time import time
from typing import Any, NamedTuple, TypeAlias

from cachetools import LRUCache

from handlers.keys import Key, KeySource
from handlers.rules import TokenRules
from openapi.json import decode_strictly

REALM = "sessions"
EVERY_WORKSPACE = "*"
MAX_TOKEN_LENGTH = 16_384
"""Characters; bounds the time that decoding a token from an unknown sender takes."""
MAX_SUBJECT_LENGTH = 2048
"""Characters; the longest names in common use are those of workloads (SPIFFE-ID, section 2.3)."""
MAX_CACHED_VERIFICATIONS = 1024
_MAX_CACHED_LENGTH = 4096  # characters of a token; longer ones are verified at each request
_MAX_TIME = 253_402_300_799  # 9999-12-31T23:59:59Z
_SUBJECT = re.compile(rf"[^\x00-\x1f\x7f]{{1,{MAX_SUBJECT_LENGTH}}}")
_COMPACT_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")  # RFC 7515, sections 2 and 7.1
_TYPES = ("jwt", "at+jwt")  # RFC 9068, section 4, and RFC 8725, section 3.11: others are not access tokens

_MALFORMED = "The token is malformed."


class TokenRefused(Exception):
    """There is no valid token (401). `error` is a code of RFC 6750, section 3.1; None when no credentials were sent."""

    def __init__(self, detail: str, error: str | None = "invalid_token") -> None:
        super().__init__(detail)
        self.detail = detail
        self.challenge = challenge(error=error, error_description=detail if error else None)


def challenge(**attributes: str | None) -> str:
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
    cache: LRUCache[bytes, _Verification] = LRUCache(MAX_CACHED_VERIFICATIONS)

    async def verify(token: str) -> Claims:
        digest = sha256(token.encode()).digest()
        cached = cache.get(digest)
        if cached is not None:
            if cached.key in await keys.candidates(cached.header) and cached.begins <= time() < cached.ends:
                return cached.claims
            cache.pop(digest, None)
        header = _read_header(token)
        key = _signing_key(token, header["alg"], await keys.candidates(header))
        verification = _verify_claims(_read_segment(token, 1), header, key, rules)
        if len(token) <= _MAX_CACHED_LENGTH:
            cache[digest] = verification
        return verification.claims

    return verify


def _read_header(token: str) -> Mapping[str, Any]:
    """Return the header of an access token, in which `alg` is a string, and `kid` too if present."""
    if len(token) > MAX_TOKEN_LENGTH:
        raise TokenRefused(f"The token is longer than {MAX_TOKEN_LENGTH} characters.")
    if not _COMPACT_FORM.fullmatch(token):
        raise TokenRefused(_MALFORMED)
    header = _read_segment(token, 0)
    if not isinstance(header.get("alg"), str) or not isinstance(header.get("kid", ""), str):
        raise TokenRefused(_MALFORMED)
    # RFC 7515, section 4.1.11: a server must refuse critical extensions that it does not have. RFC 7797 is the one of b64.
    if "crit" in header or header.get("b64", True) is not True:
        raise TokenRefused("The token needs an extension (crit, b64) that this server does not have.")
    if str(header.get("typ", "JWT")).lower().removeprefix("application/") not in _TYPES:
        raise TokenRefused("The token is of a type (typ) that is not meant for access.")
    return header


def _read_segment(token: str, number: int) -> dict[str, Any]:
    """Read a JSON object so that no other program can read it differently (RFC 8725, section 2.6)."""
    try:
        value = decode_strictly(_decode(token.split(".")[number]))
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise TokenRefused(_MALFORMED)
    return value


def _decode(segment: str) -> bytes:
    """Decode base64url without padding in a few calls of C; PyJWT takes a step of Python for each character."""
    decoded = urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    if urlsafe_b64encode(decoded).decode().rstrip("=") != segment:
        raise ValueError("another spelling of the same bytes (RFC 4648, section 3.5)")
    return decoded


def _signing_key(token: str, algorithm: str, candidates: Sequence[Key]) -> Key:
    if not candidates:
        raise TokenRefused("The token is signed with a key or an algorithm that this server does not accept.")
    signing_input, _, segment = token.rpartition(".")
    try:
        signature = _decode(segment)
    except ValueError:
        raise TokenRefused(_MALFORMED) from None
    for key in candidates:
        if key.verifies(algorithm, signing_input.encode(), signature):
            return key
    raise TokenRefused("The signature of the token is not valid.")


def _verify_claims(payload: Mapping[str, Any], header: Mapping[str, Any], key: Key, rules: TokenRules) -> _Verification:
    """Require what RFC 7519, section 4.1, and the rules say of the payload of a token with a valid signature."""
    times = {name: payload[name] for name in ("exp", "nbf", "iat") if name in payload}
    for name, moment in times.items():
        if isinstance(moment, bool) or not isinstance(moment, (int, float)) or not 0 <= moment <= _MAX_TIME:
            raise TokenRefused(f"The claim {name} of the token is not a time.")
    for name, is_required in (("exp", True), ("iss", rules.issuer is not None), ("aud", bool(rules.audiences))):
        if is_required and name not in payload:
            raise TokenRefused(f"The token lacks the claim {name}.")
    begins = int(max(times.get("nbf", 0), times.get("iat", 0))) - rules.leeway
    ends = int(times["exp"]) + rules.leeway
    if time() >= ends:
        raise TokenRefused("The token has expired.")
    if time() < begins:
        raise TokenRefused("The token is not valid yet.")
    if rules.issuer is not None and payload["iss"] != rules.issuer:
        raise TokenRefused("The token comes from another issuer (iss).")
    if rules.audiences and not _strings(payload, ("aud",)).intersection(rules.audiences):
        raise TokenRefused("The token is meant for another audience (aud).")
    if not rules.audiences and "aud" in payload:
        raise TokenRefused("The token is meant for an audience (aud), and this server is configured with none.")
    subject = payload.get("sub")
    if "sub" in payload and not (isinstance(subject, str) and _SUBJECT.fullmatch(subject)):
        raise TokenRefused("The claim sub of the token is not a name.")
    scopes, workspaces = _strings(payload, rules.scope_claims, split=True), _strings(payload, rules.workspace_claims)
    return _Verification(header, key, begins, ends, Claims(subject, scopes, workspaces))


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
