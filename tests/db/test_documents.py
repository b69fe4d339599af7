"""Reading documents: the shapes they come in, what is refused and in which words, and that nothing is lost."""

import io
import itertools
import json
import tracemalloc
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, BinaryIO, cast

import pytest

from db.demo import DOCUMENTED_SESSION
from db.documents import DEPTH, BadDocument, Document, DocumentReader
from tests.conftest import SCHEMAS

READER = DocumentReader(SCHEMAS)
OPEN_PARTS = ("fieldValues", "attachments", "notes", "invoice")
ONE, TWO, THREE = (json.dumps(DOCUMENTED_SESSION | {"id": id_}, ensure_ascii=False).encode() for id_ in "123")
PRETTY = json.dumps([json.loads(document) for document in (ONE, TWO, THREE)], indent=2).encode()
PRETTY_LINES = [2, 30, 58]

EXTENDED: dict[str, Any] = {
    "_id": {"$oid": DOCUMENTED_SESSION["id"]},
    "workspaceId": {"$oid": DOCUMENTED_SESSION["workspaceId"]},
    "clientId": {"$oid": DOCUMENTED_SESSION["clientId"]},
    "serviceIds": [{"$oid": id_} for id_ in DOCUMENTED_SESSION["serviceIds"]],
    "staffId": {"$oid": DOCUMENTED_SESSION["staffId"]},
    "date": {"$date": "2024-01-20T00:00:00Z"},
    "createdAt": {"$date": "2024-01-15T10:00:00Z"},
    "updatedAt": {"$date": "2024-01-15T10:00:00Z"},
    "__v": 0,
}
"""What MongoDB's relaxed form has in place of the contract's."""


class Pieces(io.RawIOBase):
    """A stream that is made while it is read, and hands out what it gets."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self.handed_out = 0

    def read(self, _size: int = -1) -> bytes:
        piece = next(self._pieces, b"")
        self.handed_out += len(piece)
        return piece


def read(content: bytes | Pieces, reader: DocumentReader = READER) -> list[Document | BadDocument]:
    stream = io.BytesIO(content) if isinstance(content, bytes) else cast("BinaryIO", content)
    return list(reader.read(stream, "input"))


def good(content: bytes | Pieces) -> list[Document]:
    items = read(content)
    assert [str(item) for item in items if isinstance(item, BadDocument)] == []
    return [item for item in items if isinstance(item, Document)]


def bad(content: bytes | Pieces, reader: DocumentReader = READER) -> BadDocument:
    item = read(content, reader)[-1]
    assert isinstance(item, BadDocument)
    return item


def plain(**changes: Any) -> bytes:
    return json.dumps(DOCUMENTED_SESSION | changes).encode()


def extended(**changes: Any) -> bytes:
    document = {name: value for name, value in DOCUMENTED_SESSION.items() if name != "id"}
    return json.dumps(document | EXTENDED | changes).encode()


def as_read(document: Document) -> dict[str, Any]:
    """The document again, its open parts decoded."""
    return document.fields | {
        name: None if document.fields[name] is None else json.loads(document.fields[name], parse_float=Decimal)
        for name in OPEN_PARTS
    }


def nested(levels: int) -> Any:
    value: Any = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


def test_a_document_is_read_as_it_is_with_its_open_parts_as_compact_text() -> None:
    (document,) = good(plain(notes=[{"نص": "☀️", "n": 1.0}]))
    assert document.fields == DOCUMENTED_SESSION | {
        "fieldValues": "[]",
        "attachments": "[]",
        "notes": '[{"نص":"☀️","n":1.0}]',
        "invoice": None,
    }


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"\n".join([ONE, TWO, THREE]), [1, 2, 3]),
        (b"\n".join([ONE, TWO, THREE, b""]), [1, 2, 3]),
        (b"\r\n".join([b"", ONE, b"  ", TWO, b"", b"", THREE, b""]), [2, 4, 7]),
        (b"\xef\xbb\xbf" + b"\n".join([ONE, TWO, THREE]), [1, 2, 3]),
        (b"[" + b",".join([ONE, TWO, THREE]) + b"]", [1, 1, 1]),
        (b"\xef\xbb\xbf \r\n[" + b"\n,\n".join([ONE, TWO, THREE]) + b"\n]\n\n", [2, 4, 6]),
        (PRETTY, PRETTY_LINES),
        (b'{"sessions":[' + b",".join([ONE, TWO, THREE]) + b"]}", [1, 1, 1]),
        (b'\n{ "sessions"\n:\n' + PRETTY + b"\n}\n", [line + 3 for line in PRETTY_LINES]),
    ],
    ids=["lines", "last line ended", "blank lines and CRLF", "BOM", "array", "spaced", "indented", "body", "indented body"],
)
def test_each_shape_gives_the_documents_and_the_lines_they_begin_in(content: bytes, lines: list[int]) -> None:
    documents = good(content)
    assert [document.fields["id"] for document in documents] == ["1", "2", "3"]
    assert [document.line for document in documents] == lines
    # Where a chunk ends makes no difference.
    for size in (1, 2, 3, 1000):
        pieces = (content[start : start + size] for start in range(0, len(content), size))
        assert good(Pieces(pieces)) == documents


@pytest.mark.parametrize(
    "content", [b"", b" \n\r\n", b"\xef\xbb\xbf", b"[]", b" [ ] ", b'{"sessions": []}', b'{ "sessions" :[\n]\n}']
)
def test_an_empty_input_holds_no_documents(content: bytes) -> None:
    assert read(content) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" + ONE, "input:1: the array must go on with a comma or end with ] here, but there is the end of the file"),
        (b"[" + ONE + b"\n,", "input:2: a document must begin with { here, but there is the end of the file"),
        (b"[" + ONE + b",]", "input:1: a document must begin with { here, but there is ']'"),
        (b"[" + ONE + b"\n" + TWO + b"]", "input:2: the array must go on with a comma or end with ] here, but there is '{"),
        (b"[1]", "input:1: a document must begin with { here, but there is '1]'"),
        (b"[[]]", "input:1: a document must begin with { here, but there is '[]]'"),
        (b"[", "input:1: a document must begin with { here, but there is the end of the file"),
        (PRETTY[:-200], f"input:{PRETTY_LINES[-1]}: the document that begins here has no end: the file is cut off"),
        (b'[{"a": "]}', "input:1: the document that begins here has no end: the file is cut off"),
        (b'[\n{"a": [1}]', "input:2: the document that begins here has a } that closes nothing"),
        (b"[" + ONE + b"]\n[" + TWO + b"]", "input:2: the file must end here, after its sessions, but there is '[{"),
        (b"[]\n\n" + ONE, "input:3: the file must end here, after its sessions, but there is '{"),
        (b'{"sessions": []', "input:1: the body must end with } here, but there is the end of the file"),
        (b'{"sessions": [], "next": 1}', "input:1: the body must end with } here, but there is ', \"next\": 1}'"),
        (b'{"sessions": []}\n{"sessions": []}', "input:2: the file must end here, after its sessions, but there is '{"),
    ],
)
def test_a_broken_array_says_where_and_ends_the_file(content: bytes, message: str) -> None:
    item = bad(content)
    assert str(item).startswith(message)
    assert item.field == "$"
    assert item.text is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "is cut off: each document must stand on one line, or all of them in an array"),
        (ONE[:-1], "is cut off: each document must stand on one line, or all of them in an array"),
        (ONE + TWO, "is not JSON: unexpected content after document (column 609)"),
        (b"id,workspaceId", "is not JSON: unexpected character, expected a JSON value (column 1)"),
        (ONE.replace(b": 90", b": 090"), "is not JSON: number with leading zero is not allowed (column 433)"),
        (ONE.replace(b": 90", b": NaN"), "is not JSON: unexpected character, expected a JSON value (column 433)"),
        (ONE.replace(b"John", b"\xff"), "is not UTF-8"),
        (ONE.replace(b"John", b"\xed\xa0\x80"), "is not UTF-8"),
        (ONE.replace(b"John", rb"\ud800"), "is not JSON: no low surrogate in string (column 111)"),
        (b"[]", "must be an object, not an array"),
        (b"null", "must be an object, not null"),
        (b"12", "must be an object, not a number"),
    ],
)
def test_a_bad_line_is_one_bad_document_and_reading_goes_on(line: bytes, reason: str) -> None:
    before, item, after = read(b"\n".join([ONE, line, TWO]))
    assert isinstance(before, Document)
    assert isinstance(after, Document)
    assert item == BadDocument("input", 2, "$", reason, line)


def test_a_bad_document_of_an_array_says_the_line_of_the_mistake_and_is_set_aside_on_one_line() -> None:
    content = b"[\n" + ONE + b',\n{"a":\r\n [tru]},\n{"b":\n1},\n' + TWO + b"]"
    first, malformed, unknown, last = read(content)
    assert isinstance(first, Document)
    assert isinstance(last, Document)
    assert str(malformed) == "input:4: is not JSON: invalid literal, expected 'true' (column 3)"
    assert str(unknown) == "input:5: b is not a property of a session"
    assert isinstance(malformed, BadDocument)
    assert isinstance(unknown, BadDocument)
    assert (malformed.text, unknown.text) == (b'{"a":   [tru]}', b'{"b": 1}')


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clientID": "c", "id": 5}, "clientID is not a property of a session; did you mean clientId?"),
        ({"zzz": 1}, "zzz is not a property of a session"),
        ({"id": 5, "notes": None}, "id must be a string, not a number"),
        ({"id": ""}, "id must be an opaque identifier of 1 to 64 letters, digits, hyphens and underscores, not ''"),
        ({"id": "x" * 65}, "id must have at most 64 characters, not 65"),
        ({"clientId": "a b"}, "clientId must be an opaque identifier of 1 to 64 letters, digits"),
        ({"clientName": None}, "clientName must be a string, not null"),
        ({"name": "a\0b"}, "name must be a text for people, in any language; without the NUL character, not 'a\\x00b'"),
        ({"name": "😀" * 1001}, "name must have at most 1000 characters, not 1001"),
        ({"serviceIds": "a"}, "serviceIds must be an array, not a string"),
        ({"serviceIds": ["a", 1]}, "serviceIds[1] must be a string, not a number"),
        ({"serviceIds": ["a"] * 1001}, "serviceIds must have at most 1000 items, not 1001"),
        ({"serviceNames": ["a"]}, "serviceNames must be as many as serviceIds: 2, not 1"),
        ({"serviceNames": ["a", "b", "c"]}, "serviceNames must be as many as serviceIds: 2, not 3"),
        ({"date": "2024-01-20"}, "date must be a moment in UTC with milliseconds (RFC 3339) such as 2024-01-20T"),
        ({"date": "2024-01-20T00:00:00.000+00:00"}, "date must be a moment in UTC with milliseconds (RFC 3339) such as"),
        ({"date": "2024-02-30T00:00:00.000Z"}, "date names a day or a time that there is not: '2024-02-30T00:00:00.000Z'"),
        ({"createdAt": "2024-01-20T24:00:00.000Z"}, "createdAt names a day or a time that there is not: '2024-01-20T24:00"),
        ({"updatedAt": "2016-12-31T23:59:60.000Z"}, "updatedAt must be a moment in UTC with milliseconds (RFC 3339)"),
        ({"date": "0000-01-01T00:00:00.000Z"}, "date names a day or a time that there is not: '0000-01-01T00:00:00.000Z'"),
        ({"startTime": "24:00"}, "startTime must be a wall-clock time, hours and minutes, 00:00 to 23:59, not '24:00'"),
        ({"endTime": "9:00"}, "endTime must be a wall-clock time, hours and minutes, 00:00 to 23:59, not '9:00'"),
        ({"durationMinutes": "90"}, "durationMinutes must be a whole number, not a string"),
        ({"durationMinutes": 90.5}, "durationMinutes must be a whole number, not 90.5"),
        ({"durationMinutes": True}, "durationMinutes must be a whole number, not true or false"),
        ({"durationMinutes": -1}, "durationMinutes must be from 0 to 525600, not -1"),
        ({"status": "done"}, "status must be one of scheduled, in-progress, completed, cancelled, not 'done'"),
        ({"notes": {}}, "notes must be an array, not an object"),
        ({"notes": [{}, "x", 5]}, "notes[1] must be an object, not a string"),
        ({"fieldValues": [{}] * 10_001}, "fieldValues must have at most 10000 items, not 10001"),
        ({"invoice": []}, "invoice must be an object or null, not an array"),
    ],
)  # fmt: skip
def test_a_misfit_is_told_by_its_field_and_what_would_fit(changes: dict[str, Any], message: str) -> None:
    assert str(bad(plain(**changes))).removeprefix("input:1: ").startswith(message)


@pytest.mark.parametrize("name", list(DOCUMENTED_SESSION))
def test_every_property_is_required(name: str) -> None:
    document = {other: value for other, value in DOCUMENTED_SESSION.items() if other != name}
    assert str(bad(json.dumps(document).encode())) == f"input:1: {name} is missing"


@pytest.mark.parametrize("changes", [{"status": "\x1b[2J\u202e" * 1000}, {"\x1b[2J" * 1000: 1}])
def test_a_message_is_short_and_steers_no_terminal(changes: dict[str, Any]) -> None:
    message = str(bad(plain(**changes)))
    assert message.isprintable()
    assert len(message) < 200


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (plain().replace(b'"id"', b'"id": "1", "id"'), "has 'id' twice in one object"),
        (plain().replace(b'"notes": []', rb'"notes": [{"a": {"b": 1, "\u0062": 2}}]'), "has 'b' twice in one object"),
        (plain().replace(b'"notes": []', rb'"notes": [{"a": 1, "a": "\u0022\u0022"}]'), "has 'a' twice in one object"),
        (extended().replace(b'"_id"', b'"_id": "1", "_id"'), "has '_id' twice in one object"),
    ],
)
def test_a_name_that_stands_twice_in_an_object_is_refused(content: bytes, message: str) -> None:
    item = bad(content)
    assert (item.field, item.reason) == ("$", message)


def test_quotation_marks_in_texts_are_not_taken_for_names() -> None:
    (document,) = good(plain(notes=[{'"': '""', "a": '\\"'}]).replace(b'"John Doe"', rb'"\u0022John\" Doe"'))
    assert document.fields["notes"] == r'[{"\"":"\"\"","a":"\\\""}]'
    assert document.fields["clientName"] == '"John" Doe'


NUMBERS = [
    "0", "-1", "9007199254740993", "18446744073709551616", "123456789012345678901234567890", "9" * 308,
    "0.1", "1.10", "-0.0", "1E+5", "1e-400", "0.1234567890123456789012345678901234567890",
]  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_in_an_open_part_keeps_every_digit(number: str) -> None:
    (document,) = good(plain().replace(b'"notes": []', f'"notes": [{{"n": {number}}}]'.encode()))
    ((note),) = json.loads(document.fields["notes"], parse_float=str, parse_int=str)
    assert Decimal(note["n"]).as_tuple() == Decimal(number).as_tuple()


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("1e400", "holds a number that is larger than a double can be"),
        ("-1e400", "holds a number that is larger than a double can be"),
        ("9" * 400, "holds a number that is larger than a double can be"),
        ("9" * 5000, "holds a number that is larger than a double can be"),
        ("1e-9999999999999999999", "holds a number with an exponent that is out of range"),
        ("NaN", "is not JSON: unexpected character, expected a JSON value (column 465)"),
        ("Infinity", "is not JSON: unexpected character, expected a JSON value (column 465)"),
    ],
)
def test_a_number_that_readers_cannot_hold_is_refused(number: str, reason: str) -> None:
    for document in (plain(), extended()):
        item = bad(document.replace(b'"notes": []', f'"notes": [{{"n": {number}}}]'.encode()))
        assert item.reason.partition("(")[0] == reason.partition("(")[0]


@pytest.mark.parametrize("write", [plain, extended])
def test_nesting_is_kept_up_to_the_limit_and_refused_beyond(write: Any) -> None:
    (document,) = good(write(invoice=nested(DEPTH - 1)))
    assert as_read(document)["invoice"] == nested(DEPTH - 1)
    assert bad(write(invoice=nested(DEPTH))).reason == f"nests more than {DEPTH} levels"
    for levels in (2_000, 200_000):
        deeper = write(invoice="HERE").replace(b'"HERE"', b'{"a":' * levels + b"1" + b"}" * levels)
        assert bad(deeper).reason == f"nests more than {DEPTH} levels"
        assert bad(b"[" + deeper + b"]").reason == f"nests more than {DEPTH} levels"


CANONICAL = {
    "date": {"$date": {"$numberLong": "1705708800000"}},
    "createdAt": {"$date": {"$numberLong": "1705312800000"}},
    "updatedAt": {"$date": {"$numberLong": "1705312800000"}},
    "durationMinutes": {"$numberInt": "90"},
    "__v": {"$numberInt": "0"},
}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        CANONICAL,
        {"durationMinutes": {"$numberLong": "90"}},
        {"durationMinutes": {"$numberDouble": "90.0"}},
        {"durationMinutes": 90.0},
        {"id": DOCUMENTED_SESSION["id"]},
        {"_id": DOCUMENTED_SESSION["id"]},
    ],
    ids=["relaxed", "canonical", "long", "double", "relaxed double", "id and _id", "_id as text"],
)
def test_extended_json_is_the_same_document_in_another_form(changes: dict[str, Any]) -> None:
    (document,) = good(extended(**changes))
    assert as_read(document) == DOCUMENTED_SESSION


def test_extended_json_is_told_by_a_wrapper_alone_too() -> None:
    for name, value in EXTENDED.items():
        if not name.startswith("_"):
            (document,) = good(plain(**{name: value}))
            assert as_read(document) == DOCUMENTED_SESSION


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"$date": "2024-01-20T00:00:00.5Z"}, "2024-01-20T00:00:00.500Z"),
        ({"$date": "2024-01-20T00:00:00.123000Z"}, "2024-01-20T00:00:00.123Z"),
        ({"$date": "2024-01-20T01:30:00+01:30"}, "2024-01-20T00:00:00.000Z"),
        ({"$date": "2024-01-19T19:00:00.000-0500"}, "2024-01-20T00:00:00.000Z"),
        ({"$date": 1705708800000}, "2024-01-20T00:00:00.000Z"),
        ({"$date": -1}, "1969-12-31T23:59:59.999Z"),
        ({"$date": {"$numberLong": "-62135596800000"}}, "0001-01-01T00:00:00.000Z"),
    ],
)
def test_a_date_of_extended_json_becomes_the_moment_of_the_contract(written: Any, expected: str) -> None:
    (document,) = good(extended(date=written, notes=[{"at": written, "all": [written]}]))
    assert document.fields["date"] == expected
    assert as_read(document)["notes"] == [{"at": expected, "all": [expected]}]


@pytest.mark.parametrize(
    "written",
    [
        "2024-01-20T00:00:00.0001Z", "2024-01-20", "2024-02-30T00:00:00Z", "2016-12-31T23:59:60Z", "soon", "",
        None, True, 1.5, [], {}, {"$numberLong": 5}, {"$numberLong": "x"}, 10**17, "0001-01-01T00:00:00+01:00",
    ],
)  # fmt: skip
def test_a_date_that_is_not_one_millisecond_is_refused_with_its_place(written: Any) -> None:
    item = bad(extended(notes=[{}, {"at": {"$date": written}}]))
    assert item.field.startswith("notes[1].at")
    assert item.reason.startswith("holds a")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clientId": {"$oid": 5}}, "clientId holds an $oid that is not a string"),
        ({"clientId": {"$oid": "a b"}}, "clientId must be an opaque identifier of 1 to 64"),
        ({"durationMinutes": {"$numberInt": "1.5"}}, "durationMinutes holds an integer that is not written like"),
        ({"durationMinutes": {"$numberDouble": "1.5"}}, "durationMinutes must be a whole number, not 1.5"),
        ({"durationMinutes": {"$numberDouble": "1E+300"}}, "durationMinutes must be a whole number, not 1e+300"),
        ({"invoice": {"total": {"$numberDouble": "NaN"}}}, "invoice.total holds a number that JSON lacks"),
        ({"invoice": {"total": {"$numberDouble": "1e400"}}}, "holds a number that is larger than a double can be"),
        ({"invoice": {"total": {"$numberDouble": 1.5}}}, "invoice.total holds a number that JSON lacks"),
        ({"id": "other"}, "_id differs from id"),
        ({"_id": 5}, "id must be a string, not a number"),
        ({"__version": 1}, "__version is not a property of a session"),
    ],
)
def test_a_misfit_of_extended_json_is_told_like_any_other(changes: dict[str, Any], message: str) -> None:
    assert str(bad(extended(**changes))).removeprefix("input:1: ").startswith(message)


@pytest.mark.parametrize("content", [b'{"$oid": "a"}', b'{"$date": {"$oid": "a"}}'])
def test_a_wrapper_alone_is_no_document(content: bytes) -> None:
    assert bad(content).reason.startswith("is not a property of a session")


def test_extended_json_is_read_in_open_parts_and_what_json_has_no_form_for_stays() -> None:
    invoice = {
        "_id": {"$oid": "507f1f77bcf86cd799439099"},
        "__v": {"$numberInt": "3"},
        "count": {"$numberLong": "9007199254740993"},
        "total": {"$numberDouble": "1.10"},
        "exact": {"$numberDecimal": "1.10"},
        "scan": {"$binary": {"base64": "AA==", "subType": "00"}},
        "not one": {"$oid": "a", "b": {"$oid": "c"}},
        "digits": 12345678901234567890123456789,
    }
    (document,) = good(extended(invoice=invoice))
    assert as_read(document)["invoice"] == invoice | {
        "_id": "507f1f77bcf86cd799439099",
        "__v": 3,
        "count": 9007199254740993,
        "total": Decimal("1.10"),
        "not one": {"$oid": "a", "b": "c"},
    }


def test_a_document_in_the_shape_of_the_contract_keeps_its_open_parts_whatever_keys_they_hold() -> None:
    notes = [{"$date": "soon"}, {"_id": {"$oid": 5}, "__v": {"$numberInt": "0"}}]
    (document,) = good(plain(notes=notes))
    assert as_read(document)["notes"] == notes


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (plain(status="x"), (DOCUMENTED_SESSION["workspaceId"], DOCUMENTED_SESSION["id"])),
        (extended(status="x"), (DOCUMENTED_SESSION["workspaceId"], DOCUMENTED_SESSION["id"])),
        (extended(date={"$date": "x"}), (DOCUMENTED_SESSION["workspaceId"], DOCUMENTED_SESSION["id"])),
        (plain(id="a b"), (None, None)),
        (plain(id=["a"]), (None, None)),
        (plain(workspaceId=None), (None, None)),
        (extended(id="other"), (None, None)),
        (plain()[:-1], (None, None)),
        (b"{}", (None, None)),
        (b"5", (None, None)),
    ],
)
def test_a_bad_document_names_its_session_if_that_is_beyond_doubt(content: bytes, named: tuple[str, str]) -> None:
    item = bad(content)
    assert (item.workspace_id, item.session_id) == named


def test_a_name_that_stands_twice_leaves_in_doubt_which_session_is_meant() -> None:
    item = bad(plain().replace(b'"id"', b'"id": "1", "id"'))
    assert (item.workspace_id, item.session_id) == (None, None)


@pytest.mark.parametrize(("before", "between", "after"), [(b"", b"\n", b"\n"), (b"[", b",\n", b"]")], ids=["lines", "array"])
def test_memory_does_not_grow_with_the_stream(before: bytes, between: bytes, after: bytes) -> None:
    document = plain(notes=[{"text": "x" * 100_000}])
    count = 500

    def pieces() -> Iterator[bytes]:
        yield before + document
        for _ in range(count - 1):
            yield between + document
        yield after

    stream = Pieces(pieces())
    tracemalloc.start()
    try:
        read_well = sum(isinstance(item, Document) for item in READER.read(cast("BinaryIO", stream), "input"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert read_well == count
    assert stream.handed_out > 50_000_000
    assert peak < 2_000_000


@pytest.mark.parametrize(
    "beginning", [ONE + b"\n", b"[" + ONE + b",", b"[" + ONE + b',{"a":"'], ids=["line", "array", "text in an array"]
)
def test_a_document_beyond_the_limit_is_not_read_to_its_end(beginning: bytes) -> None:
    pieces = itertools.chain([beginning], itertools.repeat(b'{"a":[]},' * 10_000 if b"text" in beginning else b"{" * 65_536))
    stream = Pieces(pieces)
    item = bad(stream, DocumentReader(SCHEMAS, limit=1_000_000))
    assert item.reason == "the document that begins here is larger than 1,000,000 bytes"
    assert item.text is None
    assert stream.handed_out < 3_000_000


@pytest.mark.parametrize(("before", "after"), [(b"", b""), (b"", b"\n"), (b"[", b"]")])
def test_the_limit_is_the_most_that_a_document_may_have(before: bytes, after: bytes) -> None:
    document = plain()
    content = before + document + after
    assert isinstance(read(content, DocumentReader(SCHEMAS, limit=len(document) + 1))[0], Document)
    assert bad(content, DocumentReader(SCHEMAS, limit=len(document) - 1)).text is None


def test_a_stream_that_fails_is_reported_with_the_line_that_was_reached() -> None:
    def pieces() -> Iterator[bytes]:
        yield ONE + b"\n" + TWO
        raise OSError(5, "Input/output error")

    items = read(Pieces(pieces()))
    assert str(items[-1]) == "input:1: the file cannot be read on: Input/output error"
