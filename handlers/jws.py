"""Strict reading of signed tokens in the compact form (RFC 7515), so that no other program can read one differently.

PyJWT accepts duplicate members, UTF-16 and NaN (RFC 8725, sections 2.6 and 3.7; RFC 7519, section 4).
"""

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import Any, NoReturn

MAX_TOKEN_LENGTH = 16_384
"""Characters; bounds the time that decoding a token from an unknown sender takes."""
_COMPACT_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")  # RFC 7515, sections 2 and 7.1
_MALFORMED = "The token is malformed."


class UnreadableToken(Exception):
    """A token that this server does not read; the message is meant for the client."""


def read_header(token: str) -> Mapping[str, Any]:
    """Return the header of an access token, in which `alg` is a string, and `kid` too if present.

    Raises:
        UnreadableToken: when the header cannot be read, or is not that of an access token.
    """
    if len(token) > MAX_TOKEN_LENGTH:
        raise UnreadableToken(f"The token is longer than {MAX_TOKEN_LENGTH} characters.")
    if not _COMPACT_FORM.fullmatch(token):
        raise UnreadableToken(_MALFORMED)
    header = _json_object(token.partition(".")[0])
    if not isinstance(header.get("alg"), str) or not isinstance(header.get("kid", ""), str):
        raise UnreadableToken(_MALFORMED)
    if "crit" in header:
        # RFC 7515, section 4.1.11: a server must refuse critical extensions that it does not have.
        raise UnreadableToken("The token asks for an extension (crit) that this server does not have.")
    # RFC 9068, section 4, and RFC 8725, section 3.11: a token made for another purpose is not an access token.
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in ("jwt", "at+jwt"):
        raise UnreadableToken("The token is of a type (typ) that is not meant for access.")
    return header


def read_payload(token: str) -> Mapping[str, Any]:
    """Return the payload of a token whose header has been read; raise `UnreadableToken` when it is not an object."""
    return _json_object(token.split(".")[1])


def _json_object(segment: str) -> dict[str, Any]:
    try:
        text = urlsafe_b64decode(segment + "=" * (-len(segment) % 4)).decode()
        value = _STRICT_JSON.decode(text)
        if "\\ud" in text.lower():  # refuse unpaired surrogates (RFC 8259, section 8.2), which UTF-8 cannot encode
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise UnreadableToken(_MALFORMED) from None
    if not isinstance(value, dict):
        raise UnreadableToken(_MALFORMED)
    return value


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("two members have one name")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_STRICT_JSON = json.JSONDecoder(object_pairs_hook=_unique_members, parse_constant=_no_constant)
