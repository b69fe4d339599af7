"""Documents as MongoDB's tools write them: extended JSON, and BSON."""

import json
import uuid
from datetime import UTC, datetime
from typing import Any

import bson
import bson.raw_bson
import pytest
from bson import json_util

from db.demo import DOCUMENTED_SESSION
from db.imports import BadDocument
from openapi.json import encode
from tests.db.imports.reading import bad, document, good, lines, read, value, with_notes

CANONICAL = encode(DOCUMENTED_SESSION)
UUID = uuid.UUID("01234567-89ab-cdef-0123-456789abcdef")
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


def extended(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in DOCUMENTED_SESSION.items() if name != "id"} | EXTENDED | changes


FULL = {
    "date": {"$date": {"$numberLong": "1705708800000"}},
    "createdAt": {"$date": {"$numberLong": "1705312800000"}},
    "updatedAt": {"$date": {"$numberLong": "1705312800000"}},
    "durationMinutes": {"$numberInt": "90"},
    "__v": {"$numberInt": "0"},
}
VERSION_1 = {
    "date": {"$date": 1705708800000},
    "createdAt": {"$date": "2024-01-15T13:00:00.000+0300"},
    "durationMinutes": {"$numberLong": "90"},
}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        FULL,
        VERSION_1,
        {"durationMinutes": {"$numberDouble": "90.0"}},
        {"durationMinutes": {"$numberDecimal": "9.0E+1"}},
        {"durationMinutes": 90.0},
        {"id": DOCUMENTED_SESSION["id"]},
        {"_id": DOCUMENTED_SESSION["id"]},
        {"_class": "com.example.Session"},
    ],
    ids=["relaxed", "canonical", "version 1", "double", "decimal", "relaxed double", "id and _id", "_id as text", "_class"],
)
def test_extended_json_is_the_same_document_in_another_form(changes: dict[str, Any]) -> None:
    (item,) = good(lines(extended(**changes)))
    assert item.content == CANONICAL
    assert set(item.dropped) == {"__v", "_class"} & {*EXTENDED, *changes}


def test_a_document_of_bson_is_the_same_document_in_another_form() -> None:
    types = json_util.loads(json.dumps(extended()))
    binary = bson.encode(types | {"durationMinutes": 90.0, "invoice": {"total": 1.5, "n": 2**40}})
    (item,) = good(binary)
    assert item.content == CANONICAL.replace(b'"invoice":null', b'"invoice":{"total":1.5,"n":1099511627776}')
    assert item.dropped == ("__v",)


@pytest.mark.parametrize("name", [name for name in EXTENDED if not name.startswith("_")])
def test_one_object_of_mongodb_outside_the_open_parts_tells_extended_json(name: str) -> None:
    (item,) = good(lines(document(**{name: EXTENDED[name]})))
    assert item.content == CANONICAL


@pytest.mark.parametrize("name", ["__v", "_class"])
def test_a_bookkeeping_member_is_dropped_from_the_top_only(name: str) -> None:
    (item,) = good(lines(document(**{name: 3}, notes=[{name: 3}])))
    assert item.content == with_notes(f'{{"{name}":3}}')
    assert item.dropped == (name,)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"$oid": "507f1f77bcf86cd799439099"}, '"507f1f77bcf86cd799439099"'),
        ({"$uuid": str(UUID)}, f'"{UUID}"'),
        ({"$binary": {"base64": "ASNFZ4mrze8BI0VniavN7w==", "subType": "04"}}, f'"{UUID}"'),
        ({"$binary": "ASNFZ4mrze8BI0VniavN7w==", "$type": "03"}, f'"{UUID}"'),
        ({"$binary": {"base64": "AA==", "subType": "00"}}, '{"$binary":{"base64":"AA==","subType":"00"}}'),
        ({"$binary": "AA==", "$type": "0"}, '{"$binary":"AA==","$type":"0"}'),
        ({"$numberInt": "3"}, "3"),
        ({"$numberLong": "9007199254740993"}, "9007199254740993"),
        ({"$numberDouble": "1.10"}, "1.10"),
        ({"$numberDecimal": "1.10"}, "1.10"),
        ({"$numberDecimal": "1.234567890123456789012345678901234E+5"}, "1.234567890123456789012345678901234E+5"),
        ({"$date": "2024-01-20T00:00:00.5Z"}, '"2024-01-20T00:00:00.500Z"'),
        ({"$date": "2024-01-20T00:00:00.123000Z"}, '"2024-01-20T00:00:00.123Z"'),
        ({"$date": "2024-01-20T01:30:00+01:30"}, '"2024-01-20T00:00:00.000Z"'),
        ({"$date": "2024-01-19T19:00:00.000-0500"}, '"2024-01-20T00:00:00.000Z"'),
        ({"$date": -1}, '"1969-12-31T23:59:59.999Z"'),
        ({"$date": {"$numberLong": "-62135596800000"}}, '"0001-01-01T00:00:00.000Z"'),
        ({"$oid": "a", "b": {"$oid": "c"}}, '{"$oid":"a","b":"c"}'),
        ({"$regularExpression": {"pattern": "a", "options": "i"}}, '{"$regularExpression":{"pattern":"a","options":"i"}}'),
        ({"$timestamp": {"t": 1, "i": 2}}, '{"$timestamp":{"t":1,"i":2}}'),
    ],
)
def test_an_object_of_mongodb_in_an_open_part_becomes_what_json_has_for_it(written: Any, expected: str) -> None:
    (item,) = good(lines(extended(notes=[{"a": written, "all": [written]}])))
    assert item.content == with_notes(f'{{"a":{expected},"all":[{expected}]}}')


def test_a_plain_number_in_extended_json_keeps_its_spelling() -> None:
    text = lines(extended())
    for number in ("1.10", "123456789012345678901234567890", "1E+5", "-0.0"):
        (item,) = good(with_notes(f'{{"n":{number}}}', text))
        assert item.content == with_notes(f'{{"n":{number}}}')


def test_the_types_of_bson_become_what_extended_json_makes_of_them() -> None:
    invoice = {
        "id": bson.ObjectId("507f1f77bcf86cd799439099"),
        "at": datetime(2024, 1, 20, tzinfo=UTC),
        "uuid": bson.Binary.from_uuid(UUID),
        "legacy": bson.Binary(UUID.bytes, 3),
        "long": bson.Int64(2**60),
        "double": 1.1,
        "decimal": bson.Decimal128("1.10"),
        "bytes": b"\0",
        "pattern": bson.Regex("a", "i"),
        "minimum": bson.MinKey(),
        "text": "ل ☀️",
        "none": None,
        "is": True,
    }
    (item,) = good(bson.encode(json_util.loads(json.dumps(extended())) | {"invoice": invoice}))
    assert value(item)["invoice"] == {
        "id": "507f1f77bcf86cd799439099",
        "at": "2024-01-20T00:00:00.000Z",
        "uuid": str(UUID),
        "legacy": str(UUID),
        "long": 2**60,
        "double": 1.1,
        "decimal": 1.1,
        "bytes": {"$binary": {"base64": "AA==", "subType": "00"}},
        "pattern": {"$regularExpression": {"pattern": "a", "options": "i"}},
        "minimum": {"$minKey": 1},
        "text": "ل ☀️",
        "none": None,
        "is": True,
    }
    assert b'"decimal":1.10,' in item.content


@pytest.mark.parametrize(
    "written",
    [
        {"$date": "2024-01-20T00:00:00.0001Z"}, {"$date": "2024-01-20"}, {"$date": "2024-02-30T00:00:00Z"},
        {"$date": "2024-02-30T00:00:00.000Z"}, {"$date": "2016-12-31T23:59:60Z"}, {"$date": "soon"}, {"$date": ""},
        {"$date": None}, {"$date": True}, {"$date": 1.5}, {"$date": []}, {"$date": {}}, {"$date": 10**17},
        {"$date": {"$numberLong": "x"}}, {"$date": "0001-01-01T00:00:00+01:00"}, {"$oid": 5}, {"$uuid": "x"}, {"$uuid": 5},
        {"$numberInt": "x"}, {"$numberDouble": "NaN"}, {"$numberDouble": "Infinity"}, {"$numberDouble": "1e400"},
        {"$numberDecimal": "9.99E+6144"}, {"$numberDouble": None}, {"$binary": {"base64": "AA==", "subType": "04"}},
        {"$binary": {"base64": "!", "subType": "03"}}, {"$binary": 5},
    ],
)  # fmt: skip
def test_an_object_of_mongodb_that_cannot_be_read_is_refused_with_its_place(written: Any) -> None:
    name = next(iter(written))
    assert bad(lines(extended(notes=[{}, {"at": written}]))).reason.startswith(
        f"notes[1].at holds a {name} that cannot be read: "
    )


@pytest.mark.parametrize("number", [float("nan"), float("inf"), bson.Decimal128("NaN"), bson.Decimal128("1E+400")])
def test_a_number_of_bson_that_json_lacks_is_refused(number: Any) -> None:
    content = bson.encode(json_util.loads(json.dumps(extended())) | {"invoice": {"total": number}})
    assert str(bad(content)).startswith("input: document 1: invoice.total holds a $number")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clientId": {"$oid": "a b"}}, "clientId must be an opaque identifier of 1 to 64"),
        ({"durationMinutes": {"$numberDouble": "1.5"}}, "durationMinutes must be a whole number, not 1.5"),
        ({"id": "other"}, "_id differs from id"),
        ({"_id": 5}, "_id must be a string, not a number"),
        ({"_id": {"$oid": 5}}, "_id holds a $oid that cannot be read: '5'"),
        ({"__version": 1}, "__version is not a property of a session"),
        ({"status": "x", "clientId": {"$oid": 5}},
         "clientId holds a $oid that cannot be read: '5'; status must be one of scheduled, in-progress, completed,"),
        ({"serviceIds": [{"$oid": "a"}]}, "serviceNames must be as many as serviceIds: 1, not 2"),
    ],
)  # fmt: skip
def test_a_misfit_is_told_by_the_names_of_the_input(changes: dict[str, Any], message: str) -> None:
    assert bad(lines(extended(**changes))).reason.startswith(message)


def test_a_missing_id_is_told_by_the_name_that_mongodb_gives_it() -> None:
    wrong = extended()
    del wrong["_id"]
    assert bad(lines(wrong)).reason == "_id is missing"
    del wrong["status"]
    assert bad(lines(wrong)).reason == "_id and status are missing"


@pytest.mark.parametrize("content", [b'{"$oid": "a"}', b'{"$date": {"$oid": "a"}}'])
def test_an_object_of_mongodb_alone_is_no_document(content: bytes) -> None:
    assert " is not a property of a session (did you mean " in bad(content).reason


@pytest.mark.parametrize("changes", [{"status": "x"}, {"date": {"$date": "x"}}])
def test_a_bad_document_of_mongodb_says_which_session_it_is_about(changes: dict[str, Any]) -> None:
    item = bad(lines(extended(**changes)))
    assert (item.workspace_id, item.session_id) == (DOCUMENTED_SESSION["workspaceId"], DOCUMENTED_SESSION["id"])


def test_a_bad_document_of_bson_is_set_aside_as_extended_json_that_can_be_imported() -> None:
    types = json_util.loads(json.dumps(extended(status="x", notes=[{"n": {"$numberDecimal": "1.10"}}])))
    (item,) = read(bson.encode(types))
    assert isinstance(item, BadDocument)
    assert item.text is not None
    (mended,) = good(item.text.replace(b'"x"', b'"scheduled"'))
    assert mended.content == with_notes('{"n":1.10}')


@pytest.mark.parametrize("levels", [254, 2_000])
def test_what_is_nested_too_deep_is_refused_in_bson_as_well(levels: int) -> None:
    deep = bson.encode({})
    for _ in range(levels):
        deep = bson.encode({"a": bson.raw_bson.RawBSONDocument(deep)})
    content = bson.encode(document(invoice=bson.raw_bson.RawBSONDocument(deep)))
    assert str(bad(content)) == "input: document 1: nests more than 254 levels"
