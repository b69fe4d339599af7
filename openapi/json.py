"""JSON values that remember how they were written.

What the data owner put into the open parts of a session is answered as it was stored, digit for digit: a number with thirty
digits stays one. Validation looks at the decoded value, the encoder copies the text.
"""

from typing import Any, Self, TypeAlias

import orjson

JSONValue: TypeAlias = Any
"""What a decoder returns: dict, list, str, int, float, bool or None."""


class JSONArray(list[JSONValue]):
    """A JSON array with the text that it was decoded from."""

    __slots__ = ("text",)

    text: str

    @classmethod
    def from_text(cls, text: str) -> Self:
        array = cls(orjson.loads(text))
        array.text = text
        return array


class JSONObject(dict[str, JSONValue]):
    """A JSON object with the text that it was decoded from."""

    __slots__ = ("text",)

    text: str

    @classmethod
    def from_text(cls, text: str) -> Self:
        object_ = cls(orjson.loads(text))
        object_.text = text
        return object_


def _written(value: object) -> orjson.Fragment:
    if isinstance(value, (JSONArray, JSONObject)):
        return orjson.Fragment(value.text)
    raise TypeError(f"{type(value).__name__} is not a JSON value")


def encode(value: JSONValue) -> bytes:
    """Write a value as UTF-8 JSON without insignificant space and without escapes that UTF-8 does not need."""
    return orjson.dumps(value, default=_written, option=orjson.OPT_PASSTHROUGH_SUBCLASS)
