"""Reads session documents, checks each against the contract, and writes it in the canonical form: the bytes to answer.

That form is compact JSON in UTF-8, with the members in the contract's order. Nothing is lost or altered on the way: inside
the open parts of a session every number keeps its spelling and every object the order of its members; only insignificant
white space and escapes change. What the API could not answer is refused: numbers beyond a double, deep nesting, a name that
stands twice in one object (readers drop one of the two), the NUL character.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple

import msgspec
import orjson

from db.imports import mongodb
from db.imports.formats import Place, Unreadable, split_documents
from db.imports.moments import is_canonical, to_canonical
from db.imports.problems import Problem, SessionProblems, in_one_line, kind, shown
from openapi import schemas
from openapi.json import JSONValue

MAX_DOCUMENT_BYTES = 64 * 1024 * 1024

MAX_DEPTH = 254
"""The most levels that a document may nest: as many as orjson writes. (MongoDB stops at 100.)"""

_TOO_DEEP = f"nests more than {MAX_DEPTH} levels"
_OPEN_PARTS = ("fieldValues", "attachments", "notes", "invoice")
_SHELL = re.compile(rb"\b(ObjectId|ISODate|Date|NumberLong|NumberInt|NumberDecimal|UUID|BinData|Timestamp)\(")
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[^" \t\r\n]++')
# Behind an odd number of backslashes; behind an even number, it is a backslash and the letters u0000.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class Document(NamedTuple):
    """A session in the canonical form, and the bookkeeping members that were dropped from its document."""

    place: Place
    workspace_id: str
    id: str
    content: bytes
    dropped: tuple[str, ...]


class BadDocument(NamedTuple):
    """A document that cannot be taken: where it stands, and what is wrong with it, in one line.

    `text` is the document as JSON on one line, to be set aside. Where it is None, that cannot be done, and nothing after it
    can be read. `workspace_id` and `session_id` are None unless the document says which session it is about.
    """

    place: Place
    reason: str
    text: bytes | None = None
    workspace_id: str | None = None
    session_id: str | None = None

    def __str__(self) -> str:
        """The line that reports it."""
        return f"{self.place}: {self.reason}"


class _Refused(Exception):
    def __init__(self, reason: str, *session: str | None, lines_below: int = 0) -> None:
        super().__init__(reason)
        self.session = session
        self.lines_below = lines_below  # the line in which the document begins


class DocumentReader:
    """Reads session documents, and checks each against the schema `Session` of the contract."""

    def __init__(self, components: Mapping[str, Any], *, max_document_bytes: int = MAX_DOCUMENT_BYTES) -> None:
        """Compile the schema; `components` are the named schemas of the contract."""
        self._problems = SessionProblems(components)
        properties = self._problems.properties
        self._max_bytes = max_document_bytes
        self._names = list(properties)
        self._moments = [name for name, schema in properties.items() if schema.get("format") == "date-time"]
        self._integers = [name for name, schema in properties.items() if schema.get("type") == "integer"]
        session = {"$ref": "#/components/schemas/Session"}
        self._is_session = schemas.compile_schema(session, components).is_valid
        self._is_id = schemas.compile_schema({"$ref": "#/components/schemas/Id"}, components).is_valid

    def read(self, stream: BinaryIO, source: str) -> Iterator[Document | BadDocument]:
        """Read a stream to its end, document by document; `source` names it in messages."""
        try:
            for place, content in split_documents(stream, source, self._max_bytes):
                yield self._read(place, content)
        except Unreadable as end:
            yield BadDocument(end.place, str(end))

    def _read(self, place: Place, content: bytes) -> Document | BadDocument:
        try:
            return self._read_bson(place, content) if place.is_bson else self._check(place, content)
        except _Refused as refused:
            text = mongodb.bson_to_text(content) if place.is_bson else content
            text = text.replace(b"\r", b" ").replace(b"\n", b" ")  # JSON has line breaks between its tokens only
            place = place._replace(number=place.number + refused.lines_below)
            return BadDocument(place, str(refused), text, *refused.session)

    def _read_bson(self, place: Place, content: bytes) -> Document:
        try:
            rewritten = mongodb.to_contract(mongodb.decode_bson(content))
            text = mongodb.encode(rewritten.document)
        except (RecursionError, orjson.JSONEncodeError):
            raise _Refused(_TOO_DEEP) from None
        except ValueError as problem:
            raise _Refused(str(problem)) from None
        return self._check(place, text, rewritten)

    def _check(self, place: Place, text: bytes, rewritten: mongodb.Rewritten | None = None) -> Document:
        document, written = _parse(text)
        problems = [*(rewritten.problems if rewritten else ()), *_problems_beyond_the_schema(document, text)]
        for name in self._moments:
            moment = document.get(name)
            if isinstance(moment, str) and not is_canonical(moment):
                written = b""  # from here on, the text is not what the document says
                try:
                    document[name] = to_canonical(moment)
                except ValueError as problem:
                    problems.append(Problem((name,), str(problem)))
        if problems or not self._is_session(document):
            if rewritten is None and mongodb.is_mongodb(document, _OPEN_PARTS):
                rewritten = mongodb.to_contract(mongodb.decode_text(text))
                return self._check(place, mongodb.encode(rewritten.document), rewritten)
            for name in self._integers:  # the numbers of JavaScript are doubles: 90.0 minutes are 90
                number = document.get(name)
                if isinstance(number, float) and number.is_integer():
                    document[name], written = int(number), b""
            problems = self._problems.find(document, problems, rewritten.id_name if rewritten else "id")
        if problems:
            raise _Refused(in_one_line(problems), *self._session_of(document))
        content = self._canonical(text, document, written)
        return Document(place, document["workspaceId"], document["id"], content, rewritten.dropped if rewritten else ())

    def _canonical(self, text: bytes, document: dict[str, JSONValue], written: bytes) -> bytes:
        if written == text and [*document] == self._names:
            return text
        # Only inside the open parts can the text say more than the decoded value does.
        parts = _decode_open_parts(text)
        for name in _OPEN_PARTS:
            raw = bytes(getattr(parts, name))
            document[name] = orjson.Fragment(raw if raw == orjson.dumps(document[name]) else _compact(raw))
        return orjson.dumps({name: document[name] for name in self._names})

    def _session_of(self, document: dict[str, JSONValue]) -> tuple[str | None, str | None]:
        """The workspace and the id that a bad document names; None twice unless it names both."""
        workspace_id, id_ = document.get("workspaceId"), document.get("id")
        return (workspace_id, id_) if self._is_id(workspace_id) and self._is_id(id_) else (None, None)


def _problems_beyond_the_schema(document: dict[str, JSONValue], text: bytes) -> list[Problem]:
    problems = []
    ids, names = document.get("serviceIds"), document.get("serviceNames")
    if isinstance(ids, list) and isinstance(names, list) and len(ids) != len(names):
        problems.append(Problem(("serviceNames",), f"must be as many as serviceIds: {len(ids)}, not {len(names)}"))
    if rb"\u0000" in text:
        reason = "holds the NUL character, which PostgreSQL cannot store"
        problems += [Problem((name,), reason) for name in document if _NUL.search(orjson.dumps(document[name]))]
    return problems


def _parse(text: bytes) -> tuple[dict[str, JSONValue], bytes]:
    """Decode a document, and write it again as orjson does."""
    try:
        value = orjson.loads(text)
        written = orjson.dumps(value)
    except orjson.JSONDecodeError as error:
        raise _Refused(_wrong_with_json(text, error), lines_below=error.lineno - 1) from None
    except orjson.JSONEncodeError:
        raise _Refused(_TOO_DEEP) from None
    # Of two members with one name, a decoder keeps one. With the other go the quotation marks of its name, so to count
    # these is enough, and far quicker than to look at the names; only escaped marks could make up for lost ones.
    if text.count(b'"') != written.count(b'"') or rb"\u0022" in text:
        json.loads(text, object_pairs_hook=_refuse_repeated_name, parse_int=str, parse_float=str)
    if not isinstance(value, dict):
        raise _Refused(f"must be an object, not {kind(value)}")
    return value, written


def _wrong_with_json(text: bytes, error: orjson.JSONDecodeError) -> str:
    if "infinity" in error.msg:
        return "holds a number that is larger than a double can be"
    if "depth" in error.msg:
        return _TOO_DEEP
    if "UTF-8" in error.msg:
        return "is not UTF-8"
    if shell := _SHELL.search(text):
        return f"is not JSON but the notation of MongoDB's shell ({shell[1].decode()}); export with mongoexport or mongodump"
    if "end of data" in error.msg:
        return "is cut off: the line ends before the document does"
    return f"is not JSON: {error.msg} (column {error.colno})"


def _refuse_repeated_name(members: list[tuple[str, JSONValue]]) -> None:
    names = set()
    for name, _ in members:
        if name in names:
            raise _Refused(f"has {shown(name)} twice in one object")
        names.add(name)


_OpenParts = msgspec.defstruct("_OpenParts", [(name, msgspec.Raw) for name in _OPEN_PARTS])
_decode_open_parts = msgspec.json.Decoder(_OpenParts).decode  # each in its own spelling; other members are skipped


def _compact(text: bytes) -> bytes:
    """Leave out insignificant white space, and write strings without escapes that UTF-8 does not need."""
    tokens = _TOKEN.findall(text)
    if b"\\" in text:
        tokens = [orjson.dumps(orjson.loads(token)) if b"\\" in token else token for token in tokens]
    return b"".join(tokens)
