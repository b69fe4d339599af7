"""Authentication and authorization: how a token is sent, and what it permits."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from handlers.security import AccessRefused, authorize, bearer_token
from handlers.tokens import (
    Claims,
    TokenRefused,
)
from openapi.contract import Operation, load
from openapi.errors import ContractError
from openapi.parameters import compile_parameters
from tests.conftest import WORKSPACE, ClientOf, Mint, Store

# How a token is sent -------------------------------------------------------------------------------------------------------

NO_CREDENTIALS = 'Bearer realm="sessions"'
TWO_HEADERS = (
    'Bearer realm="sessions", error="invalid_request",'
    ' error_description="There is more than one Authorization header; send one."'
)
NOT_ONE_TOKEN = (
    'Bearer realm="sessions", error="invalid_request",'
    ' error_description="Send one token after Bearer: Authorization: Bearer <token>."'
)


@pytest.mark.parametrize(
    "value",
    [
        b"Bearer a.b.c",
        b"bearer a.b.c",
        b"BEARER a.b.c",
        b"bEaReR a.b.c",
        b"Bearer  a.b.c",
        b" Bearer a.b.c \t",
        b"Bearer \ta.b.c",
    ],
)
def test_the_token_follows_the_scheme_in_any_case(value: bytes) -> None:
    # RFC 9110, section 11.1: the scheme is case-insensitive.
    assert bearer_token([(b"host", b"tests"), (b"authorization", value)]) == "a.b.c"


@pytest.mark.parametrize(
    ("sent", "challenge"),
    [
        ([], NO_CREDENTIALS),
        ([b""], NO_CREDENTIALS),
        ([b" "], NO_CREDENTIALS),
        ([b"a.b.c"], NO_CREDENTIALS),
        ([b"Basic dTpw"], NO_CREDENTIALS),
        ([b"Digest username=u"], NO_CREDENTIALS),
        ([b"DPoP a.b.c"], NO_CREDENTIALS),
        ([b"Token a.b.c"], NO_CREDENTIALS),
        ([b"JWT a.b.c"], NO_CREDENTIALS),
        ([b"Bearera.b.c"], NO_CREDENTIALS),
        ([b"Bearer: a.b.c"], NO_CREDENTIALS),
        ([b"Bearer\ta.b.c"], NO_CREDENTIALS),
        ([b"Bearer=a.b.c"], NO_CREDENTIALS),
        ([b'"Bearer" a.b.c'], NO_CREDENTIALS),
        ([b"B\xc3\xa9arer a.b.c"], NO_CREDENTIALS),
        ([b"Bearer"], NOT_ONE_TOKEN),
        ([b"Bearer "], NOT_ONE_TOKEN),
        ([b"Bearer \t "], NOT_ONE_TOKEN),
        ([b"Bearer a.b.c d.e.f"], NOT_ONE_TOKEN),
        ([b"Bearer a.b.c\td.e.f"], NOT_ONE_TOKEN),
        ([b"Bearer a.b.c\x0bd.e.f"], NOT_ONE_TOKEN),
        ([b"Bearer a.b.c, Bearer d.e.f"], NOT_ONE_TOKEN),
        ([b"Bearer a.b.c,Bearer"], NOT_ONE_TOKEN),
        ([b"Bearer a.b.c,d.e.f"], NOT_ONE_TOKEN),
        ([b"Bearer Bearer a.b.c"], NOT_ONE_TOKEN),
        ([b"Bearer a.b.c,"], NOT_ONE_TOKEN),
        ([b"Bearer a.b.c", b"Bearer a.b.c"], TWO_HEADERS),
        ([b"Bearer a.b.c", b"Bearer d.e.f"], TWO_HEADERS),
        ([b"Bearer a.b.c", b""], TWO_HEADERS),
        ([b"Basic dTpw", b"Bearer a.b.c"], TWO_HEADERS),
        ([b"Bearer a.b.c", b"Basic dTpw"], TWO_HEADERS),
        ([b"", b""], TWO_HEADERS),
    ],
)
def test_anything_but_one_token_in_one_header_is_refused(sent: list[bytes], challenge: str) -> None:
    with pytest.raises(TokenRefused) as refused:
        bearer_token([(b"authorization", value) for value in sent])
    assert refused.value.challenge == challenge


@pytest.mark.parametrize("value", [b"Bearer a.b.\xff", b"Bearer \xc2\xa0a.b.c", "Bearer a.b.é".encode()])
def test_a_token_that_is_not_ascii_is_invalid(value: bytes) -> None:
    with pytest.raises(TokenRefused) as refused:
        bearer_token([(b"authorization", value)])
    assert 'error="invalid_token"' in refused.value.challenge


@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        ([], NO_CREDENTIALS),
        ([("Authorization", "Basic dTpw")], NO_CREDENTIALS),
        ([("Authorization", "Bearer")], NOT_ONE_TOKEN),
        ([("Authorization", "Bearer {token} {token}")], NOT_ONE_TOKEN),
        ([("Authorization", "Bearer {token}, Bearer {token}")], NOT_ONE_TOKEN),
        ([("Authorization", "Bearer {token}"), ("authorization", "Bearer {token}")], TWO_HEADERS),
        ([("Authorization", "Bearer {token}"), ("Authorization", "Basic dTpw")], TWO_HEADERS),
        ([("Proxy-Authorization", "Bearer {token}")], NO_CREDENTIALS),
        ([("X-Authorization", "Bearer {token}")], NO_CREDENTIALS),
        ([("X-Access-Token", "{token}")], NO_CREDENTIALS),
        ([("Cookie", "access_token={token}; Authorization=Bearer {token}")], NO_CREDENTIALS),
    ],
)
def test_a_request_without_one_token_is_401_with_a_challenge(
    client_of: ClientOf, database_url: str, mint: Mint, headers: list[tuple[str, str]], challenge: str
) -> None:
    sent = [(name, value.format(token=mint())) for name, value in headers]
    response = client_of(database_url).get(f"/v1/workspace/{WORKSPACE}/sessions", headers=sent)
    assert (response.status_code, response.headers["www-authenticate"]) == (401, challenge)


def test_a_token_in_the_query_is_refused(client_of: ClientOf, database_url: str, mint: Mint) -> None:
    # RFC 6750, section 5.3: addresses are logged and kept.
    client = client_of(database_url)
    address = f"/v1/workspace/{WORKSPACE}/sessions?access_token={mint()}"
    assert client.get(address).status_code == 401
    both = client.get(address, headers={"Authorization": f"Bearer {mint()}"})
    assert both.status_code == 400
    assert [error["name"] for error in both.json()["errors"]] == ["access_token"]


@pytest.mark.parametrize(
    "bad",
    [
        {"exp": 10**400},
        {"sub": "\0"},
        {"exp": True},
        {"sub": "\ud800"},
        {"scope": [1]},
        {"scope": "sessions.view \ud800"},
        {"workspaces": [WORKSPACE, "\ud800"]},
    ],
)
def test_a_hostile_claim_is_a_401_and_never_a_500(
    client_of: ClientOf, database_url: str, mint: Mint, bad: dict[str, Any]
) -> None:
    response = client_of(database_url).get(
        f"/v1/workspace/{WORKSPACE}/sessions", headers={"Authorization": f"Bearer {mint(**bad)}"}
    )
    assert response.status_code == 401
    assert 'error="invalid_token"' in response.headers["www-authenticate"]


# What a valid token permits ------------------------------------------------------------------------------------------------


LIST = load().operations["list_sessions"]


async def _ignore(*_args: Any) -> None:
    pass


def passes(claims: Claims, workspace_id: str, operation: Operation = LIST) -> bool:
    """Whether the step lets a request of somebody with these claims pass."""
    passed = False

    async def next_app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        nonlocal passed
        passed = True

    async def verified(_token: str) -> Claims:
        return claims

    scope = {"headers": [(b"authorization", b"Bearer a.b.c")], "path_params": {"workspaceId": workspace_id}}
    step = authorize(verified)(operation, _ignore, next_app)
    asyncio.run(_call(step, scope))
    return passed


async def _call(step: Any, scope: dict[str, Any]) -> None:
    await step(scope, _ignore, _ignore)


@pytest.mark.parametrize(
    ("workspaces", "workspace_id", "covered"),
    [
        ({"w1"}, "w1", True),
        ({"w1", "w2"}, "w2", True),
        ({"*"}, "w1", True),
        ({"w1", "*"}, "w3", True),
        (set(), "w1", False),
        ({"w1"}, "w2", False),
        ({"w1"}, "w", False),
        ({"w1"}, "w11", False),
        ({"w1"}, "W1", False),
        ({"w1"}, "w1 ", False),
        ({"w1"}, "", False),
        ({"w1"}, "*", False),
        ({"w*"}, "w1", False),
        ({"**"}, "w1", False),
        ({"w1 w2"}, "w1", False),
        ({"w1,w2"}, "w2", False),
        ({"٧"}, "7", False),
    ],
)
def test_a_token_covers_exactly_the_workspaces_that_it_names(
    workspaces: set[str],
    workspace_id: str,
    covered: bool,  # noqa: FBT001 - a column of the table
) -> None:
    claims = Claims(None, frozenset({"sessions.view"}), frozenset(workspaces))
    if covered:
        assert passes(claims, workspace_id)
    else:
        with pytest.raises(AccessRefused, match="does not cover this workspace"):
            passes(claims, workspace_id)


@pytest.mark.parametrize(
    "scopes",
    [
        set(),
        {"sessions"},
        {"sessions.vie"},
        {"sessions.views"},
        {"sessions.view.all"},
        {"Sessions.View"},
        {"SESSIONS.VIEW"},
        {"xsessions.view"},
        {"sessions.*"},
        {"*"},
        {"view"},
        {"sessions.view,other"},
        {"a\tsessions.view"},
        {"sessions:view"},
        {"sessions.view\n"},
        {"sessions.edit", "view"},
    ],
)
def test_a_permission_is_matched_whole(scopes: set[str]) -> None:
    claims = Claims(None, frozenset(scopes), frozenset({"w1"}))
    with pytest.raises(AccessRefused) as refused:
        passes(claims, "w1")
    assert refused.value.challenge == (
        'Bearer realm="sessions", error="insufficient_scope",'
        ' error_description="The token does not carry the permission sessions.view.", scope="sessions.view"'
    )


def test_an_operation_that_names_two_permissions_requires_both() -> None:
    operation = replace(LIST, required_scopes=frozenset({"b", "a"}))
    assert passes(Claims(None, frozenset({"a", "b", "c"}), frozenset({"w1"})), "w1", operation)
    with pytest.raises(AccessRefused) as refused:
        passes(Claims(None, frozenset({"a"}), frozenset({"w1"})), "w1", operation)
    assert 'scope="a b"' in refused.value.challenge


async def refuse_every_token(_token: str) -> Claims:
    raise TokenRefused("No.")


def test_a_public_operation_has_no_step_at_all() -> None:
    async def next_app(_scope: Scope, _receive: Receive, _send: Send) -> None: ...

    assert authorize(refuse_every_token)(replace(LIST, required_scopes=None), _ignore, next_app) is next_app


async def nothing_follows(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise AssertionError


def test_an_operation_with_permissions_and_no_workspace_stops_the_start() -> None:
    operation = replace(LIST, parameters=compile_parameters([], {}))
    with pytest.raises(ContractError, match="list_sessions requires permissions but has no parameter workspaceId"):
        authorize(refuse_every_token)(operation, _ignore, nothing_follows)


def test_a_foreign_workspace_gets_the_same_bytes_whether_or_not_it_exists(
    client_of: ClientOf, database_url: str, mint: Mint, store: Store
) -> None:
    store(database_url, [], workspaces=["there"])
    client = client_of(database_url)
    headers = {"Authorization": f"Bearer {mint()}"}
    there, nowhere = (client.get(f"/v1/workspace/{name}/sessions", headers=headers) for name in ("there", "nowhere"))
    assert (there.status_code, there.content, there.headers.raw) == (403, nowhere.content, nowhere.headers.raw)


@pytest.mark.parametrize("workspaces", [None, [], "", ["", ""]])
def test_a_token_that_names_no_workspace_is_refused_everywhere(
    client_of: ClientOf, database_url: str, mint: Mint, store: Store, workspaces: Any
) -> None:
    store(database_url, [], workspaces=["there"])
    headers = {"Authorization": f"Bearer {mint(workspaces=workspaces)}"}
    for name in ("there", "nowhere", WORKSPACE, "*"):
        assert client_of(database_url).get(f"/v1/workspace/{name}/sessions", headers=headers).status_code == 403
