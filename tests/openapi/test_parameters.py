"""From a query string to arguments, or to a refusal that names everything."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openapi.contract import load
from openapi.errors import InvalidParameters, ParameterError
from openapi.parameters import Header
from openapi.timestamps import Span, parse

PARAMETERS = load().operations["list_sessions"].parameters
PATH = {"workspaceId": "w1"}
ID = "must be an opaque identifier of 1 to 64 letters, digits, hyphens and underscores"
DATE = "must be an ISO 8601 date or date-time such as 2024-01-20T09:30:00Z"


def read(query: str | bytes) -> dict[str, Any]:
    raw = query if isinstance(query, bytes) else query.encode()
    return {name: value for name, value in PARAMETERS.read(PATH, raw, []).items() if name != "workspace_id"}


def refused(query: str | bytes, path: dict[str, str] = PATH, headers: Sequence[Header] = ()) -> list[ParameterError]:
    with pytest.raises(InvalidParameters) as refusal:
        PARAMETERS.read(path, query if isinstance(query, bytes) else query.encode(), headers)
    return list(refusal.value.errors)


def message(query: str | bytes) -> str:
    (error,) = refused(query)
    return error["message"]


@pytest.mark.parametrize(
    ("query", "arguments"),
    [
        ("", {}),
        ("&", {}),
        ("clientId=c1", {"client_id": "c1"}),
        ("clientId=%63%31", {"client_id": "c1"}),
        ("client%49d=c1", {"client_id": "c1"}),
        ("status=in-progress", {"status": "in-progress"}),
        ("serviceIds=a", {"service_ids": ("a",)}),
        ("serviceIds=a,b", {"service_ids": ("a", "b")}),
        ("serviceIds=a%2Cb", {"service_ids": ("a", "b")}),
        ("serviceIds=a%2cb,c", {"service_ids": ("a", "b", "c")}),
        ("serviceIds=a&serviceIds=b", {"service_ids": ("a", "b")}),
        ("serviceIds=a&status=scheduled&serviceIds=b,c", {"service_ids": ("a", "b", "c"), "status": "scheduled"}),
        ("dateFrom=2024-01-20", {"date_from": parse("2024-01-20")}),
        ("dateTo=2024-01-20T10:00:00%2B03:00", {"date_to": parse("2024-01-20T07:00:00Z")}),
        ("dateTo=2024-01-20T10:00:00+03:00", {"date_to": parse("2024-01-20T07:00:00Z")}),
        ("dateTo=2024-01-20T10%3A00%3A00", {"date_to": parse("2024-01-20T10:00:00Z")}),
        ("dateTo=2024-01-20T10:00:00%2B0300", {"date_to": parse("2024-01-20T07:00:00Z")}),
        ("dateTo=2024-01-20+10:00", {"date_to": parse("2024-01-20T10:00:00Z")}),
        ("dateTo=2024-01-20%2010:00:00+03", {"date_to": parse("2024-01-20T07:00:00Z")}),
        ("limit=1", {"limit": 1}),
        ("cursor=W10", {"cursor": "W10"}),
        ("limit=1000&sort=-updatedAt&staffId=s", {"limit": 1000, "sort": "-updatedAt", "staff_id": "s"}),
        ("updatedSince=2024-01-20", {"updated_since": parse("2024-01-20")}),
        ("dateFrom=2025-01-01&dateTo=2024-01-01", {"date_from": parse("2025-01-01"), "date_to": parse("2024-01-01")}),
    ],
)
def test_what_the_contract_allows_becomes_arguments(query: str, arguments: dict[str, Any]) -> None:
    assert read(query) == arguments


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("clientId=", ID),
        ("clientId", ID),
        ("clientId=a b", ID),
        ("clientId=a+b", ID),
        ("clientId=a%00", ID),
        ("clientId=a%0A", ID),
        ("clientId=" + "a" * 65, ID),
        ("clientId=%D8%B3", ID),
        ("clientId=%zz", "must be percent-encoded UTF-8"),
        ("clientId=null%20", ID),
        ("clientId=%ff", "must be percent-encoded UTF-8"),
        (b"clientId=\xff", "must be percent-encoded UTF-8"),
        ("clientId=%ED%A0%80", "must be percent-encoded UTF-8"),
        ("clientId=a&clientId=b", "must be given once"),
        ("clientId=a&clientId=a&client%49d=a", "must be given once"),
        ("status=Scheduled", "must be one of scheduled, in-progress, completed, cancelled"),
        ("status=scheduled,completed", "must be one of scheduled, in-progress, completed, cancelled"),
        ("serviceIds=", "must not be empty; leave it out to ask for all, or separate values with commas"),
        ("serviceIds", "must not be empty; leave it out to ask for all, or separate values with commas"),
        ("serviceIds=,", f"holds value 1, which {ID}"),
        ("serviceIds=a,,b", f"holds value 2, which {ID}"),
        ("serviceIds=a,", f"holds value 2, which {ID}"),
        ("serviceIds=a&serviceIds=", f"holds value 2, which {ID}"),
        ("serviceIds=a, b", f"holds value 2, which {ID}"),
        ("serviceIds=a;b", f"holds value 1, which {ID}"),
        ("serviceIds=[a]", f"holds value 1, which {ID}"),
        ("serviceIds=" + ",".join(["a"] * 101), "must hold at most 100 values"),
        ("dateFrom=", DATE),
        ("dateFrom=yesterday", DATE),
        ("dateTo=2024-02-30", DATE),
        ("dateTo=2024-01-20&dateTo=2024-01-21", "must be given once"),
    ],
)
def test_what_the_contract_forbids_is_refused_with_a_message(query: str | bytes, expected: str) -> None:
    assert message(query) == expected


@pytest.mark.parametrize(
    ("query", "hint"),
    [
        ("clientID=a", "; did you mean clientId?"),
        ("client_id=a", "; did you mean clientId?"),
        ("clientid", "; did you mean clientId?"),
        ("serviceId=a", "; did you mean serviceIds?"),
        ("serviceIds[]=a", "; write serviceIds=a,b for several values"),
        ("serviceIds%5B0%5D=a", "; write serviceIds=a,b for several values"),
        ("ServiceIDs[]=a", "; did you mean serviceIds?"),
        ("status[]=scheduled", "; write status=scheduled"),
        ("status%5Bin%5D=scheduled", "; write status=scheduled"),
        ("clientId[]=a", "; write clientId=507f1f77bcf86cd799439012"),
        ("limit[]=10", "; write limit=100"),
        ("dateFrom[gte]=2024-01-20", "; write dateFrom=2024-01-01T00:00:00Z"),
        ("cursor[]=W10", "; write cursor without brackets"),
        ("if-none-match=x", ""),
        ("date_from=x", "; did you mean dateFrom?"),
        ("Status=scheduled", "; did you mean status?"),
        ("workspaceId=w1", ""),
        ("page=2", ""),
        ("=a", ""),
        ("%00=a", ""),
        ("%ff=a", ""),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_one(query: str, hint: str) -> None:
    assert message(query) == "is not a parameter of this request" + hint


def test_a_very_long_unknown_name_is_shortened() -> None:
    (error,) = refused("a" * 5000)
    assert error["name"] == "a" * 99 + "…"


def test_every_bad_parameter_is_named_at_once() -> None:
    query = "clientID=a&status=Done&dateFrom=x&dateTo=1&serviceIds=&limit=0&cursor=a.b"
    errors = refused(query, {"workspaceId": "no id"}, [(b"if-none-match", b"x" * 8193)])
    assert {(error["location"], error["name"]) for error in errors} == {
        ("path", "workspaceId"),
        ("query", "clientID"),
        ("query", "status"),
        ("query", "dateFrom"),
        ("query", "dateTo"),
        ("query", "serviceIds"),
        ("query", "limit"),
        ("query", "cursor"),
        ("header", "If-None-Match"),
    }


def test_a_flood_of_unknown_names_is_refused_with_fewer_errors_than_the_contract_allows() -> None:
    known = "&".join(
        f"{name}=" for name in ("clientId", "status", "dateFrom", "dateTo", "sort", "limit", "cursor", "staffId")
    )
    errors = refused(f"{known}&" + "&".join(f"x{number}" for number in range(5000)))
    assert len(errors) == 50 + 8
    assert len(errors) < load().schemas["Problem"]["properties"]["errors"]["maxItems"]


def test_a_suggestion_is_made_for_three_names_of_at_most_forty_characters() -> None:
    for letters, hint in ("ABC", True), ("ABCE", False):
        errors = refused("&".join(f"clientI{letter}=a" for letter in letters))
        assert {error["message"].endswith("did you mean clientId?") for error in errors} == {hint}
    assert message("serviceIds" + "s" * 31) == "is not a parameter of this request"


@pytest.mark.parametrize("value", [b"", b"*", b"junk", b'W/"', b"\xff\xfe", b",,,", b"x" * 8192])
def test_an_odd_header_is_accepted_if_it_fits_its_schema(value: bytes) -> None:
    assert PARAMETERS.read(PATH, b"", [(b"if-none-match", value)]) == {"workspace_id": "w1"}


def test_every_name_that_differs_in_case_and_separators_alone_is_recognised() -> None:
    names = ["client_id", "service-ids", "date.from", "DATE_TO", "Status", "staff_id", "updated_since", "SORT", "Limit"]
    assert all("; did you mean " in error["message"] for error in refused("&".join(f"{name}=a" for name in names)))


def test_a_header_that_breaks_its_schema_is_named() -> None:
    expected = {
        "location": "header",
        "name": "If-None-Match",
        "message": "must be a list of entity tags of at most 8,192 characters",
    }
    assert refused("", headers=[(b"if-none-match", b"x" * 8193)]) == [expected]
    # Several lines of a header are one list.
    assert refused("", headers=[(b"if-none-match", b"x" * 8000)] * 2) == [expected]


def test_headers_are_no_arguments_of_the_handler() -> None:
    assert "if_none_match" not in PARAMETERS.arguments
    assert PARAMETERS.read(PATH, b"", [(b"if-none-match", b"*"), (b"x-other", b"y")]) == {"workspace_id": "w1"}


@given(st.lists(st.text("abcXYZ019_-", min_size=1, max_size=64), min_size=1, max_size=100), st.data())
def test_commas_encoded_commas_and_repeated_keys_mean_the_same(ids: list[str], data: st.DataObject) -> None:
    query = "serviceIds=" + ids[0]
    for each in ids[1:]:
        query += data.draw(st.sampled_from([",", "%2C", "%2c", "&serviceIds="])) + each
    assert read(query) == {"service_ids": tuple(ids)}


@given(st.binary(max_size=200))
def test_any_query_string_is_read_or_refused(query: bytes) -> None:
    with suppress(InvalidParameters):
        arguments = read(query)
        assert set(arguments) <= set(PARAMETERS.arguments)
        return
    errors = refused(query)
    assert errors
    assert all(len(error["name"]) <= 128 and len(error["message"]) <= 1024 for error in errors)


@given(st.datetimes())
def test_any_date_time_that_python_writes_is_understood(moment: Any) -> None:
    assert isinstance(read(f"dateFrom={moment.isoformat(timespec='microseconds')}")["date_from"], Span)
