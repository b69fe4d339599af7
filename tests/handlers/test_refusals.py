"""Refusals: their order and their bodies."""

from typing import Any

import httpx
import pytest

from tests.conftest import WORKSPACE, ClientOf, Mint
from tests.response_bodies import require_valid_body

PATH = f"/v1/workspace/{WORKSPACE}/sessions"
OTHER = "507f191e810c19729de860ff"
FOREIGN = f"/v1/workspace/{OTHER}/sessions"


def is_problem(response: httpx.Response, status: int) -> dict[str, Any]:
    """The body of a problem that keeps every promise of the contract."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    require_valid_body(status, body)
    assert body["status"] == status
    assert body["title"] == response.reason_phrase
    if status == 400:
        assert body["errors"]
    elif status != 404:
        assert "errors" not in body
    if status in (401, 403):
        assert response.headers["www-authenticate"].startswith('Bearer realm="sessions"')
    return body


@pytest.fixture
def client(client_of: ClientOf, demo_url: str) -> Any:
    return client_of(demo_url)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    ("claims", "path", "query", "status"),
    [
        # Each row breaks everything from some step on; the first broken step decides.
        ({"exp": 1, "scope": "x", "workspaces": []}, f"/v1/workspace/{OTHER}/sessions", "nope=1", 401),
        ({"scope": "x", "workspaces": []}, f"/v1/workspace/{OTHER}/sessions", "nope=1", 403),
        ({"workspaces": []}, f"/v1/workspace/{OTHER}/sessions", "nope=1", 403),
        ({"workspaces": [OTHER]}, f"/v1/workspace/{OTHER}/sessions", "nope=1", 400),
        ({"workspaces": ["*"]}, "/v1/workspace/no id/sessions", "", 400),
        ({"workspaces": [OTHER]}, "/v1/workspace/no id/sessions", "", 403),
        ({"workspaces": [OTHER]}, f"/v1/workspace/{OTHER}/sessions", "", 404),
        ({}, PATH, "nope=1", 400),
        ({}, PATH, "", 200),
        ({"workspaces": ["*"]}, PATH, "", 200),
        ({"workspaces": ["*"]}, FOREIGN, "", 404),
        ({"workspaces": None, "workspaceId": WORKSPACE}, PATH, "", 200),
        ({"workspaces": None}, PATH, "", 403),
        ({"scope": None}, PATH, "", 403),
        ({"scope": None, "permissions": ["sessions.view"]}, PATH, "", 200),
        ({"scope": None, "scp": ["other", "sessions.view"]}, PATH, "", 200),
        ({"scope": "sessions.viewer sessions view"}, PATH, "", 403),
        ({"scope": "other sessions.view more"}, PATH, "", 200),
    ],
)
def test_the_first_step_that_refuses_decides_the_status(
    client: httpx.Client, mint: Mint, claims: dict[str, Any], path: str, query: str, status: int
) -> None:
    response = client.get(f"{path}?{query}", headers=bearer(mint(**claims)))
    if status == 200:
        assert response.status_code == 200
    else:
        is_problem(response, status)


def test_without_a_token_the_challenge_names_no_error(client: httpx.Client) -> None:
    response = client.get(PATH)
    assert is_problem(response, 401)["detail"] == "Send a token: Authorization: Bearer <token>."
    assert response.headers["www-authenticate"] == 'Bearer realm="sessions"'


def test_a_refusal_of_an_expired_token_says_so(client: httpx.Client, mint: Mint) -> None:
    response = client.get(PATH, headers=bearer(mint(exp=1)))
    assert is_problem(response, 401)["detail"] == "The token has expired."
    assert response.headers["www-authenticate"] == (
        'Bearer realm="sessions", error="invalid_token", error_description="The token has expired."'
    )


def test_a_missing_permission_is_named_in_the_challenge(client: httpx.Client, mint: Mint) -> None:
    response = client.get(PATH, headers=bearer(mint(scope="other")))
    is_problem(response, 403)
    assert 'error="insufficient_scope"' in response.headers["www-authenticate"]
    assert 'scope="sessions.view"' in response.headers["www-authenticate"]


def test_every_bad_parameter_is_named_in_one_400(client: httpx.Client, mint: Mint) -> None:
    response = client.get(f"{PATH}?clientID=1&status=Done&dateTo=x&serviceIds=", headers=bearer(mint()))
    body = is_problem(response, 400)
    assert body["detail"] == "4 parameters are not valid; see errors."
    assert {error["name"] for error in body["errors"]} == {"clientID", "status", "dateTo", "serviceIds"}


@pytest.mark.parametrize("query", ["clientId=" + "<script>" * 400, "status=" + "9" * 5000, "dateFrom=" + "%27" * 3000])
def test_values_of_a_request_are_not_sent_back(client: httpx.Client, mint: Mint, query: str) -> None:
    response = client.get(f"{PATH}?{query}", headers=bearer(mint()))
    is_problem(response, 400)
    assert len(response.content) < 500
    assert b"script" not in response.content


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY", "BREW"])
def test_another_method_is_405_with_a_complete_allow(client: httpx.Client, mint: Mint, method: str) -> None:
    response = client.request(method, PATH, headers=bearer(mint()))
    assert is_problem(response, 405)["detail"] == "This path supports GET and HEAD only."
    assert response.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "path",
    [
        "/v1",
        "/v1/workspace",
        f"/v1/workspace/{WORKSPACE}",
        f"/v1/workspace/{WORKSPACE}/Sessions",
        f"{PATH}/",
        f"{PATH}//",
        f"//v1/workspace/{WORKSPACE}/sessions",
        f"{PATH}/507f1f77bcf86cd799439011",
        f"/v1/workspace/{WORKSPACE}%2Fx/sessions",
        f"/v2/workspace/{WORKSPACE}/sessions",
        "/v1/workspace//sessions",
        "/favicon.ico",
        "/docs/swagger-ui.css/",
    ],
)
def test_a_path_that_is_not_in_the_contract_is_a_404_and_never_a_redirect(
    client: httpx.Client, mint: Mint, path: str
) -> None:
    response = client.get(
        httpx.URL("http://tests", raw_path=path.encode()), headers={**bearer(mint()), "Host": "evil.example"}
    )
    is_problem(response, 404)
    assert "location" not in response.headers


def test_a_head_request_gets_the_headers_of_the_get_and_no_body(client: httpx.Client, mint: Mint) -> None:
    headers = bearer(mint())
    get, head = client.get(PATH, headers=headers), client.head(PATH, headers=headers)
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers == get.headers
    refused = client.head(PATH)
    assert refused.status_code == 401
    assert refused.content == b""
    assert refused.headers["www-authenticate"] == 'Bearer realm="sessions"'


def test_problems_are_not_stored_by_caches(client: httpx.Client) -> None:
    assert client.get(PATH).headers["cache-control"] == "no-store"


def test_one_400_names_a_bad_cursor_beside_the_others(client: httpx.Client, mint: Mint) -> None:
    body = is_problem(client.get(f"{PATH}?limit=0&cursor=a.b", headers=bearer(mint())), 400)
    assert [error["name"] for error in body["errors"]] == ["limit", "cursor"]


def test_a_bad_header_is_named_with_the_rest(client: httpx.Client, mint: Mint) -> None:
    body = is_problem(client.get(f"{PATH}?limit=0", headers={**bearer(mint()), "If-None-Match": "x" * 8193}), 400)
    assert [(error["location"], error["name"]) for error in body["errors"]] == [
        ("query", "limit"),
        ("header", "If-None-Match"),
    ]


@pytest.mark.parametrize("cursor", ["a", "junk", "W10", "A" * 512])
def test_a_well_formed_cursor_that_names_no_page_is_404_and_named(client: httpx.Client, mint: Mint, cursor: str) -> None:
    body = is_problem(client.get(f"{PATH}?limit=1&cursor={cursor}", headers=bearer(mint())), 404)
    assert body["detail"] == "There is no such page; start again without cursor."
    assert [(error["location"], error["name"]) for error in body["errors"]] == [("query", "cursor")]


@pytest.mark.parametrize("query", ["status[]=scheduled", "serviceIds[]=a", "clientId[]=a", "limit[]=1", "dateFrom[gte]=x"])
def test_the_hint_for_a_bracketed_name_works_when_it_is_followed(client: httpx.Client, mint: Mint, query: str) -> None:
    body = is_problem(client.get(f"{PATH}?{query}", headers=bearer(mint())), 400)
    hint = body["errors"][0]["message"].partition("; write ")[2].removesuffix(" for several values")
    assert client.get(f"{PATH}?{hint}", headers=bearer(mint())).status_code == 200
