"""JSON: written as the API sends it, and read only where every reader agrees on the meaning."""

import json
from typing import Any, TypeAlias

import orjson

JSONValue: TypeAlias = Any
"""What a decoder returns: dict, list, str, int, float, bool or None."""


def encode(value: JSONValue) -> bytes:
    """Write a value as UTF-8 JSON without insignificant space and without escapes that UTF-8 does not need."""
    return orjson.dumps(value)


def decode_strictly(text: bytes) -> JSONValue:
    """Read JSON that is UTF-8 and has no object with two members of one name, which readers would read differently.

    Raises:
        ValueError: for any other text.
    """
    try:
        value = orjson.loads(text)
        if orjson.dumps(value) != text:  # it has other spellings, or orjson dropped a member whose name appears twice
            json.loads(text, object_pairs_hook=_require_unique_names, parse_int=str, parse_float=str)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def _require_unique_names(members: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in members}) != len(members):
        raise ValueError("two members have one name")
