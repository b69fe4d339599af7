"""What a list holds: the documented response, the filters, and the order."""

import itertools
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db import demo
from db.demo import DOCUMENTED_SESSION, FIRST_WORKSPACE, SECOND_WORKSPACE
from openapi import timestamps
from openapi.contract import load
from tests.conftest import ClientOf, Mint, Store

PATH = f"/v1/workspace/{FIRST_WORKSPACE}/sessions"
DEMO = list(demo.documents())
FIRST = [document for document in DEMO if document["workspaceId"] == FIRST_WORKSPACE]
STATUSES = ["scheduled", "in-progress", "completed", "cancelled"]


def ids(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [session["id"] for session in response.json()["sessions"]]


def in_order(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(documents, key=lambda document: (document["date"], document["startTime"], document["id"]))


def test_the_documented_answer_is_returned_field_for_field(client: httpx.Client) -> None:
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
    question = {each["name"]: each["example"] for each in parameters if each["in"] == "query" and "example" in each}
    assert client.get(PATH, params=as_query(question)).json()["sessions"][0] == DOCUMENTED_SESSION


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


def test_a_date_range_that_ends_before_it_begins_is_a_valid_question_with_an_empty_answer(client: httpx.Client) -> None:
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


def expected(documents: list[dict[str, Any]], query: dict[str, Any]) -> list[str]:
    """The ids that a question should give, worked out without the program's own code."""

    def passes(document: dict[str, Any]) -> bool:
        return (
            ("clientId" not in query or document["clientId"] == query["clientId"])
            and ("serviceIds" not in query or bool(set(document["serviceIds"]) & set(query["serviceIds"])))
            and ("dateFrom" not in query or document["date"] >= query["dateFrom"])
            and ("dateTo" not in query or document["date"] <= query["dateTo"])
            and ("status" not in query or document["status"] == query["status"])
            and ("staffId" not in query or document["staffId"] == query["staffId"])
            and ("updatedSince" not in query or document["updatedAt"] >= query["updatedSince"])
        )

    return [document["id"] for document in in_order(documents) if passes(document)]


def as_query(question: dict[str, Any]) -> dict[str, str]:
    return {name: ",".join(value) if isinstance(value, list) else value for name, value in question.items()}


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
        question = dict(zip(names, values, strict=True))
        listed = ids(client.get(PATH, params=as_query(question)))
        assert listed == expected(FIRST, question)
        found += len(listed)
    assert found > 0 or len(names) > 2  # a filter that drops everything would agree with nothing


WORKSPACES = ["w1", "w2"]
IDS = ["a", "b", "c", "A", "_", "-", "0" * 64]
MOMENTS = st.integers(-5, 5).map(lambda hours: timestamps.write(1_705_708_800_000 + hours * 3_600_000))
TIMES = st.sampled_from(["00:00", "09:30", "10:00", "23:59"])


def document(workspace_id: str, session_id: str, draw: Any) -> dict[str, Any]:
    services = draw(st.lists(st.sampled_from(IDS), max_size=3))
    return {
        **DOCUMENTED_SESSION,
        "id": session_id,
        "workspaceId": workspace_id,
        "clientId": draw(st.sampled_from(IDS)),
        "staffId": draw(st.sampled_from(IDS)),
        "serviceIds": services,
        "serviceNames": [f"service {service}" for service in services],
        "date": draw(MOMENTS),
        "startTime": draw(TIMES),
        "status": draw(st.sampled_from(STATUSES)),
        "updatedAt": draw(MOMENTS),
    }


@st.composite
def data_sets(draw: Any) -> list[dict[str, Any]]:
    """Sessions of two workspaces whose ids collide."""
    keys = draw(st.lists(st.tuples(st.sampled_from(WORKSPACES), st.sampled_from(IDS)), unique=True))
    return [document(workspace_id, session_id, draw) for workspace_id, session_id in keys]


questions = st.fixed_dictionaries(
    {},
    optional={
        "clientId": st.sampled_from(IDS),
        "serviceIds": st.lists(st.sampled_from(IDS), min_size=1, max_size=4),
        "dateFrom": MOMENTS,
        "dateTo": MOMENTS,
        "status": st.sampled_from(STATUSES),
        "staffId": st.sampled_from(IDS),
        "updatedSince": MOMENTS,
    },
)


@settings(max_examples=60)
@given(documents=data_sets(), asked=st.lists(questions, min_size=1, max_size=8))
def test_any_question_about_any_data_agrees_with_plain_python_and_shows_no_other_workspace(
    client_of: ClientOf,
    oracle_url: str,
    store: Store,
    mint: Mint,
    documents: list[dict[str, Any]],
    asked: list[dict[str, Any]],
) -> None:
    store(oracle_url, documents, workspaces=WORKSPACES, fresh=True)
    client = client_of(oracle_url)
    for workspace_id in WORKSPACES:
        held = [document for document in documents if document["workspaceId"] == workspace_id]
        headers = {"Authorization": f"Bearer {mint(workspaces=[workspace_id])}"}
        for question in asked:
            response = client.get(f"/v1/workspace/{workspace_id}/sessions", params=as_query(question), headers=headers)
            assert ids(response) == expected(held, question)
