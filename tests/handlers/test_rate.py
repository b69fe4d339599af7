"""How often one may ask: as often as one likes, or as the operator has set."""

from collections.abc import Callable, Iterator

import httpx
import pytest
from limits import parse
from starlette.testclient import TestClient

from handlers.keys import StaticKeys, secret_key
from openapi.contract import load
from server.app import create_app
from server.settings import Settings, SettingsError, read_settings
from tests.conftest import SECRET, WORKSPACE, Mint

PATH = f"/v1/workspace/{WORKSPACE}/sessions"
Ask = Callable[..., httpx.Response]


@pytest.fixture
def ask(sqlite_demo_url: str, mint: Mint) -> Iterator[Ask]:
    """Ask an application that allows three requests a day."""
    app = create_app(Settings(StaticKeys((secret_key(SECRET),)), sqlite_demo_url, rate_limit=parse("3/day")))
    with TestClient(app) as client:

        def ask_for_one(query: str = "limit=1", **claims: object) -> httpx.Response:
            response: httpx.Response = client.get(f"{PATH}?{query}", headers={"Authorization": f"Bearer {mint(**claims)}"})
            return response

        yield ask_for_one


def test_who_asks_too_often_is_told_when_to_ask_again(ask: Ask) -> None:
    assert [ask(sub="often").status_code for _ in range(3)] == [200, 200, 200]
    refused = ask(sub="often")
    assert refused.status_code == 429
    assert refused.headers["content-type"] == "application/problem+json"
    load().operations["list_sessions"].responses[429](refused.json())
    assert 0 < int(refused.headers["retry-after"]) <= 86_400
    assert f"in {refused.headers['retry-after']} seconds" in refused.json()["detail"]


def test_one_subject_does_not_use_up_the_requests_of_another(ask: Ask) -> None:
    for _ in range(4):
        ask(sub="greedy")
    assert ask(sub="greedy").status_code == 429
    assert ask(sub="modest").status_code == 200


def test_another_token_of_the_same_subject_counts_too(ask: Ask) -> None:
    statuses = [ask(sub="many tokens", jti=str(number)).status_code for number in range(4)]
    assert statuses == [200, 200, 200, 429]


def test_tokens_without_a_subject_are_counted_by_their_workspaces(ask: Ask) -> None:
    assert [ask(sub=None).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert ask(sub=None, workspaces=[WORKSPACE, "another"]).status_code == 200


def test_refusals_come_in_their_order(ask: Ask) -> None:
    for _ in range(3):
        assert ask("nope=1", sub="wrong").status_code == 400
    assert ask("nope=1", sub="wrong").status_code == 429
    assert ask(sub="wrong", scope="other").status_code == 403
    assert ask(sub="wrong", exp=1).status_code == 401


def test_without_a_limit_nobody_is_refused(client: httpx.Client) -> None:
    assert {client.get(f"{PATH}?limit=1").status_code for _ in range(50)} == {200}


@pytest.mark.parametrize(
    "limit", ["0/minute", "-1/second", "ten/minute", "10", "10/fortnight", "10/minute;1/second", "1.5/hour"]
)
def test_a_limit_that_is_none_stops_the_start(limit: str) -> None:
    with pytest.raises(SettingsError, match="SESSIONS_RATE_LIMIT must be a number of requests in a time"):
        read_settings({"SESSIONS_JWT_SECRET": SECRET, "SESSIONS_RATE_LIMIT": limit})


def test_a_limit_is_read_from_the_settings() -> None:
    settings = read_settings({"SESSIONS_JWT_SECRET": SECRET, "SESSIONS_RATE_LIMIT": "600/minute"})
    assert settings.rate_limit == parse("600/minute")
