"""Rewrites documents that come out of MongoDB, as extended JSON (v1, v2) or as BSON, in the contract's shape.

Extended JSON writes a value that JSON has no form for as an object with a `$` key: `{"$oid": "507f…"}`. A JSON document
counts as MongoDB's when it has `_id`, `__v` or `_class` at its top, or such an object where the contract has a plain value:
neither can stand in a document of the contract's own shape. In a document of MongoDB's these objects are read wherever they
stand. Any other document is left alone, because its open parts are the data owner's: a note that holds `{"$date": "soon"}`
means just that. What JSON has no better form for (bytes, regular expressions) stays extended JSON.
"""

import base64
import json
import math
import re
import uuid
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import bson
import orjson
from bson import json_util
from bson.codec_options import CodecOptions, DatetimeConversion

from db.imports.moments import to_canonical
from db.imports.problems import Problem, shown
from openapi import timestamps
from openapi.json import JSONValue

BOOKKEEPING = ("__v", "_class")
"""Top-level members that Mongoose and Spring Data add: they are no part of a session."""

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")


class Number(str):
    """A number in its own spelling."""

    __slots__ = ()


class Rewritten(NamedTuple):
    """A document in the contract's shape, what is wrong with it, which members were dropped, and its name for `id`."""

    document: dict[str, JSONValue]
    problems: list[Problem]
    dropped: tuple[str, ...]
    id_name: str


def is_mongodb(document: dict[str, JSONValue], open_parts: Collection[str]) -> bool:
    """Whether a decoded document is MongoDB's and not in the contract's own shape."""
    return any(name in document for name in ("_id", *BOOKKEEPING)) or any(
        _reader(item) is not None
        for name, value in document.items()
        if name not in open_parts
        for item in (value if isinstance(value, list) else [value])
    )


def decode_text(text: bytes) -> Any:
    """Decode extended JSON; every number keeps its spelling."""
    return json.loads(text, parse_int=Number, parse_float=Number)


class _UniqueNames(dict[str, Any]):
    def __setitem__(self, name: str, value: Any) -> None:
        if name in self:
            raise ValueError(f"has {shown(name)} twice in one object")
        super().__setitem__(name, value)


_BSON_OPTIONS = CodecOptions(document_class=_UniqueNames, datetime_conversion=DatetimeConversion.DATETIME_MS)


def decode_bson(content: bytes) -> dict[str, Any]:
    """Decode one BSON document.

    Raises:
        ValueError: when it is not valid BSON, or has a name twice in one object.
        RecursionError: when it nests too deep to be decoded.
    """
    try:
        return bson.decode(content, codec_options=_BSON_OPTIONS)
    except bson.errors.InvalidBSON as error:
        reason = str(error)
        if "recursion depth" in reason:
            raise RecursionError from None
        raise ValueError(reason if reason.startswith("has ") else f"is not valid BSON: {shown(reason)}") from None


def bson_to_text(content: bytes) -> bytes:
    """A BSON document as extended JSON; as one `$bson` of hexadecimal digits when it cannot be decoded."""
    try:
        return json_util.dumps(decode_bson(content), json_options=json_util.CANONICAL_JSON_OPTIONS).encode()
    except (ValueError, RecursionError):
        return orjson.dumps({"$bson": content.hex()})


def encode(document: JSONValue) -> bytes:
    """Write a rewritten document with each number as it is spelled."""
    return orjson.dumps(
        document, default=lambda number: orjson.Fragment(str(number)), option=orjson.OPT_PASSTHROUGH_SUBCLASS
    )


def to_contract(document: dict[str, Any]) -> Rewritten:
    """Rewrite a document of MongoDB's, decoded by `decode_text` or `decode_bson`, in the contract's shape."""
    problems: list[Problem] = []
    plain = {
        name: _plain(value, ("id" if name == "_id" else name,), problems)
        for name, value in document.items()
        if name not in BOOKKEEPING
    }
    dropped = tuple(name for name in BOOKKEEPING if name in document)
    id_name = "id" if "id" in plain else "_id"
    if "_id" in plain:
        own = plain.pop("_id")
        if plain.setdefault("id", own) != own:
            problems.append(Problem(("_id",), "differs from id"))
    return Rewritten(plain, problems, dropped, id_name)


def _plain(value: Any, path: tuple[str | int, ...], problems: list[Problem]) -> JSONValue:
    """The JSON value that a value of BSON or of extended JSON stands for."""
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, list):
        return [_plain(item, (*path, at), problems) for at, item in enumerate(value)]
    if not isinstance(value, dict):  # a type of BSON's own
        value = json_util.default(value, json_util.CANONICAL_JSON_OPTIONS)
    if reader := _reader(value):
        try:
            return reader(*value.values())
        except (AttributeError, KeyError, TypeError, ValueError):
            name = next(iter(value))
            problems.append(Problem(path, f"holds a {name} that cannot be read: {shown(value[name])}"))
            return None
    return {name: _plain(item, (*path, name), problems) for name, item in value.items()}


def _reader(value: Any) -> Callable[..., JSONValue] | None:
    return _READERS.get(tuple(value)) if isinstance(value, dict) and len(value) <= 2 else None


def _object_id(value: Any) -> str:
    if type(value) is not str:
        raise TypeError(value)
    return value


def _binary(value: Any, subtype: Any = None) -> JSONValue:
    """The usual text of a UUID, whose bytes are taken in their order; other bytes stay as they are written."""
    encoded, type_ = (value["base64"], value["subType"]) if subtype is None else (value, subtype)
    if str(type_).lstrip("0") in ("3", "4"):
        return str(uuid.UUID(bytes=base64.b64decode(encoded, validate=True)))
    return {"$binary": value} if subtype is None else {"$binary": value, "$type": subtype}


def _number(value: Any) -> Number:
    if _NUMBER.fullmatch(value) is None or math.isinf(float(value)):
        raise ValueError(value)
    return Number(value)


def _date(value: Any) -> str:
    if isinstance(value, dict):
        value = Number(value["$numberLong"])
    if isinstance(value, Number):
        return timestamps.write(int(value))
    return to_canonical(value, any_offset=True)


_READERS: dict[tuple[str, ...], Callable[..., JSONValue]] = {
    ("$oid",): _object_id,
    ("$uuid",): lambda value: str(uuid.UUID(value)),
    ("$binary",): _binary,
    ("$binary", "$type"): _binary,
    ("$date",): _date,
    **dict.fromkeys([("$numberInt",), ("$numberLong",), ("$numberDouble",), ("$numberDecimal",)], _number),
}
