"""MongoDB Extended JSON v2, canonical and relaxed: how session documents look when they come out of MongoDB.

It writes values that JSON has no form for as objects with one `$` key: `{"$oid": "507f…"}`, `{"$date": "2024-01-20T…Z"}`.
In such a document these are read wherever they stand, `_id` is its `id`, and `__v` (Mongoose's version key) is dropped.

A document counts as extended JSON when it has `_id`, or such an object where the contract has a plain value: neither can
stand in a document of the contract's own shape. That decides for the document as a whole, and a document in the
contract's shape is left alone, because its open parts are the data owner's: a note that holds `{"$date": "soon"}` means
just that. Objects that JSON has no better form for (`$numberDecimal`, `$binary`, …) stay as they are.
"""

import re
from collections.abc import Callable, Collection, Iterable
from decimal import Decimal
from typing import Any

from openapi import timestamps
from openapi.json import JSONValue

_INTEGER = re.compile(r"-?[0-9]{1,20}")
_DOUBLE = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_OFFSET_WITHOUT_COLON = re.compile(r"(?<=[0-9][-+][0-9]{2})(?=[0-9]{2}$)")  # as older exports write it


class NotReadable(Exception):
    """An object of extended JSON that cannot be read: where it stands (names and positions from the top), and why."""

    def __init__(self, reason: str, *path: str | int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path = list(path)


def is_extended(document: dict[str, JSONValue], open_parts: Collection[str]) -> bool:
    """Whether this is extended JSON: it has `_id`, or an object of extended JSON outside the open parts."""
    return "_id" in document or any(
        _reader(item) is not None
        for name, value in document.items()
        if name not in open_parts and name not in _READERS
        for item in (value if isinstance(value, list) else [value])
    )


def to_plain(document: dict[str, JSONValue]) -> dict[str, JSONValue]:
    """Rewrite a document of extended JSON in the contract's shape. Numbers with a fraction are expected as Decimal.

    Raises:
        NotReadable: for the first object that cannot be read.
    """
    plain: dict[str, JSONValue] = _plain(document)
    plain.pop("__v", None)
    if "_id" in plain:
        own = plain.pop("_id")
        if plain.setdefault("id", own) != own:
            raise NotReadable("differs from id", "_id")
    for name, value in plain.items():
        # The numbers of JavaScript are doubles: 90.0 minutes are 90.
        if isinstance(value, Decimal) and abs(value) < 2**53 and value == int(value):
            plain[name] = int(value)
    return plain


def _plain(value: JSONValue) -> JSONValue:
    read = _reader(value)
    if read is not None:
        return read(*value.values())
    if not isinstance(value, (dict, list)):
        return value
    places: Iterable[tuple[str | int, JSONValue]] = value.items() if isinstance(value, dict) else enumerate(value)
    plain = {}
    for place, member in places:
        try:
            plain[place] = _plain(member)
        except NotReadable as problem:
            problem.path.insert(0, place)
            raise
    return plain if isinstance(value, dict) else list(plain.values())


def _reader(value: JSONValue) -> Callable[[Any], JSONValue] | None:
    return _READERS.get(next(iter(value))) if isinstance(value, dict) and len(value) == 1 else None


def _object_id(value: Any) -> str:
    if not isinstance(value, str):
        raise NotReadable("holds an $oid that is not a string")
    return value


def _integer(value: Any) -> int:
    if not isinstance(value, str) or _INTEGER.fullmatch(value) is None:
        raise NotReadable('holds an integer that is not written like {"$numberLong": "90"}')
    return int(value)


def _double(value: Any) -> Decimal:
    if not isinstance(value, str) or _DOUBLE.fullmatch(value) is None:
        raise NotReadable('holds a number that JSON lacks, or that is not written like {"$numberDouble": "1.5"}')
    return Decimal(value)


def _date(value: Any) -> str:
    if isinstance(value, dict) and value.keys() == {"$numberLong"}:
        value = _integer(value["$numberLong"])
    try:
        if isinstance(value, int) and not isinstance(value, bool):
            return timestamps.write(value)
        span = timestamps.parse(_OFFSET_WITHOUT_COLON.sub(":", value))
        if span.first == span.last:
            return timestamps.write(span.first)
    except (TypeError, ValueError):
        pass
    # Digits beyond the milliseconds are refused, too: MongoDB has none, so something else wrote them.
    raise NotReadable('holds a $date that is not one millisecond, like "2024-01-20T00:00:00.000Z" or a number of them')


_READERS: dict[str, Callable[[Any], JSONValue]] = {
    "$oid": _object_id,
    "$date": _date,
    "$numberInt": _integer,
    "$numberLong": _integer,
    "$numberDouble": _double,
}
