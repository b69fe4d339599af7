"""Documents in the contract's shape: the canonical form, what is refused, and in which words."""

import json
import random
from typing import Any

import pytest

from db.demo import DOCUMENTED_SESSION
from db.imports.documents import MAX_DEPTH
from openapi.json import encode
from tests.db.imports.reading import bad, document, good, lines, read, with_notes

CANONICAL = encode(DOCUMENTED_SESSION)
NUMBERS = [
    "0", "-0", "-1", "9007199254740993", "9223372036854775808", "18446744073709551616", "123456789012345678901234567890",
    "9" * 308, "0.1", "1.10", "1.0", "-0.0", "1E+5", "1e5", "1e-400", "1e-9999999999999999999",
    "0.1234567890123456789012345678901234567890",
]  # fmt: skip


def content(text: bytes) -> bytes:
    (item,) = good(text)
    return item.content


def test_what_is_canonical_stays_as_it_is() -> None:
    for each in (CANONICAL, with_notes('{"نص":"☀️ \\" \\n\\u0001","n":[1.10,{}]}')):
        assert content(each) == each


def test_members_are_put_into_the_order_of_the_contract_and_open_parts_keep_theirs() -> None:
    members = list(document(invoice={"z": 1.10, "a": {"c": 1, "b": 2}}).items())
    expected = encode(dict(members))
    random.Random(1).shuffle(members)  # noqa: S311 - an order, not a secret
    assert content(encode(dict(members))) == expected


def test_space_and_escapes_are_left_out_and_mean_the_same() -> None:
    spaced = json.dumps(
        document(clientName='سارة "☀️" \\ /', notes=[{"نص": "a  b\t\n\u2028", "": [1, 2]}]), indent=3
    ).encode()
    assert b"\\u" in spaced
    assert content(spaced) == encode(json.loads(spaced))
    assert content(with_notes(r'{ "\u0061" : "\/\u00e9\ud83d\ude00\u001f" }')) == with_notes(r'{"a":"/é😀\u001f"}')
    assert content(CANONICAL.replace(b'"notes"', rb'"\u006eotes"')) == CANONICAL


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_in_an_open_part_keeps_its_spelling(number: str) -> None:
    assert content(with_notes(f'{{"n": [ {number},"1e400" ]}}')) == with_notes(f'{{"n":[{number},"1e400"]}}')


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("1e400", "holds a number that is larger than a double can be"),
        ("-1e400", "holds a number that is larger than a double can be"),
        ("9" * 5000, "holds a number that is larger than a double can be"),
        ("NaN", "is not JSON: unexpected character, expected a JSON value"),
        ("Infinity", "is not JSON: unexpected character, expected a JSON value"),
    ],
)
def test_a_number_that_readers_cannot_hold_is_refused(number: str, reason: str) -> None:
    assert bad(with_notes(f'{{"n": {number}}}')).reason.startswith(reason)


def nested(levels: int) -> Any:
    value: Any = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


def test_nesting_is_kept_up_to_the_limit_and_refused_beyond() -> None:
    deepest = lines(document(invoice=nested(MAX_DEPTH - 1)))
    assert content(deepest.replace(b":{", b": {")) == deepest
    for levels in (MAX_DEPTH, 2_000, 200_000):
        deeper = CANONICAL.replace(b"null", b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1))
        for text in (deeper, b"[" + deeper + b"]"):
            assert bad(text).reason == f"nests more than {MAX_DEPTH} levels"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CANONICAL.replace(b'"id"', b'"id":"1","id"'), "has 'id' twice in one object"),
        (with_notes(r'{"a":{"b":1,"\u0062":2}}'), "has 'b' twice in one object"),
        (with_notes(r'{"a":1,"a":"\u0022\u0022"}'), "has 'a' twice in one object"),
    ],
)
def test_a_name_that_stands_twice_in_an_object_is_refused(text: bytes, message: str) -> None:
    item = bad(text)
    assert (item.reason, item.workspace_id, item.session_id) == (message, None, None)


def test_quotation_marks_in_texts_are_not_taken_for_names() -> None:
    text = with_notes(r'{"\"":"\"\"","a":"\\\"","b":"\\\\u0000"}').replace(b'"John Doe"', rb'"\"John\" Doe"')
    assert content(text.replace(rb'"\"John', rb'"\u0022John')) == text


@pytest.mark.parametrize("text", [r'{"a":"\u0000"}', r'{"a":["\\\u0000"]}', r'{"\u0000":1}'])
def test_the_nul_character_is_refused(text: str) -> None:
    assert bad(with_notes(text)).reason == "notes holds the NUL character, which PostgreSQL cannot store"


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("2024-01-20T00:00:00Z", "2024-01-20T00:00:00.000Z"),
        ("2024-01-20t00:00:00.5z", "2024-01-20T00:00:00.500Z"),
        ("2024-01-20T00:00:00.123000Z", "2024-01-20T00:00:00.123Z"),
        ("2024-01-20T00:00:00+00:00", "2024-01-20T00:00:00.000Z"),
        ("2024-01-20T00:00:00+0000", "2024-01-20T00:00:00.000Z"),
    ],
)
def test_another_spelling_of_the_same_moment_in_utc_becomes_the_canonical_one(written: str, canonical: str) -> None:
    for name in ("date", "createdAt", "updatedAt"):
        assert content(lines(document(**{name: written}))) == lines(document(**{name: canonical}))


FORM = "must be a date-time in UTC such as 2024-01-20T00:00:00.000Z, not "


@pytest.mark.parametrize(
    ("moment", "message"),
    [
        ("2024-01-20", FORM + "'2024-01-20'"),
        ("2024-01-20T00:00:00", FORM + "'2024-01-20T00:00:00'"),
        ("2024-01-20 00:00:00Z", FORM + "'2024-01-20 00:00:00Z'"),
        ("", FORM + "''"),
        ("2024-01-20T00:00:00+03:00",
         "must be in UTC; the same moment is 2024-01-19T21:00:00.000Z, not '2024-01-20T00:00:00+03:00'"),
        ("2024-01-20T00:00:00.0001Z", "must be a whole millisecond, not '2024-01-20T00:00:00.0001Z'"),
        ("2016-12-31T23:59:60Z", "must be a whole millisecond, not '2016-12-31T23:59:60Z'"),
        ("2024-02-30T00:00:00.000Z", "names a day or a time that does not exist: '2024-02-30T00:00:00.000Z'"),
        ("2024-02-30T00:00:00Z", "names a day or a time that does not exist: '2024-02-30T00:00:00Z'"),
        ("2024-01-20T24:00:00.000Z", "names a day or a time that does not exist: '2024-01-20T24:00:00.000Z'"),
        ("2024-01-20T00:60:00.000Z", "names a day or a time that does not exist: '2024-01-20T00:60:00.000Z'"),
        ("2024-01-20T00:00:60.000Z", "names a day or a time that does not exist: '2024-01-20T00:00:60.000Z'"),
        ("0000-01-01T00:00:00.000Z", "names a day or a time that does not exist: '0000-01-01T00:00:00.000Z'"),
        (5, "must be a string, not a number"),
    ],
)  # fmt: skip
def test_a_moment_that_could_be_misread_is_refused(moment: Any, message: str) -> None:
    for name in ("date", "createdAt", "updatedAt"):
        assert bad(lines(document(**{name: moment}))).reason == f"{name} {message}"


def test_whole_minutes_may_be_written_as_a_double() -> None:
    assert content(CANONICAL.replace(b":90,", b":90.0,")) == CANONICAL
    assert content(CANONICAL.replace(b":90,", b": 9e1 ,")) == CANONICAL


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"zzz": 1}, "zzz is not a property of a session"),
        ({"id": 5}, "id must be a string, not a number"),
        ({"id": ""}, "id must be an opaque identifier of 1 to 64 letters, digits, hyphens and underscores, not ''"),
        ({"id": "x" * 65}, "id must have at most 64 characters, not 65"),
        ({"clientId": "a b"}, "clientId must be an opaque identifier of 1 to 64 letters, digits"),
        ({"clientName": None}, "clientName must be a string, not null"),
        ({"name": "a\0b"}, "name holds the NUL character, which PostgreSQL cannot store"),
        ({"name": "😀" * 1001}, "name must have at most 1000 characters, not 1001"),
        ({"serviceIds": "a"}, "serviceIds must be an array, not a string"),
        ({"serviceIds": ["a", 1]}, "serviceIds[1] must be a string, not a number"),
        ({"serviceNames": ["a"]}, "serviceNames must be as many as serviceIds: 2, not 1"),
        ({"serviceNames": ["a", "b", "c"]}, "serviceNames must be as many as serviceIds: 2, not 3"),
        ({"startTime": "24:00"}, "startTime must be a wall-clock time, hours and minutes, 00:00 to 23:59, not '24:00'"),
        ({"durationMinutes": "90"}, "durationMinutes must be a whole number, not a string"),
        ({"durationMinutes": 90.5}, "durationMinutes must be a whole number, not 90.5"),
        ({"durationMinutes": True}, "durationMinutes must be a whole number, not true or false"),
        ({"durationMinutes": -1}, "durationMinutes must be from 0 to 525600, not -1"),
        ({"status": "done"}, "status must be one of scheduled, in-progress, completed, cancelled, not 'done'"),
        ({"notes": {}}, "notes must be an array, not an object"),
        ({"notes": [{}, "x"]}, "notes[1] must be an object, not a string"),
        ({"fieldValues": [{}] * 10_001}, "fieldValues must have at most 10000 items, not 10001"),
        ({"invoice": []}, "invoice must be an object or null, not an array"),
    ],
)
def test_a_misfit_is_told_by_its_member_and_what_would_be_right(changes: dict[str, Any], message: str) -> None:
    item = bad(lines(document(**changes)))
    assert str(item).startswith(f"input:1: {message}")
    assert ";" not in item.reason


@pytest.mark.parametrize("name", list(DOCUMENTED_SESSION))
def test_every_property_is_required(name: str) -> None:
    assert bad(lines({other: value for other, value in document().items() if other != name})).reason == f"{name} is missing"


def test_all_problems_of_a_document_stand_in_one_line() -> None:
    wrong = document(startTime="9:00", status="x", date="2024-01-20", notes=[{}, 1, 2], zzz=1)
    wrong["clientID"] = wrong.pop("clientId")
    del wrong["staffId"]
    assert str(bad(lines(wrong))) == (
        "input:1: zzz is not a property of a session; clientID is not a property of a session (did you mean clientId?); "
        "staffId is missing; date must be a date-time in UTC such as 2024-01-20T00:00:00.000Z, not '2024-01-20'; "
        "startTime must be a wall-clock time, hours and minutes, 00:00 to 23:59, not '9:00'; "
        "status must be one of scheduled, in-progress, completed, cancelled, not 'x'; "
        "notes[1] must be an object, not a number; notes[2] must be an object, not a number"
    )
    names = list(DOCUMENTED_SESSION)
    assert bad(b'{"z":1}').reason == f"z is not a property of a session; {', '.join(names[:-1])} and updatedAt are missing"
    assert bad(lines(document(notes=[1] * 20))).reason.endswith("; notes[9] must be an object, not a number; and 10 more")


@pytest.mark.parametrize("changes", [{"status": "\x1b[2J\u202e" * 1000}, {"\x1b[2J" * 1000: 1}])
def test_a_message_is_short_and_steers_no_terminal(changes: dict[str, Any]) -> None:
    message = str(bad(lines(document(**changes))))
    assert message.isprintable()
    assert len(message) < 200


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (lines(document(status="x")), (DOCUMENTED_SESSION["workspaceId"], DOCUMENTED_SESSION["id"])),
        (lines(document(id="a b")), (None, None)),
        (lines(document(id=["a"])), (None, None)),
        (lines(document(workspaceId=None)), (None, None)),
        (CANONICAL[:-1], (None, None)),
        (b"{}", (None, None)),
        (b"5", (None, None)),
    ],
)
def test_a_bad_document_says_which_session_it_is_about_where_it_can(text: bytes, named: tuple[str, str]) -> None:
    item = bad(text)
    assert (item.workspace_id, item.session_id) == named


def test_a_document_of_the_contract_keeps_what_looks_like_extended_json_in_its_open_parts() -> None:
    text = with_notes('{"$date":"soon"},{"_id":{"$oid":5},"__v":{"$numberInt":"0"}}')
    (item,) = read(text)
    assert item == good(text)[0]
    assert content(text) == text
