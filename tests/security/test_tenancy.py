"""Two tenants whose ids collide, in one database: neither sees anything of the other.

Which sessions a question finds, over any data, is the matter of `tests/handlers/test_list_sessions.py`; here the data stand
still, and the questions, the pages and the cursors vary.
"""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from db.demo import DOCUMENTED_SESSION
from db.queries import SessionQuery
from handlers.paging import write_cursor
from tests.conftest import ClientOf, Databases, Mint, Store

TENANTS = ["tenant", "tenant-2"]  # one name begins with the other
EMPTY, MISSING, FOREIGN = "tenant-empty", "tenant-missing", "tenant-foreign"
IDS = ["a", "b", "A", "-", "tenant", "tenant-2"]
STATUSES = ["scheduled", "in-progress", "completed", "cancelled"]
DAYS = [f"2024-01-{day:02}" for day in range(1, 6)]


def document(tenant: str, number: int) -> dict[str, Any]:
    """The same ids and nearly the same content for each tenant; every text for people says whose it is."""
    shift = number + TENANTS.index(tenant)
    services = [IDS[shift % 6], IDS[(shift // 2) % 6]]
    return {
        **DOCUMENTED_SESSION,
        "id": f"s{number}",
        "workspaceId": tenant,
        "clientId": IDS[shift % 6],
        "clientName": f"client of {tenant}",
        "staffId": IDS[(shift // 3) % 6],
        "staffName": f"staff of {tenant}",
        "serviceIds": services,
        "serviceNames": [f"service of {tenant}"] * 2,
        "name": f"session of {tenant}",
        "date": f"{DAYS[shift % 5]}T00:00:00.000Z",
        "updatedAt": f"{DAYS[(shift // 2) % 5]}T00:00:00.000Z",
        "status": STATUSES[shift % 4],
        "notes": [{"of": tenant}],
        "attachments": [{"of": tenant}],
        "fieldValues": [{"of": tenant}],
        "invoice": {"of": tenant},
    }


@pytest.fixture(scope="module")
def tenants(databases: Databases, store: Store, client_of: ClientOf) -> Iterator[TestClient]:
    """Both tenants in one database, on each engine."""
    url = databases.migrated()
    documents = [document(tenant, number) for tenant in TENANTS for number in range(16)]
    store(url, documents, workspaces=[*TENANTS, EMPTY, FOREIGN])
    return client_of(url)


questions = st.fixed_dictionaries(
    {},
    optional={
        "clientId": st.sampled_from([*IDS, "unknown"]),
        "serviceIds": st.lists(st.sampled_from(IDS), min_size=1, max_size=3).map(",".join),
        "dateFrom": st.sampled_from(DAYS),
        "dateTo": st.sampled_from(DAYS),
        "status": st.sampled_from(STATUSES),
        "staffId": st.sampled_from(IDS),
        "updatedSince": st.sampled_from(DAYS),
        "sort": st.sampled_from(["date", "-date", "updatedAt", "-updatedAt"]),
        "limit": st.integers(1, 20).map(str),
    },
)


def ask(client: httpx.Client, token: str, tenant: str, question: dict[str, str]) -> httpx.Response:
    return client.get(f"/v1/workspace/{tenant}/sessions", params=question, headers={"Authorization": f"Bearer {token}"})


def cursor_in(response: httpx.Response) -> str | None:
    found = re.search(r"cursor=([A-Za-z0-9_-]+)", response.headers.get("link", ""))
    return found and found[1]


def belongs_to(tenant: str, response: httpx.Response) -> bool:
    """Whether everything in an answer is the tenant's own: each session, and each text and object in it."""
    assert response.status_code == 200
    other = next(each for each in TENANTS if each != tenant)
    whose = {value for session in response.json()["sessions"] for value in texts_with_owner(session)}
    return whose <= {tenant} and f"of {other}".encode() + b'"' not in response.content


def texts_with_owner(session: dict[str, Any]) -> set[str]:
    names = [session["clientName"], session["staffName"], session["name"], *session["serviceNames"]]
    parts = [*session["notes"], *session["attachments"], *session["fieldValues"], session["invoice"]]
    return {session["workspaceId"], *(name.rpartition(" of ")[2] for name in names), *(part["of"] for part in parts)}


def test_the_tenants_hold_the_same_ids_and_the_test_can_tell_them_apart(tenants: TestClient, mint: Mint) -> None:
    one, two = (ask(tenants, mint(workspaces=TENANTS), tenant, {}) for tenant in TENANTS)
    for name in ("id", "clientId", "staffId"):
        assert {session[name] for session in one.json()["sessions"]} == {session[name] for session in two.json()["sessions"]}
    assert belongs_to(TENANTS[0], one)
    assert not belongs_to(TENANTS[0], two)


@settings(max_examples=30)
@given(asked=st.lists(questions, min_size=1, max_size=4), both=st.booleans())
def test_no_question_shows_anything_of_another_tenant_however_often_it_is_asked(
    tenants: TestClient, mint: Mint, asked: list[dict[str, str]], *, both: bool
) -> None:
    first: dict[tuple[int, str], bytes] = {}
    for _ in range(2):  # the second time, whatever is remembered by then
        for number, question in enumerate(asked):
            for tenant in TENANTS:
                token = mint(workspaces=TENANTS if both else [tenant])
                response = ask(tenants, token, tenant, question)
                assert belongs_to(tenant, response)
                assert first.setdefault((number, tenant), response.content) == response.content


@settings(max_examples=30)
@given(question=questions, limit=st.integers(2, 5))
def test_a_cursor_shows_nothing_of_another_tenant_wherever_it_was_taken_from(
    tenants: TestClient, mint: Mint, question: dict[str, str], limit: int
) -> None:
    question = {**question, "limit": str(limit)}
    own, other = TENANTS
    token = mint(workspaces=[own])
    theirs = cursor_in(ask(tenants, mint(workspaces=[other]), other, question))
    if theirs is not None:
        for tenant, status in [(own, 404), (EMPTY, 403), (MISSING, 403), (other, 403)]:
            assert ask(tenants, token, tenant, {**question, "cursor": theirs}).status_code == status

    met: list[str] = []
    turning: dict[str, str] | None = question
    while turning is not None:
        page = ask(tenants, token, own, turning)
        assert belongs_to(own, page)
        assert ask(tenants, token, own, turning).content == page.content
        met += [session["id"] for session in page.json()["sessions"]]
        cursor = cursor_in(page)
        turning = {**question, "cursor": cursor} if cursor else None
    whole = ask(tenants, token, own, {name: value for name, value in question.items() if name != "limit"})
    assert met == [session["id"] for session in whole.json()["sessions"]]


@settings(max_examples=25)
@given(day=st.sampled_from([*DAYS, "0001-01-01", "9999-12-31"]), number=st.integers(-1, 20), tenant=st.sampled_from(TENANTS))
def test_a_cursor_that_somebody_made_up_is_a_place_in_the_own_list_and_no_more(
    tenants: TestClient, mint: Mint, day: str, number: int, tenant: str
) -> None:
    # Cursors are not signed, so anybody can write the place of any session of any tenant into one.
    forged = write_cursor((f"{day}T00:00:00.000Z", "10:00", f"s{number}"), SessionQuery(tenant))
    response = ask(tenants, mint(workspaces=[tenant]), tenant, {"limit": "50", "cursor": forged})
    assert belongs_to(tenant, response)
    for stranger in (other for other in TENANTS if other != tenant):
        assert ask(tenants, mint(workspaces=[stranger]), tenant, {"limit": "50", "cursor": forged}).status_code == 403


@settings(max_examples=30)
@given(question=questions, holder=st.sampled_from([*TENANTS, EMPTY]), warm=st.booleans())
def test_a_foreign_workspace_is_refused_with_the_same_bytes_whatever_is_in_it_or_asked_of_it(
    tenants: TestClient, mint: Mint, question: dict[str, str], holder: str, *, warm: bool
) -> None:
    if warm:  # its own users have just asked the same
        for workspace in (*TENANTS, EMPTY):
            assert ask(tenants, mint(workspaces=[workspace]), workspace, question).status_code == 200
    token = mint(workspaces=[holder])
    foreign = [each for each in (*TENANTS, EMPTY, FOREIGN, MISSING, "no id", holder + "x", holder[:-1]) if each != holder]
    answers = [
        ask(tenants, token, workspace, {**question, **extra}) for workspace in foreign for extra in ({}, {"nope": "1"})
    ]
    assert {(answer.status_code, answer.content, tuple(answer.headers.raw)) for answer in answers} == {
        (403, answers[0].content, tuple(answers[0].headers.raw))
    }


@pytest.mark.parametrize("question", [{}, {"limit": "1"}, {"clientId": "a"}, {"dateFrom": "2024-01-03", "sort": "-date"}])
def test_a_validator_of_another_tenants_answer_is_none_of_mine(
    tenants: TestClient, mint: Mint, question: dict[str, str]
) -> None:
    own, other = TENANTS
    tag = ask(tenants, mint(workspaces=[other]), other, question).headers["etag"]
    headers = {"Authorization": f"Bearer {mint(workspaces=[own])}", "If-None-Match": tag}
    assert tenants.get(f"/v1/workspace/{own}/sessions", params=question, headers=headers).status_code == 200
    assert tenants.get(f"/v1/workspace/{other}/sessions", params=question, headers=headers).status_code == 403
