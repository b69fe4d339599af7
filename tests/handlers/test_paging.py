"""Pages: walking them meets every session once, in order, and a cursor holds a place and nothing else."""

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db import demo
from db.demo import DOCUMENTED_SESSION, FIRST_WORKSPACE
from tests.conftest import ClientOf, Mint, Store
from tests.handlers.queries import IDS, as_parameters, data_sets, expected, queries

PATH = f"/v1/workspace/{FIRST_WORKSPACE}/sessions"
FIRST = [document for document in demo.documents() if document["workspaceId"] == FIRST_WORKSPACE]
KEYS: dict[str, Callable[[dict[str, Any]], tuple[str, ...]]] = {
    "date": lambda document: (document["date"], document["startTime"], document["id"]),
    "updatedAt": lambda document: (document["updatedAt"], document["id"]),
}


def walk(client: httpx.Client, address: str, headers: dict[str, str] | None = None) -> Iterator[list[dict[str, Any]]]:
    """Follow the links from page to page."""
    while address:
        response = client.get(address, headers=headers)
        assert response.status_code == 200, response.text
        yield response.json()["sessions"]
        address = next_address(response)


def next_address(response: httpx.Response) -> str:
    """The address of the next page, resolved as RFC 3986 says; empty on the last page."""
    link = response.links.get("next", {}).get("url")
    return str(response.url.join(link)) if link else ""


def in_order(documents: list[dict[str, Any]], sort: str) -> list[dict[str, Any]]:
    return sorted(documents, key=KEYS[sort.lstrip("-")], reverse=sort.startswith("-"))


@pytest.mark.parametrize("sort", ["date", "-date", "updatedAt", "-updatedAt"])
@pytest.mark.parametrize("limit", [1, 7, 239, 240, 241, 1000])
def test_the_pages_together_are_the_whole_list_in_its_order(client: httpx.Client, sort: str, limit: int) -> None:
    pages = list(walk(client, f"{PATH}?sort={sort}&limit={limit}"))
    assert [session for page in pages for session in page] == in_order(FIRST, sort)
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert 0 < len(pages[-1]) <= limit


def test_a_page_has_the_body_of_any_list_and_a_link_in_its_headers(client: httpx.Client) -> None:
    response = client.get(f"{PATH}?limit=1&status=scheduled")
    assert response.json() == {"sessions": [DOCUMENTED_SESSION]}
    address = response.links["next"]["url"]
    assert address == f"?limit=1&status=scheduled&cursor={response.headers['next-cursor']}"


def test_the_last_page_and_a_whole_list_name_no_next_page(client: httpx.Client) -> None:
    for query in ("", "?limit=240"):
        headers = client.get(PATH + query).headers
        assert "link" not in headers
        assert "next-cursor" not in headers


def test_limit_may_change_from_page_to_page_and_be_left_out_at_the_end(client: httpx.Client) -> None:
    address = next_address(client.get(f"{PATH}?limit=3"))
    rest = client.get(address.replace("limit=3", "limit=5")).json()["sessions"]
    assert rest == in_order(FIRST, "date")[3:8]
    assert client.get(address.replace("limit=3&", "")).json()["sessions"] == in_order(FIRST, "date")[3:]


def test_a_link_replaces_the_cursor_however_its_name_was_written(client: httpx.Client) -> None:
    address = next_address(client.get(f"{PATH}?limit=3")).replace("cursor=", "%63ursor=")
    address = next_address(client.get(address))
    assert client.get(address).json()["sessions"] == in_order(FIRST, "date")[6:9]


@pytest.mark.parametrize(
    "limit", ["0", "-1", "1001", "1.0", "1e1", "0x10", "01", "+1", " 1", "1_0", "１", "", "a", "9" * 30]
)
def test_a_limit_that_is_not_a_whole_number_from_1_to_1000_is_refused(client: httpx.Client, limit: str) -> None:
    response = client.get(PATH, params={"limit": limit})
    assert response.status_code == 400
    assert response.json()["errors"] == [
        {"location": "query", "name": "limit", "message": "must be a whole number from 1 to 1000"}
    ]


@pytest.mark.parametrize("sort", ["name", "Date", "+date", "--date", "date,updatedAt", "updatedat", ""])
def test_another_order_than_those_of_the_contract_is_refused(client: httpx.Client, sort: str) -> None:
    response = client.get(PATH, params={"sort": sort})
    assert response.status_code == 400
    assert response.json()["errors"][0]["message"] == "must be one of date, -date, updatedAt, -updatedAt"


# ---- cursors --------------------------------------------------------------------------------------------------------


def cursor_of(client: httpx.Client, query: str = "limit=1") -> str:
    return client.get(f"{PATH}?{query}").headers["next-cursor"]


def encoded(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


NOT_FOUND = "names no page of this list; start again without it"


@pytest.mark.parametrize(
    "cursor",
    [
        "a",
        "junk",
        "A" * 512,
        encoded({}),
        encoded([]),
        encoded([1]),
        encoded("text"),
        encoded(None),
        encoded([1, "fingerprint", "x"]),
        encoded(["2", "fingerprint", "x"]),
        encoded([2, "fingerprint", 5]),
        encoded([2, "fingerprint", "\0"]),
        encoded([2, "fingerprint", "\ud800"]),
        encoded([2, "fingerprint", "2024-01-20T00:00:00.000Z", "10:00", "x"]),
        encoded([2, None, "x"]),
        base64.urlsafe_b64encode(b"[" * 380).decode().rstrip("="),
    ],
)
def test_a_well_formed_cursor_that_names_no_page_of_this_list_is_404(client: httpx.Client, cursor: str) -> None:
    response = client.get(PATH, params={"limit": 1, "cursor": cursor})
    assert response.status_code == 404
    assert [(error["name"], error["message"]) for error in response.json()["errors"]] == [("cursor", NOT_FOUND)]


@pytest.mark.parametrize("cursor", ["", "a b", "é", "A" * 513, "a=", "a+b"])
def test_a_malformed_cursor_is_400_and_named_with_every_other_error(client: httpx.Client, cursor: str) -> None:
    response = client.get(PATH, params={"limit": 0, "cursor": cursor})
    assert response.status_code == 400
    assert {error["name"] for error in response.json()["errors"]} == {"limit", "cursor"}


@pytest.mark.parametrize(
    "query",
    [
        "status=scheduled",
        "clientId=a",
        "staffId=a",
        "serviceIds=a",
        "dateFrom=2024-01-01",
        "dateTo=2024-01-01",
        "updatedSince=2024-01-01",
        "sort=-date",
        "sort=updatedAt",
    ],
)
def test_a_cursor_belongs_to_its_filters_and_its_order(client: httpx.Client, query: str) -> None:
    assert client.get(f"{PATH}?{query}&cursor={cursor_of(client)}").status_code == 404


def test_a_cursor_fits_the_same_filters_in_another_spelling(client: httpx.Client) -> None:
    cursor = cursor_of(client, "limit=1&dateFrom=2024-01-01T00:00:00Z")
    assert client.get(f"{PATH}?sort=date&dateFrom=2024-01-01&cursor={cursor}").status_code == 200


def test_a_cursor_opens_no_other_workspace(client: httpx.Client, mint: Mint) -> None:
    cursor = cursor_of(client)
    assert client.get(f"/v1/workspace/{demo.SECOND_WORKSPACE}/sessions?cursor={cursor}").status_code == 404
    stranger = {"Authorization": f"Bearer {mint(workspaces=['other'])}"}
    assert client.get(f"{PATH}?cursor={cursor}", headers=stranger).status_code == 403


# ---- pages of services -----------------------------------------------------------------------------------------------


def booked(number: int, *service_ids: str, **changes: Any) -> dict[str, Any]:
    names = {"serviceIds": list(service_ids), "serviceNames": [f"Service {id_}" for id_ in service_ids]}
    return DOCUMENTED_SESSION | {"workspaceId": "booked", "id": f"{number:02}"} | names | changes


BOOKED = [
    # At the same moment: their ids decide.
    *(booked(number, "a", "b") for number in range(5)),
    # For one service twice, and three times.
    booked(5, "a", "a", startTime="09:00"),
    booked(6, "b", "a", "b", "b", startTime="12:00"),
    # The same in other states.
    booked(7, "a", "b", status="completed"),
    booked(8, "b", status="cancelled", startTime="09:59"),
    booked(9, "a", "c", status="in-progress", date="2024-01-19T00:00:00.000Z"),
    booked(10, "c", date="2024-01-21T00:00:00.000Z"),
    booked(11, date="2024-01-20T12:00:00.000Z"),
]


@pytest.mark.parametrize("sort", ["date", "-date"])
@pytest.mark.parametrize("limit", [1, 2, 3, 11, 12])
def test_the_pages_of_services_meet_each_session_once_in_order(
    client_of: ClientOf, oracle_url: str, store: Store, mint: Mint, sort: str, limit: int
) -> None:
    store(oracle_url, BOOKED, workspaces=["booked"], fresh=True)
    client, headers = client_of(oracle_url), {"Authorization": f"Bearer {mint(workspaces=['booked'])}"}
    for services in (
        ["a"],
        ["c"],
        ["b", "a"],
        ["a", "a", "b", "a"],
        ["b", "unknown"],
        ["unknown"],
        ["a", *map(str, range(99))],
    ):
        address = f"/v1/workspace/booked/sessions?sort={sort}&limit={limit}&serviceIds={','.join(services)}"
        expected_sessions = [document for document in BOOKED if {*document["serviceIds"]} & {*services}]
        pages = list(walk(client, address, headers))
        met = [session["id"] for page in pages for session in page]
        assert met == [document["id"] for document in in_order(expected_sessions, sort)], services
        assert {len(page) for page in pages[:-1]} <= {limit}


@settings(max_examples=40)
@given(
    documents=data_sets(),
    filters=queries,
    service_ids=st.lists(st.sampled_from(IDS), min_size=1, max_size=4),
    sort=st.sampled_from(["date", "-date"]),
    limit=st.integers(1, 3),
)
def test_the_pages_of_any_query_of_services_agree_with_plain_python(
    client_of: ClientOf,
    oracle_url: str,
    store: Store,
    mint: Mint,
    documents: list[dict[str, Any]],
    filters: dict[str, Any],
    service_ids: list[str],
    sort: str,
    limit: int,
) -> None:
    store(oracle_url, documents, workspaces=["w1"], fresh=True)
    filters = filters | {"serviceIds": service_ids}
    query = httpx.QueryParams(as_parameters(filters) | {"sort": sort, "limit": str(limit)})
    headers = {"Authorization": f"Bearer {mint(workspaces=['w1'])}"}
    pages = walk(client_of(oracle_url), f"/v1/workspace/w1/sessions?{query}", headers)
    expected_sessions = expected([document for document in documents if document["workspaceId"] == "w1"], filters)
    assert [session["id"] for page in pages for session in page] == (
        expected_sessions[::-1] if sort == "-date" else expected_sessions
    )


# ---- pages while others write ---------------------------------------------------------------------------------------

IDS = [f"{number:02}" for number in range(30)]
DAYS = st.integers(1, 4).map(lambda day: f"2024-01-{day:02}T00:00:00.000Z")


def session(id_: str, day: str, changed: str) -> dict[str, Any]:
    return {**DOCUMENTED_SESSION, "workspaceId": "walked", "id": id_, "date": day, "updatedAt": changed}


@settings(max_examples=25)
@given(
    days=st.lists(st.tuples(DAYS, DAYS), min_size=3, max_size=15),
    sort=st.sampled_from(["date", "-date", "updatedAt", "-updatedAt"]),
    limit=st.integers(1, 5),
    writes=st.lists(st.tuples(st.integers(0, len(IDS) - 1), DAYS, DAYS), max_size=6),
)
def test_pages_have_every_unchanged_session_once_while_others_are_written(
    client_of: ClientOf,
    oracle_url: str,
    store: Store,
    mint: Mint,
    days: list[tuple[str, str]],
    sort: str,
    limit: int,
    writes: list[tuple[int, str, str]],
) -> None:
    documents = [session(id_, day, changed) for id_, (day, changed) in zip(IDS, days, strict=False)]
    store(oracle_url, documents, workspaces=["walked"], fresh=True)
    client, headers = client_of(oracle_url), {"Authorization": f"Bearer {mint(workspaces=['walked'])}"}
    met: list[str] = []
    pending = list(writes)
    for page in walk(client, f"/v1/workspace/walked/sessions?sort={sort}&limit={limit}", headers):
        met += [each["id"] for each in page]
        if pending:
            number, day, changed = pending.pop()
            store(oracle_url, [session(IDS[number], day, changed)])
    touched = {IDS[number] for number, _, _ in writes}
    untouched = [document for document in documents if document["id"] not in touched]
    assert [id_ for id_ in met if id_ not in touched] == [each["id"] for each in in_order(untouched, sort)]


def test_the_link_of_the_longest_query_fits_its_header_and_leads_on(
    client_of: ClientOf, database_url: str, store: Store, mint: Mint
) -> None:
    def spelled(text: str) -> str:
        return "".join(f"%{byte:02X}" for byte in text.encode())

    service_ids = [f"{number:0>64}" for number in range(100)]
    documents = [booked(number, service_ids[number]) for number in range(3)]
    store(database_url, documents)
    # Every byte percent-encoded is too long to be sent, so only the commas and the first identifiers are.
    query = "serviceIds=" + "%2C".join([*map(spelled, service_ids[:40]), *service_ids[40:]])
    query += (
        "&dateFrom=0001-01-01T00%3A00%3A00.0000000000000000000000000%2B00%3A00&dateTo=9999-12-31&status=scheduled&limit=1"
    )
    client, headers = client_of(database_url), {"Authorization": f"Bearer {mint(workspaces=['booked'])}"}
    met = []
    address = f"/v1/workspace/booked/sessions?{query}"
    while address:
        response = client.get(address, headers=headers)
        assert response.status_code == 200
        assert len(response.headers.get("link", "")) <= 8192
        met += [session["id"] for session in response.json()["sessions"]]
        address = next_address(response)
    assert met == [document["id"] for document in documents]
