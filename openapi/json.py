"""JSON values that are written as they were.

What the data owner put into the open parts of a session is answered as it was stored, digit for digit: a number with thirty
digits stays one. Validation looks at the decoded value, the encoder copies the text.
"""

from typing import Any, TypeAlias

import orjson

JSONValue: TypeAlias = Any
"""What a decoder returns: dict, list, str, int, float, bool or None."""


Texts: TypeAlias = list[tuple[dict[str, JSONValue], str, str]]
"""Members that are to be written as they were: their object, their name in it, and the text they were decoded from."""


def encode(value: JSONValue, texts: Texts = []) -> bytes:  # noqa: B006 - it is only read
    """Write a value as UTF-8 JSON without insignificant space and without escapes that UTF-8 does not need.

    The members in `texts` are copied from their text, and are that text from then on: check the value before.
    """
    for owner, name, text in texts:
        owner[name] = orjson.Fragment(text)
    return orjson.dumps(value)
