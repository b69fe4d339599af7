"""What a list holds: the documented response, the filters, and the order."""

import itertools
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db import demo
from db.demo import DOCUMENTED_SESSION, FIRST_WORKSPACE, SECOND_WORKSPACE
from openapi.contract import load
from tests.conftest import ClientOf, Mint, Store
from tests.handlers.queries import STATUSES, WORKSPACES, as_parameters, data_sets, expected, in_order, queries

PATH = f"/v1/workspace/{FIRST_WORKSPACE}/sessions"
DEMO = list(demo.documents())
FIRST = [document for document in DEMO if document["workspaceId"] == FIRST_WORKSPACE]


def ids(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [session["id"] for session in response.json()["sessions"]]


def test_the_documented_response_is_returned_field_for_field(client: httpx.Client) -> None:
    response = client.get(PATH, params={"dateTo": "2024-01-20"})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {"sessions": [DOCUMENTED_SESSION]}
    assert list(response.json()["sessions"][0]) == list(DOCUMENTED_SESSION)


def test_the_documented_session_is_the_first_of_the_demo_data(client: httpx.Client) -> None:
    assert client.get(PATH).json()["sessions"][0] == DOCUMENTED_SESSION


def test_the_examples_of_the_contract_together_find_the_documented_session(client: httpx.Client) -> None:
    # Swagger UI fills them in, so this is what a newcomer sees at the first try.
    parameters = load().document["components"]["parameters"].values()
    query = {each["name"]: each["example"] for each in parameters if each["in"] == "query" and "example" in each}
    assert client.get(PATH, params=as_parameters(query)).json()["sessions"][0] == DOCUMENTED_SESSION


def test_without_filters_the_list_is_everything_in_order(client: httpx.Client) -> None:
    assert client.get(PATH).json() == {"sessions": in_order(FIRST)}


def test_text_is_utf_8_and_never_escaped(client: httpx.Client) -> None:
    body = client.get(PATH).content
    assert "استشارة طبية".encode() in body
    assert "☀️".encode() in body
    assert b"\\u" not in body


def test_another_workspace_has_its_own_sessions(client: httpx.Client) -> None:
    second = [document for document in DEMO if document["workspaceId"] == SECOND_WORKSPACE]
    assert client.get(f"/v1/workspace/{SECOND_WORKSPACE}/sessions").json() == {"sessions": in_order(second)}


def test_a_filter_that_matches_nothing_is_an_empty_list(client: httpx.Client) -> None:
    for query in ("clientId=unknown", "serviceIds=unknown", "dateFrom=2030-01-01", "dateTo=1999-12-31"):
        assert client.get(f"{PATH}?{query}").json() == {"sessions": []}


def test_an_unknown_service_beside_a_known_one_changes_nothing(client: httpx.Client) -> None:
    known = DOCUMENTED_SESSION["serviceIds"][0]
    assert ids(client.get(f"{PATH}?serviceIds={known},unknown")) == ids(client.get(f"{PATH}?serviceIds={known}")) != []


def test_a_session_with_two_of_the_services_is_listed_once(client: httpx.Client) -> None:
    listed = ids(client.get(f"{PATH}?serviceIds={','.join(DOCUMENTED_SESSION['serviceIds'])}"))
    assert DOCUMENTED_SESSION["id"] in listed
    assert len(listed) == len(set(listed))


def test_services_are_matched_whole_and_not_by_their_beginnings(client: httpx.Client) -> None:
    assert ids(client.get(f"{PATH}?serviceIds={DOCUMENTED_SESSION['serviceIds'][0][:-1]}")) == []


def test_a_date_range_that_ends_before_it_begins_is_an_empty_list(client: httpx.Client) -> None:
    assert ids(client.get(f"{PATH}?dateFrom=2024-12-31&dateTo=2024-01-01")) == []


@pytest.mark.parametrize(
    ("query", "listed"),
    [
        ("dateFrom=2024-01-20T00:00:00Z&dateTo=2024-01-20T00:00:00Z", True),
        ("dateFrom=2024-01-20&dateTo=2024-01-20", True),
        ("dateTo=2024-01-19", False),
        ("dateTo=2024-01-19T23:59:59.999Z", False),
        ("dateTo=2024-01-19T23:59:59.9999Z", False),
        ("dateTo=2024-01-20T03:00:00%2B03:00", True),
        ("dateTo=2024-01-20T03:00:00+03:00", True),
        ("dateTo=2024-01-20T02:59:59%2B03:00", False),
        ("dateFrom=2024-01-20T00:00:00.0001Z&dateTo=2024-01-20", False),
        ("dateFrom=2024-01-20T00:00:00.001Z&dateTo=2024-01-20", False),
        ("dateFrom=2024-01-19T19:00:00-05:00&dateTo=2024-01-20", True),
        ("dateFrom=2024-01-20T00:00:00&dateTo=2024-01-20T00:00:00", True),
        ("dateFrom=0001-01-01T00:00:00%2B14:00&dateTo=2024-01-20", True),
        ("dateTo=0001-01-01T00:00:00%2B14:00", False),
        ("dateFrom=9999-12-31T23:59:59.999-14:00", False),
        ("dateFrom=2024-01-01&dateTo=9999-12-31T23:59:59.9999-14:00", True),
        ("dateFrom=2016-12-31T23:59:60Z&dateTo=2024-01-20", True),
    ],
)
def test_both_ends_of_a_date_range_are_inclusive_to_the_millisecond(
    client: httpx.Client, query: str, *, listed: bool
) -> None:
    assert (DOCUMENTED_SESSION["id"] in ids(client.get(f"{PATH}?{query}"))) is listed


def test_an_empty_workspace_is_an_empty_list(client_of: ClientOf, database_url: str, store: Store, mint: Mint) -> None:
    store(database_url, [], workspaces=["empty"])
    response = client_of(database_url).get(
        "/v1/workspace/empty/sessions", headers={"Authorization": f"Bearer {mint(workspaces=['empty'])}"}
    )
    assert response.json() == {"sessions": []}


def test_names_are_those_of_each_document_even_where_documents_disagree(
    client_of: ClientOf, database_url: str, store: Store, mint: Mint
) -> None:
    other = DOCUMENTED_SESSION | {"id": "other", "clientName": "Jane Doe", "staffName": "Dr. S.", "serviceNames": ["1", "2"]}
    store(database_url, [DOCUMENTED_SESSION, other])
    response = client_of(database_url).get(PATH, headers={"Authorization": f"Bearer {mint()}"})
    assert response.json() == {"sessions": [DOCUMENTED_SESSION, other]}


# ---- every filter, alone and combined, against plain Python ---------------------------------------------------------


FILTERS: dict[str, list[Any]] = {
    "clientId": [DOCUMENTED_SESSION["clientId"], FIRST[1]["clientId"]],
    "serviceIds": [DOCUMENTED_SESSION["serviceIds"], [FIRST[3]["serviceIds"][0], "unknown"]],
    "dateFrom": ["2024-01-20T00:00:00.000Z", "2024-03-01T00:00:00.000Z"],
    "dateTo": ["2024-02-15T00:00:00.000Z", "2024-04-30T00:00:00.000Z"],
    "status": STATUSES[:2],
    "staffId": [DOCUMENTED_SESSION["staffId"]],
    "updatedSince": ["2024-02-15T00:00:00.000Z"],
}


@pytest.mark.parametrize("names", [names for size in range(8) for names in itertools.combinations(FILTERS, size)])
def test_every_combination_of_filters_agrees_with_plain_python(client: httpx.Client, names: tuple[str, ...]) -> None:
    found = 0
    for values in itertools.product(*(FILTERS[name] for name in names)):
        query = dict(zip(names, values, strict=True))
        listed = ids(client.get(PATH, params=as_parameters(query)))
        assert listed == expected(FIRST, query)
        found += len(listed)
    assert found > 0 or len(names) > 2  # a filter that drops everything would agree with nothing


@settings(max_examples=60)
@given(documents=data_sets(), filters=st.lists(queries, min_size=1, max_size=8))
def test_any_query_of_any_data_agrees_with_plain_python_and_shows_no_other_workspace(
    client_of: ClientOf,
    oracle_url: str,
    store: Store,
    mint: Mint,
    documents: list[dict[str, Any]],
    filters: list[dict[str, Any]],
) -> None:
    store(oracle_url, documents, workspaces=WORKSPACES, fresh=True)
    client = client_of(oracle_url)
    for workspace_id in WORKSPACES:
        held = [document for document in documents if document["workspaceId"] == workspace_id]
        headers = {"Authorization": f"Bearer {mint(workspaces=[workspace_id])}"}
        for query in filters:
            response = client.get(f"/v1/workspace/{workspace_id}/sessions", params=as_parameters(query), headers=headers)
            assert ids(response) == expected(held, query)
