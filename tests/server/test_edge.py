"""What is around the application: headers on every answer, other origins, and how many requests at a time."""

import http.client
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import httpx
import pytest
from starlette.testclient import TestClient

from handlers.jwks import JWKSServer
from handlers.keys import StaticKeys, secret_key
from server.app import create_app
from server.settings import Settings, SettingsError, read_settings
from tests.conftest import SECRET, WORKSPACE, ClientOf, Mint
from tests.handlers.test_keys import ALL
from tests.key_servers import KeyServer
from tests.live import Connection, answers_in, serving, until
from tests.response_bodies import require_valid_body
from tests.signers import rsa_key

PATH = f"/v1/workspace/{WORKSPACE}/sessions"
OURS, THEIRS = "https://app.example", "https://evil.example"


def settings_for(url: str) -> Settings:
    return Settings(StaticKeys((secret_key(SECRET),)), url)


@pytest.fixture
def token(mint: Mint) -> dict[str, str]:
    return {"Authorization": f"Bearer {mint()}"}


# Headers -------------------------------------------------------------------------------------------------------------------


def every_kind_of_answer(client: httpx.Client, token: dict[str, str]) -> dict[str, httpx.Response]:
    listed = client.get(PATH, headers=token)
    return {
        "200": listed,
        "HEAD": client.head(PATH, headers=token),
        "304": client.get(PATH, headers={**token, "If-None-Match": listed.headers["etag"]}),
        "400": client.get(f"{PATH}?nope=1", headers=token),
        "401": client.get(PATH),
        "403": client.get("/v1/workspace/other/sessions", headers=token),
        "404": client.get("/nothing"),
        "405": client.delete(PATH, headers=token),
        "health": client.get("/healthz"),
        "readiness": client.get("/readyz"),
        "contract": client.get("/openapi.json"),
        "contract unchanged": client.get(
            "/openapi.json", headers={"If-None-Match": client.get("/openapi.json").headers["etag"]}
        ),
        "docs": client.get("/docs"),
        "asset": client.get("/docs/swagger-ui.css"),
        "redirect": client.get("/"),
    }


def test_every_answer_forbids_guessing_its_type_and_names_no_program(
    client_of: ClientOf, sqlite_demo_url: str, token: dict[str, str]
) -> None:
    for kind, answer in every_kind_of_answer(client_of(sqlite_demo_url), token).items():
        assert answer.headers.get_list("x-content-type-options") == ["nosniff"], kind
        assert "strict-transport-security" not in answer.headers, kind
        assert not {"server", "x-powered-by", "access-control-allow-origin"} & set(answer.headers), kind
        assert "Origin" not in answer.headers.get("vary", ""), kind


def test_behind_tls_every_answer_tells_browsers_to_keep_to_it(sqlite_demo_url: str, token: dict[str, str]) -> None:
    settings = replace(settings_for(sqlite_demo_url), behind_tls=True)
    with TestClient(create_app(settings), follow_redirects=False) as client:
        for kind, answer in every_kind_of_answer(client, token).items():
            assert answer.headers["strict-transport-security"] == "max-age=31536000", kind
    with serving(settings) as served, Connection(served.port) as connection:
        connection.send(b"BREW / HTTP/1.1\r\n\r\n")
        (refused,) = answers_in(connection.rest())
    assert refused.header("strict-transport-security") == "max-age=31536000"


def test_an_answer_of_the_api_is_kept_by_its_client_alone_and_an_error_by_nobody(
    client_of: ClientOf, sqlite_demo_url: str, token: dict[str, str]
) -> None:
    for kind, answer in every_kind_of_answer(client_of(sqlite_demo_url), token).items():
        if kind in ("200", "HEAD", "304"):
            assert answer.headers["cache-control"] == "private, no-cache", kind
        elif answer.status_code >= 400 or kind in ("health", "readiness"):
            assert answer.headers["cache-control"] == "no-store", kind


# Other origins -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared(sqlite_demo_url: str) -> Iterator[httpx.Client]:
    """An application that pages of one other origin may read."""
    settings = replace(settings_for(sqlite_demo_url), cors_origins=(OURS, "http://localhost:3000"))
    with TestClient(create_app(settings), base_url="http://tests", follow_redirects=False) as client:
        yield client


def preflight(client: httpx.Client, origin: str, **asked: str) -> httpx.Response:
    headers = {"Origin": origin, "Access-Control-Request-Method": "GET", **asked}
    return client.options(PATH, headers=headers)


@pytest.mark.parametrize("origin", [OURS, "http://localhost:3000"])
def test_pages_of_an_origin_that_is_named_may_read_every_answer(
    shared: httpx.Client, token: dict[str, str], origin: str
) -> None:
    for kind, answer in every_kind_of_answer(shared, {**token, "Origin": origin}).items():
        if kind in ("200", "HEAD", "304", "400", "403", "405"):  # those that were asked with the origin
            assert answer.headers["access-control-allow-origin"] == origin, kind
            assert (
                answer.headers["access-control-expose-headers"]
                == "ETag, Link, Next-Cursor, RateLimit, RateLimit-Policy, Retry-After"
            )
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin",
    [
        THEIRS,
        "null",
        "https://app.example.evil.example",
        "https://evil-app.example",
        "https://sub.app.example",
        "http://app.example",
        "https://app.example:8443",
        "https://app.example/",
        "HTTPS://APP.EXAMPLE",
        f"{OURS} {THEIRS}",
        f"{OURS},{THEIRS}",
        "",
    ],
)
def test_pages_of_any_other_origin_may_not(shared: httpx.Client, token: dict[str, str], origin: str) -> None:
    answer = shared.get(PATH, headers={**token, "Origin": origin})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers
    refused = preflight(shared, origin)
    assert refused.status_code == 405
    assert refused.headers["content-type"] == "application/problem+json"
    assert not {name for name in refused.headers if name.startswith("access-control-allow-")}


def test_what_depends_on_the_origin_says_so_also_to_those_who_sent_none(shared: httpx.Client, token: dict[str, str]) -> None:
    for origin in ({}, {"Origin": OURS}, {"Origin": THEIRS}):
        for kind, answer in every_kind_of_answer(shared, {**token, **origin}).items():
            varies = answer.headers["vary"].split(", ")
            assert varies.count("Origin") == 1, kind
            if kind in ("200", "HEAD", "304"):
                assert answer.headers["vary"] == "Authorization, Accept-Encoding, Origin", kind


@pytest.mark.parametrize(
    "asked",
    [
        None,
        "authorization",
        "authorization, if-none-match",
        "authorization,baggage,sentry-trace,traceparent,tracestate,x-requested-with",
        "X-Anything , !#$%&'*+-.^_`|~09",
        ",".join(f"x-{number}" for number in range(50)),
        "x" * 1024,
    ],
)
def test_a_preflight_of_a_named_origin_is_granted_the_headers_it_asks_for(shared: httpx.Client, asked: str | None) -> None:
    granted = preflight(shared, OURS, **({"Access-Control-Request-Headers": asked} if asked else {}))
    assert granted.status_code == 200
    assert granted.headers["access-control-allow-origin"] == OURS
    assert granted.headers["access-control-allow-methods"] == "GET, HEAD"
    assert granted.headers.get("access-control-allow-headers") == asked
    assert {"Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"} <= set(
        granted.headers["vary"].split(", ")
    )
    assert granted.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-credentials" not in granted.headers


@pytest.mark.parametrize(
    "asked",
    [
        {"Access-Control-Request-Method": "DELETE"},
        {"Access-Control-Request-Method": "get"},
        *(
            {"Access-Control-Request-Headers": names}
            for names in ("", ",", "a,", "a b", "a\tb", "a:b", "(a)", '"a"', "a;b", "a/b")
        ),
        {"Access-Control-Request-Headers": ",".join(f"x-{number}" for number in range(51))},
        {"Access-Control-Request-Headers": "x" * 1025},
    ],
)
def test_a_preflight_for_what_is_not_offered_is_refused(shared: httpx.Client, asked: dict[str, str]) -> None:
    refused = preflight(shared, OURS, **asked)
    assert refused.status_code == 405
    assert refused.headers["allow"] == "GET, HEAD"
    assert not {"access-control-allow-methods", "access-control-allow-headers"} & set(refused.headers)


def test_headers_that_are_asked_for_teach_an_unnamed_origin_nothing(shared: httpx.Client) -> None:
    asked = {"Access-Control-Request-Headers": "baggage"}
    refused = preflight(shared, THEIRS, **asked)
    assert refused.status_code == 405
    assert not {name for name in refused.headers if name.startswith("access-control-allow-")}
    assert "baggage" not in f"{refused.headers} {refused.text}"


def test_an_options_that_is_no_preflight_is_refused_like_any_method(shared: httpx.Client) -> None:
    assert shared.options(PATH, headers={"Origin": OURS}).status_code == 405


def test_without_named_origins_no_preflight_is_answered(client_of: ClientOf, sqlite_demo_url: str) -> None:
    refused = preflight(client_of(sqlite_demo_url), OURS)
    assert refused.status_code == 405
    assert "vary" not in refused.headers


VALID = {"SESSIONS_JWT_SECRET": SECRET}


def test_origins_are_read_from_the_settings() -> None:
    origins = "https://app.example, http://localhost:3000,https://[::1]:8443"
    assert read_settings({**VALID, "SESSIONS_CORS_ORIGINS": origins}).cors_origins == tuple(
        part.strip() for part in origins.split(",")
    )
    assert read_settings(VALID).cors_origins == ()


@pytest.mark.parametrize(
    ("origin", "reason"),
    [
        ("*", "would let pages of strangers read responses"),
        ("null", "would let pages of strangers read responses"),
        ("https://*.example", "is not an origin"),
        ("app.example", "is not an origin"),
        ("https://app.example/", "is not an origin"),
        ("https://app.example/path", "is not an origin"),
        ("https://App.example", "is not an origin"),
        ("HTTPS://app.example", "is not an origin"),
        ("https://user@app.example", "is not an origin"),
        ("ftp://app.example", "is not an origin"),
        ("https://bücher.example", "is not an origin"),
        ("https://app.example:0", "is not an origin"),
        ("https://app.example:443", "has the port that browsers leave out"),
        ("http://app.example:80", "has the port that browsers leave out"),
    ],
)
def test_an_origin_that_no_browser_would_send_stops_the_start(origin: str, reason: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings({**VALID, "SESSIONS_CORS_ORIGINS": f"https://good.example,{origin}"})
    (problem,) = refused.value.problems
    assert problem.startswith(f"SESSIONS_CORS_ORIGINS names an origin (number 2 of 2) that {reason}")


def test_every_wrong_origin_is_named() -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings({**VALID, "SESSIONS_CORS_ORIGINS": "*,app.example"})
    assert len(refused.value.problems) == 2


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("BEHIND_TLS", "true", "must be yes or no"),
        ("REQUEST_TIMEOUT", "0", "must be a whole number of seconds from 1 to 3600"),
        ("CONCURRENT_REQUESTS", "0", "must be a whole number of requests from 1 to 999999"),
        ("CONCURRENT_REQUESTS", "many", "must be a whole number of requests from 1 to 999999"),
    ],
)
def test_a_wrong_setting_of_the_wire_stops_the_start(name: str, value: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=f"SESSIONS_{name} {reason}"):
        read_settings({**VALID, f"SESSIONS_{name}": value})


def test_the_settings_of_the_wire_are_read() -> None:
    read = read_settings(
        {**VALID, "SESSIONS_BEHIND_TLS": "Yes", "SESSIONS_REQUEST_TIMEOUT": "7", "SESSIONS_CONCURRENT_REQUESTS": "9"}
    )
    assert (read.behind_tls, read.request_timeout, read.concurrent_requests) == (True, 7, 9)


# How many at a time --------------------------------------------------------------------------------------------------------


def asks(port: int, path: str, token: str | None = None) -> http.client.HTTPResponse:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    client.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
    response = client.getresponse()
    response.body = response.read()  # type: ignore[attr-defined] # kept where the tests find it
    client.close()
    return response


def in_background(ask: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=ask)
    thread.start()
    return thread


def test_more_requests_than_may_be_are_turned_away_while_health_answers(
    key_server: KeyServer, sqlite_demo_url: str, mint: Mint, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    settings = Settings(JWKSServer(key_server.url, ALL), sqlite_demo_url, concurrent_requests=2)
    token = mint(key=rsa_key(), algorithm="RS256", headers={"kid": "a"})
    answers: list[int] = []
    with serving(settings) as served:
        waiting = [in_background(lambda: answers.append(asks(served.port, PATH, token).status)) for _ in range(2)]
        # Without a token a request is 401 at once, as long as there is room for it.
        until(lambda: asks(served.port, PATH).status == 503)
        refused = asks(served.port, PATH, token)
        assert refused.status == 503
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.headers["retry-after"] == "1"
        body = httpx.Response(200, content=refused.body).json()  # type: ignore[attr-defined]
        require_valid_body(503, body)
        assert body["detail"] == "The server is at its limit of concurrent requests. Try again in a second."
        assert asks(served.port, "/healthz").status == 200
        assert asks(served.port, "/readyz").status == 503  # since the keys are not there yet
        key_server.open.set()
        for thread in waiting:
            thread.join()
        assert answers == [200, 200]
        assert asks(served.port, PATH).status == 401  # there is room again
    assert "refused, too many requests at the same time" in caplog.text


def test_a_request_that_fails_makes_room_like_any_other(sqlite_demo_url: str) -> None:
    settings = replace(settings_for(sqlite_demo_url), concurrent_requests=1)
    with TestClient(create_app(settings)) as client:
        assert [client.get(PATH).status_code for _ in range(5)] == [401] * 5
