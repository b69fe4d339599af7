"""Session documents from outside: read from a stream, checked against the contract, made ready to store.

Each document is in the contract's shape, or in MongoDB's extended JSON (`db.extended_json` says how that is told).

Nothing is lost or bent on the way: the open parts of a session keep every digit of every number. What the API could not
answer again is refused here: numbers beyond a double, deep nesting, a name that stands twice in one object (readers drop
one of the two), moments that RFC 3339 allows and calendars lack.
"""

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, BinaryIO, NamedTuple

import msgspec
import orjson
from jsonschema_rs import ValidationError

from db.document_texts import Text, Unreadable, read_texts
from db.extended_json import NotReadable, is_extended, to_plain
from openapi import schemas
from openapi.json import JSONValue

LIMIT = 64 * 1024 * 1024
"""The most bytes that one document may have."""

DEPTH = 254
"""The most levels that one document may nest: as many as orjson writes. (MongoDB stops at 100.)"""

_TOO_DEEP = f"nests more than {DEPTH} levels"
_OPEN_PARTS = ("fieldValues", "attachments", "notes", "invoice")
_KINDS = {"string": "a string", "integer": "a whole number", "array": "an array", "object": "an object"}


class Document(NamedTuple):
    """A document that fits the contract.

    `fields` are the properties of a session by the contract's names, with the open parts as compact JSON text (`invoice`
    as None where it is null). `size` is its length in bytes as it came in.
    """

    source: str
    line: int
    size: int
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class BadDocument:
    """A document that cannot be taken: where it stands, and what is wrong with which field (`$` is the whole of it).

    `text` is the document on one line, to be set aside. Where it is None, that cannot be done, and nothing after this can
    be read: an array is broken, a document is too large, reading fails. `workspace_id` and `session_id` are None unless
    the document says beyond doubt which session it is about.
    """

    source: str
    line: int
    field: str
    reason: str
    text: bytes | None = None
    workspace_id: str | None = None
    session_id: str | None = None

    def __str__(self) -> str:
        return f"{self.source}:{self.line}: {'' if self.field == '$' else self.field + ' '}{self.reason}"


class _Problem(Exception):
    def __init__(self, field: str, reason: str, *, lines_below: int = 0) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason
        self.lines_below = lines_below  # the line in which the document begins


class DocumentReader:
    """Reads session documents, and checks each against the schema `Session` of the contract."""

    def __init__(self, components: Mapping[str, Any], *, limit: int = LIMIT) -> None:
        """Compile the schema; `components` are the named schemas of the contract."""
        self._limit = limit
        self._components = components
        self._required = components["Session"]["required"]
        self._properties = {
            name: schemas.resolve(schema, components) for name, schema in components["Session"]["properties"].items()
        }
        self._moments = [name for name, schema in self._properties.items() if schema.get("format") == "date-time"]
        session = {"$ref": "#/components/schemas/Session"}
        self._is_session = schemas.compile_schema(session, components, quick=True).is_valid
        self._misfits = schemas.compile_schema(session, components).iter_errors
        self._is_id = schemas.compile_schema({"$ref": "#/components/schemas/Id"}, components).is_valid

    def read(self, stream: BinaryIO, source: str) -> Iterator[Document | BadDocument]:
        """Read a stream to its end, document by document; `source` names it in messages."""
        try:
            for text in read_texts(stream, self._limit):
                yield self._check(text, source)
        except Unreadable as end:
            yield BadDocument(source, end.line, "$", end.reason)

    def _check(self, text: Text, source: str) -> Document | BadDocument:
        document: JSONValue = None
        try:
            document = _parse(text.content)
            return Document(source, text.line, len(text.content), self._fields(text.content, document))
        except _Problem as problem:
            line = text.line + problem.lines_below
            # On one line, so that a file of such documents is NDJSON: JSON has line breaks between its tokens only.
            single = text.content.replace(b"\r", b" ").replace(b"\n", b" ")
            return BadDocument(source, line, problem.field, problem.reason, single, *self._named(document))

    def _fields(self, text: bytes, document: JSONValue) -> dict[str, Any]:
        if not isinstance(document, dict):
            raise _Problem("$", f"must be an object, not {_kind(document)}")
        if not self._is_session(document):
            if not is_extended(document, _OPEN_PARTS):
                raise self._problem(document)
            text = _in_contract_shape(text)
            document = _parse(text)
            if not self._is_session(document):
                raise self._problem(document)
        for name in self._moments:
            if document[name].startswith("0000"):
                raise _Problem(name, _no_such_moment(document[name]))
        if len(document["serviceNames"]) != len(document["serviceIds"]):
            held, wanted = len(document["serviceNames"]), len(document["serviceIds"])
            raise _Problem("serviceNames", f"must be as many as serviceIds: {wanted}, not {held}")
        for name in _OPEN_PARTS:  # so that memory does not hold them twice
            del document[name]
        return {**document, **_open_parts(text)}

    def _named(self, document: JSONValue) -> tuple[str | None, str | None]:
        """The workspace and the id that a bad document names; None twice unless it names both, once each."""
        if not isinstance(document, dict):
            return None, None
        names = ["workspaceId", *(name for name in ("id", "_id") if name in document)]
        values = [document.get(name) for name in names]
        workspace_id, *ids = [value.get("$oid") if isinstance(value, dict) else value for value in values]
        if self._is_id(workspace_id) and all(map(self._is_id, ids)) and len(set(ids)) == 1:
            return workspace_id, ids[0]
        return None, None

    def _problem(self, document: dict[str, JSONValue]) -> _Problem:
        """Say what is wrong: a property that has no place here, or else one that is missing, or else the first misfit."""
        for name in document:
            if name not in self._properties:
                nearest = difflib.get_close_matches(name, self._properties, 1)
                hint = f"; did you mean {nearest[0]}?" if nearest else ""
                return _Problem(_path([name]), f"is not a property of a session{hint}")
        for name in self._required:
            if name not in document:
                return _Problem(name, "is missing")
        return self._misfit(min(self._misfits(document), key=self._rank))

    def _rank(self, error: ValidationError) -> tuple[int, Sequence[object], int]:
        name, *rest = error.instance_path
        telling = ["type", "enum", "pattern", "format"]  # of several that fail, the first says it best
        rank = telling.index(error.kind.name) if error.kind.name in telling else len(telling)
        return list(self._properties).index(str(name)), rest, rank

    def _misfit(self, error: ValidationError) -> _Problem:
        name, *rest = error.instance_path
        schema = self._properties[str(name)]
        if rest:
            schema = schemas.resolve(schema["items"], self._components)
        value: Any = error.instance
        match error.kind.name:
            case "type":
                wanted = _KINDS[schema["type"]] + (" or null" if schema.get("nullable") else "")
                reason = f"must be {wanted}, not {value if isinstance(value, float) else _kind(value)}"
            case "minimum" | "maximum":
                reason = f"must be from {schema['minimum']} to {schema['maximum']}, not {value}"
            case "maxLength":
                reason = f"must have at most {schema['maxLength']} characters, not {len(value)}"
            case "maxItems":
                reason = f"must have at most {schema['maxItems']} items, not {len(value)}"
            case "format":
                reason = _no_such_moment(value)
            case _:
                example = f" such as {schema['example']}" if "format" in schema else ""
                reason = f"must be {schemas.words(schema)}{example}, not {_shown(value)}"
        return _Problem(_path(error.instance_path), reason)


def _parse(text: bytes) -> JSONValue:
    try:
        value = orjson.loads(text)
        written = orjson.dumps(value)
    except orjson.JSONDecodeError as error:
        raise _Problem("$", _wrong_with_json(error), lines_below=error.lineno - 1) from None
    except orjson.JSONEncodeError:
        raise _Problem("$", _TOO_DEEP) from None
    # Of two members with one name, a decoder keeps one. With the other go the quotation marks of its name, so to count
    # these is enough, and far quicker than to look at the names; only escaped marks could make up for lost ones.
    if text.count(b'"') != written.count(b'"') or rb"\u0022" in text:
        json.loads(text, object_pairs_hook=_refuse_repeated_name, parse_int=str, parse_float=str)
    return value


def _wrong_with_json(error: orjson.JSONDecodeError) -> str:
    if "infinity" in error.msg:
        return "holds a number that is larger than a double can be"
    if "depth" in error.msg:
        return _TOO_DEEP
    if "end of data" in error.msg:
        return "is cut off: each document must stand on one line, or all of them in an array"
    if "UTF-8" in error.msg:
        return "is not UTF-8"
    return f"is not JSON: {error.msg} (column {error.colno})"


def _refuse_repeated_name(members: list[tuple[str, JSONValue]]) -> None:
    names = set()
    for name, _ in members:
        if name in names:
            raise _Problem("$", f"has {_shown(name)} twice in one object")
        names.add(name)


class _OpenParts(msgspec.Struct, rename="camel"):
    field_values: Any
    attachments: Any
    notes: Any
    invoice: Any


# Numbers with a fraction become Decimal and integers are Python's own, so both are written as they were read.
_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_decode_open_parts = msgspec.json.Decoder(_OpenParts, float_hook=Decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode


def _in_contract_shape(text: bytes) -> bytes:
    try:
        return _encode(to_plain(_decode(text)))
    except NotReadable as problem:
        raise _Problem(_path(problem.path), problem.reason) from None
    except ArithmeticError:
        raise _Problem("$", "holds a number with an exponent that is out of range") from None


def _open_parts(text: bytes) -> dict[str, str | None]:
    try:
        parts = _decode_open_parts(text)
    except ArithmeticError:
        raise _Problem("$", "holds a number with an exponent that is out of range") from None
    texts = {
        "fieldValues": _encode(parts.field_values).decode(),
        "attachments": _encode(parts.attachments).decode(),
        "notes": _encode(parts.notes).decode(),
        "invoice": None if parts.invoice is None else _encode(parts.invoice).decode(),
    }
    for name, written in texts.items():
        if written is not None and r"\u0000" in written and _NUL.search(written):
            raise _Problem(name, "holds the NUL character, which PostgreSQL cannot store")
    return texts


# Behind an odd number of backslashes; behind an even number, it is a backslash and the letters u0000.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def _kind(value: JSONValue) -> str:
    for types, kind in ((str, "a string"), (bool, "true or false"), ((int, float), "a number"), (list, "an array")):
        if isinstance(value, types):
            return kind
    return "null" if value is None else "an object"


def _no_such_moment(value: str) -> str:
    return f"names a day or a time that there is not: {_shown(value)}"


def _shown(value: object) -> str:
    """A value for a message: short, and without characters that would steer a terminal."""
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:59]}…"


def _path(places: Sequence[str | int]) -> str:
    """Where in a document: `notes[0].at`; a name that could be misread is quoted."""
    path = ""
    for place in places:
        if isinstance(place, int):
            path += f"[{place}]"
        else:
            path += ("." if path else "") + (place if re.fullmatch(r"[\w$-]{1,60}", place, re.ASCII) else _shown(place))
    return path
