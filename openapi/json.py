"""JSON as the API writes it."""

from typing import Any, TypeAlias

import orjson

JSONValue: TypeAlias = Any
"""What a decoder returns: dict, list, str, int, float, bool or None."""


def encode(value: JSONValue) -> bytes:
    """Write a value as UTF-8 JSON without insignificant space and without escapes that UTF-8 does not need."""
    return orjson.dumps(value)
