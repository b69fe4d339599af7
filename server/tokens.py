"""Tokens for trying the API out, signed with the server's own secret."""

import re
import time
from collections.abc import Sequence

import jwt

from handlers.keys import Key
from handlers.rules import TokenRules

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(text: str) -> int:
    """The seconds in a time such as 90, 15m, 8h or 7d.

    Raises:
        ValueError: when the text is no such time.
    """
    match = re.fullmatch(r"([0-9]{1,9})([smhd]?)", text)
    if match is None or int(match[1]) == 0:
        raise ValueError("must be like 90 (seconds), 15m, 8h or 7d")
    return int(match[1]) * _UNITS[match[2] or "s"]


def mint(key: Key, rules: TokenRules, subject: str, scopes: Sequence[str], workspaces: Sequence[str], lifetime: int) -> str:
    """A token that the rules accept for `lifetime` seconds."""
    now = int(time.time())
    claims = {
        "sub": subject,
        rules.scope_claims[0]: " ".join(scopes),
        rules.workspace_claims[-1]: list(workspaces),
        "iat": now,
        "exp": now + lifetime,
    }
    if rules.issuer:
        claims["iss"] = rules.issuer
    if rules.audiences:
        claims["aud"] = rules.audiences[0]
    return jwt.encode(claims, key.material, min(key.algorithms))
