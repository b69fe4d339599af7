"""The forms in which documents come: each is told by its content, and read one document at a time."""

import gzip
import itertools
import json
import tracemalloc
from collections.abc import Iterator
from typing import BinaryIO, cast

import bson
import pytest

from db.imports import BadDocument, Document, DocumentReader
from openapi.json import encode
from tests.conftest import SCHEMAS
from tests.db.imports.reading import READER, Pieces, bad, document, good, read, value

ONE, TWO, THREE = (encode(document(id_)) for id_ in "123")
PRETTY = [json.dumps(document(id_), indent=2).encode() for id_ in "123"]
ARRAY = json.dumps([document(id_) for id_ in "123"], indent=2).encode()
BSON = b"".join(bson.encode(document(id_)) for id_ in "123")

FORMS = {
    "lines": (b"\n".join([ONE, TWO, THREE]), [1, 2, 3]),
    "last line ended": (b"\n".join([ONE, TWO, THREE, b""]), [1, 2, 3]),
    "blank lines and CRLF": (b"\r\n".join([b"", ONE, b"  ", TWO, b"", b"", THREE, b""]), [2, 4, 7]),
    "byte order mark": (b"\xef\xbb\xbf" + b"\n".join([ONE, TWO, THREE]), [1, 2, 3]),
    "array": (b"[" + b",".join([ONE, TWO, THREE]) + b"]", [1, 1, 1]),
    "spaced array": (b"\xef\xbb\xbf \r\n[" + b"\n,\n".join([ONE, TWO, THREE]) + b"\n]\n\n", [2, 4, 6]),
    "indented array": (ARRAY, [2, 30, 58]),
    "response": (b'{"sessions":[' + b",".join([ONE, TWO, THREE]) + b"]}", [1, 1, 1]),
    "indented response": (b'\n{ "sessions"\n:\n' + ARRAY + b"\n}\n", [5, 33, 61]),
    "pretty-printed": (b"\n".join(PRETTY) + b"\n", [1, 29, 57]),
    "concatenated": (ONE + TWO + b" " + THREE, [1, 1, 1]),
    "BSON": (BSON, [1, 2, 3]),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_gives_the_documents_and_where_they_begin(form: str) -> None:
    content, places = FORMS[form]
    documents = good(content)
    assert [each.content for each in documents] == [ONE, TWO, THREE]
    before = "input: document " if form == "BSON" else "input:"
    assert [str(each.place) for each in documents] == [f"{before}{number}" for number in places]
    assert good(gzip.compress(content)) == documents
    assert good(gzip.compress(content[:100]) + gzip.compress(content[100:])) == documents  # as `cat a.gz b.gz` makes it


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize("form", FORMS)
def test_it_makes_no_difference_where_a_stream_is_broken_into_pieces(form: str, size: int) -> None:
    content, _ = FORMS[form]
    expected = good(content)
    for whole in (content, gzip.compress(content)):
        beginning = whole[:2]  # in one piece: these bytes tell that a file is compressed
        pieces = [beginning, *(whole[start : start + size] for start in range(2, len(whole), size))]
        assert good(Pieces(pieces)) == expected


@pytest.mark.parametrize(
    "content", [b"", b" \n\r\n", b"\xef\xbb\xbf", b"[]", b" [ ] ", b'{"sessions": []}', gzip.compress(b"", mtime=0)]
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
        (b"[", "input:1: a document must begin with { here, but there is the end of the file"),
        (ARRAY[:-200], "input:58: the document that begins here has no end: the file is cut off"),
        (b"\n".join(PRETTY)[:-200], "input:57: the document that begins here has no end: the file is cut off"),
        (b'[{"a": "]}', "input:1: the document that begins here has no end: the file is cut off"),
        (b'[\n{"a": [1}]', "input:2: the document that begins here has a } that closes nothing"),
        (b"[" + ONE + b"]\n[" + TWO + b"]", "input:2: the file must end here, after its sessions, but there is '[{"),
        (b'{"sessions": []', "input:1: the array must go on with a comma or end with ]} here, but there is the end of"),
        (b'{"sessions": [], "next": 1}', "input:1: the array must go on with a comma or end with ]} here, but there is ',"),
        (PRETTY[0] + b"\nend", "input:29: a document must begin with { here, but there is 'end'"),
        (BSON[:-1], "input: document 3: the document has no end: the file is cut off"),
        (BSON + b"\1\0\0\0", "input: document 4: the length must be from 5 to 67,108,864 bytes, not 1"),
        (gzip.compress(ONE)[:-9], "input:1: the gzip file is damaged or cut off: "),
        (gzip.compress(ONE)[:-8] + bytes(8), "input:1: the gzip file is damaged or cut off: CRC check failed"),
        (json.dumps([document()]).encode("utf-16"), "input:1: the file is UTF-16 text; convert it to UTF-8"),
        (b"\n".join(PRETTY).decode().encode("utf-16-le"), "input:1: the file is UTF-16 text; convert it to UTF-8"),
        (ONE.decode().encode("utf-16-be"), "input:1: the file is UTF-16 text; convert it to UTF-8"),
        (b"\x6d\xe2\x99\x81", "input:1: the file is an archive of mongodump; dump without --archive"),
        (b"PK\3\4", "input:1: the file is a zip archive; unpack it"),
    ],
)
def test_what_cannot_be_read_on_says_where_and_why_and_ends_the_file(content: bytes, message: str) -> None:
    item = bad(content)
    assert str(item).startswith(message)
    assert item.text is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "is cut off: the line ends before the document does"),
        (ONE[:-1], "is cut off: the line ends before the document does"),
        (ONE + TWO, "is not JSON: unexpected content after document (column "),
        (b"id,workspaceId", "is not JSON: unexpected character, expected a JSON value (column 1)"),
        (ONE.replace(b":90", b":090"), "is not JSON: number with leading zero is not allowed (column "),
        (ONE.replace(b":90", b":NaN"), "is not JSON: unexpected character, expected a JSON value (column "),
        (ONE.replace(b"John", b"\xff"), "is not UTF-8"),
        (ONE.replace(b"John", b"\xed\xa0\x80"), "is not UTF-8"),
        (ONE.replace(b"John", rb"\ud800"), "is not JSON: no low surrogate in string (column "),
        (b"[]", "must be an object, not an array"),
        (b"null", "must be an object, not null"),
        (b"12", "must be an object, not a number"),
        (
            b'{_id: ObjectId("507f1f77bcf86cd799439011")}',
            "is not JSON but the notation of MongoDB's shell (ObjectId); export",
        ),
        (b'{"n": NumberLong(5)}', "is not JSON but the notation of MongoDB's shell (NumberLong); export with mongoexport"),
    ],
)
def test_a_bad_line_is_one_bad_document_and_reading_goes_on(line: bytes, reason: str) -> None:
    before, item, after = read(b"\n".join([ONE, line, TWO]))
    assert isinstance(before, Document)
    assert isinstance(after, Document)
    assert isinstance(item, BadDocument)
    assert str(item).startswith(f"input:2: {reason}")
    assert item.text == line


@pytest.mark.parametrize("line", [b"{", ONE[:300], b"oops", b"{}"])
def test_a_bad_first_line_does_not_hide_that_each_line_is_a_document(line: bytes) -> None:
    items = read(b"\n".join([line, ONE, TWO]))
    assert [isinstance(item, Document) for item in items] == [False, True, True]


def test_a_bad_document_of_an_array_says_the_line_of_the_mistake_and_is_set_aside_on_one_line() -> None:
    content = b"[\n" + ONE + b',\n{"a":\r\n [tru]},\n{"b":\n1},\n' + TWO + b"]"
    first, malformed, unknown, last = read(content)
    assert isinstance(first, Document)
    assert isinstance(last, Document)
    assert str(malformed) == "input:4: is not JSON: invalid literal, expected 'true' (column 3)"
    assert str(unknown).startswith("input:5: b is not a property of a session; id, workspaceId, ")
    assert isinstance(malformed, BadDocument)
    assert isinstance(unknown, BadDocument)
    assert (malformed.text, unknown.text) == (b'{"a":   [tru]}', b'{"b": 1}')


def test_a_pretty_printed_document_with_a_mistake_is_one_bad_document() -> None:
    first, second, third = read(b"\n".join([PRETTY[0], PRETTY[1].replace(b": 90", b": 9O"), PRETTY[2]]))
    assert isinstance(first, Document)
    assert isinstance(third, Document)
    assert str(second).startswith("input:48: is not JSON: ")


@pytest.mark.parametrize(("old", "new"), [(b"John", b"\xff\xff\xff\xff"), (b"\x02staffName", b"\x1bstaf\x1b[2J\x1b")])
def test_bson_that_is_not_valid_is_one_bad_document(old: bytes, new: bytes) -> None:
    broken = bson.encode(document("2")).replace(old, new)
    first, second, third = read(bson.encode(document("1")) + broken + bson.encode(document("3")))
    assert isinstance(first, Document)
    assert isinstance(third, Document)
    assert str(second).startswith("input: document 2: is not valid BSON: ")
    assert str(second).isprintable()


def test_a_name_that_stands_twice_in_bson_is_refused() -> None:
    content = bson.encode({"a": {"one": 1, "two": 2}}).replace(b"two", b"one")
    assert str(bad(content)) == "input: document 1: has 'one' twice in one object"


@pytest.mark.parametrize(("before", "between", "after"), [(b"", b"\n", b"\n"), (b"[", b",\n", b"]"), (b"", b" ", b"\n")])
def test_memory_does_not_grow_with_the_stream(before: bytes, between: bytes, after: bytes) -> None:
    one = encode(document(notes=[{"text": "x" * 100_000}]))
    rest = itertools.chain.from_iterable(itertools.repeat((between, one), 499))
    stream = Pieces(itertools.chain([before + one], rest, [after]))
    tracemalloc.start()
    try:
        count = sum(isinstance(item, Document) for item in READER.read(cast("BinaryIO", stream), "input"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 500
    assert stream.handed_out > 50_000_000
    assert peak < 5_000_000


@pytest.mark.parametrize(
    "beginning", [ONE + b"\n", b"[" + ONE + b",", b"[" + ONE + b',{"a":"'], ids=["line", "array", "text in an array"]
)
def test_a_document_beyond_the_limit_is_not_read_to_its_end(beginning: bytes) -> None:
    piece = b'{"a":[]},' * 10_000 if b'"a"' in beginning else b"{" * 65_536
    stream = Pieces(itertools.chain([beginning], itertools.repeat(piece)))
    item = bad(stream, DocumentReader(SCHEMAS, max_document_bytes=1_000_000))
    assert item.reason == "the document that begins here is larger than 1,000,000 bytes"
    assert item.text is None
    assert stream.handed_out < 3_000_000


@pytest.mark.parametrize(("before", "after"), [(b"", b""), (b"", b"\n"), (b"[", b"]")])
def test_the_limit_is_the_most_that_a_document_may_have(before: bytes, after: bytes) -> None:
    content = before + ONE + after
    assert isinstance(read(content, DocumentReader(SCHEMAS, max_document_bytes=len(ONE)))[0], Document)
    assert bad(content, DocumentReader(SCHEMAS, max_document_bytes=len(ONE) - 1)).text is None


def test_a_stream_that_fails_is_reported_with_the_line_that_was_reached() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"[" + ONE + b",\n" + TWO + b"," + b" " * 1_100_000
        raise OSError(5, "Input/output error")

    items = read(Pieces(pieces()))
    assert [value(item)["id"] for item in items if isinstance(item, Document)] == ["1", "2"]
    assert str(items[-1]) == "input:2: the file cannot be read on: Input/output error"
