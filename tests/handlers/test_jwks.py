"""A JWK set at a URL: when it is fetched, which requests wait for it, and what it may cost."""

import asyncio
import gzip
import json
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from functools import partial, wraps
from http.server import BaseHTTPRequestHandler
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jwt
import pytest
from starlette.testclient import TestClient

from handlers.jwks import MAX_BYTES, JWKSServer
from handlers.keys import ASYMMETRIC, Key, KeysUnavailable, StaticKeys
from handlers.rules import TokenRules
from handlers.tokens import TokenRefused, token_verifier
from server.app import create_app
from server.settings import Settings
from tests.conftest import WORKSPACE, Mint
from tests.handlers.unusable_keys import UNUSABLE
from tests.key_servers import KeyServer, jwk, pem
from tests.live import Connection, serving, until
from tests.signers import ec_key, ed25519_key, rsa_key

ALL = frozenset(ASYMMETRIC)
CLAIMS = {"sub": "u1", "exp": 4_102_444_800}
RSA_HEADER = {"alg": "RS256"}

# A JWK set behind a URL ----------------------------------------------------------------------------------------------------


@pytest.fixture
def key_server() -> Iterator[KeyServer]:
    server = KeyServer()
    yield server
    server.close()


@pytest.fixture
def other_server() -> Iterator[KeyServer]:
    """A server that should get no request."""
    server = KeyServer()
    yield server
    server.close()


def runs(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Let pytest run a coroutine."""

    @wraps(test)
    def run(**fixtures: Any) -> None:
        asyncio.run(test(**fixtures))

    return run


def at_once(awaitable: Any) -> Any:
    """The result of something that must not wait: not for a thread, nor for anything else."""
    with pytest.raises(StopIteration) as stopped:
        awaitable.send(None)
    return stopped.value.value


def status(code: int, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def respond(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()

    return respond


@runs
async def test_nothing_is_fetched_before_it_is_needed(key_server: KeyServer) -> None:
    key_server.answer = {"keys": [jwk(rsa_key(), kid="a")]}
    source = JWKSServer(key_server.url, ALL)
    assert key_server.requests == []
    assert [key.kid for key in await source.candidates({"alg": "RS256", "kid": "a"})] == ["a"]
    assert key_server.requests == ["/jwks"]


@runs
async def test_a_fetch_names_its_user_agent_and_what_it_accepts(key_server: KeyServer) -> None:
    # Firewalls refuse clients that call themselves Python-urllib, or that do not say what they accept.
    await JWKSServer(key_server.url, ALL).fetch()
    (headers,) = key_server.headers
    assert headers["user-agent"] == f"workspace-sessions-api/{version('workspace-sessions-api')}"
    assert headers["accept"] == "application/json, application/jwk-set+json"


@runs
async def test_concurrent_requests_share_one_fetch(key_server: KeyServer) -> None:
    key_server.answer = {"keys": [jwk(rsa_key(), kid="a")]}
    source = JWKSServer(key_server.url, ALL)
    found = await asyncio.gather(*(source.candidates({"alg": "RS256", "kid": kid}) for kid in ["a", "b"] * 20))
    assert [len(keys) for keys in found] == [1, 0] * 20
    assert key_server.requests == ["/jwks"]


@runs
async def test_no_request_waits_if_the_cached_set_has_its_key(key_server: KeyServer) -> None:
    key_server.answer = {"keys": [jwk(rsa_key(), kid="a"), jwk(rsa_key("b"), kid="b")]}
    source = JWKSServer(key_server.url, ALL)
    await source.candidates(RSA_HEADER)
    assert len(at_once(source.candidates({"alg": "RS256", "kid": "b"}))) == 1
    assert len(at_once(source.candidates(RSA_HEADER))) == 2
    assert at_once(source.candidates({"alg": "ES256"})) == []


@runs
async def test_an_algorithm_that_is_not_accepted_is_refused_without_a_fetch(key_server: KeyServer) -> None:
    source = JWKSServer(key_server.url, frozenset({"RS256"}))
    for alg in ("HS256", "none", "PS256", "RS384", "ES256", ""):
        assert at_once(source.candidates({"alg": alg, "kid": "a"})) == []
    assert key_server.requests == []


@runs
async def test_unknown_key_ids_start_one_fetch_per_cooldown(key_server: KeyServer) -> None:
    key_server.answer = {"keys": [jwk(rsa_key(), kid="a")]}
    source = JWKSServer(key_server.url, ALL)
    for kid in ("a", "x", "y", "x", "../jwks", "\ud800"):
        assert len(await source.candidates({"alg": "RS256", "kid": kid})) == (kid == "a")
    assert len(key_server.requests) == 1  # every successful fetch starts a cool-down, the first one too


@runs
async def test_a_new_key_is_found_as_soon_as_a_token_names_it(key_server: KeyServer) -> None:
    key_server.answer = {"keys": [jwk(rsa_key("old"), kid="old")]}
    source = JWKSServer(key_server.url, ALL, cooldown=0)
    await source.candidates({"alg": "RS256", "kid": "old"})
    key_server.answer = {"keys": [jwk(rsa_key("old"), kid="old"), jwk(rsa_key("new"), kid="new")]}
    (new,) = await source.candidates({"alg": "RS256", "kid": "new"})
    assert new.material.public_numbers() == rsa_key("new").public_key().public_numbers()
    assert len(key_server.requests) == 2


@runs
async def test_a_withdrawn_key_is_refused_once_the_set_is_renewed(key_server: KeyServer) -> None:
    key_server.answer = {"keys": [jwk(rsa_key("old"), kid="old"), jwk(rsa_key("new"), kid="new")]}
    source = JWKSServer(key_server.url, ALL)
    assert len(await source.candidates({"alg": "RS256", "kid": "old"})) == 1
    key_server.answer = {"keys": [jwk(rsa_key("new"), kid="new")]}
    await source.fetch()
    assert await source.candidates({"alg": "RS256", "kid": "old"}) == []


@runs
async def test_the_set_is_renewed_without_requests(key_server: KeyServer) -> None:
    source = JWKSServer(key_server.url, ALL, lifespan=0.01)
    await source.candidates(RSA_HEADER)
    for _ in range(4):
        assert await asyncio.to_thread(key_server.asked.acquire, timeout=10)


@runs
async def test_a_token_that_has_passed_is_refused_once_its_key_is_withdrawn(key_server: KeyServer) -> None:
    key_server.answer = {"keys": [jwk(rsa_key("old"), kid="old"), jwk(rsa_key("new"), kid="new")]}
    source = JWKSServer(key_server.url, ALL)
    verify = token_verifier(source, TokenRules())
    token = jwt.encode(CLAIMS, rsa_key("old"), "RS256", {"kid": "old"})
    assert [(await verify(token)).subject for _ in range(2)] == ["u1", "u1"]
    key_server.answer = {"keys": [jwk(rsa_key("new"), kid="new")]}
    await source.fetch()
    with pytest.raises(TokenRefused):
        await verify(token)


@runs
async def test_an_empty_set_replaces_the_cached_one(key_server: KeyServer) -> None:
    key_server.answer = {"keys": [jwk(rsa_key(), kid="a")]}
    source = JWKSServer(key_server.url, ALL)
    assert len(await source.candidates({"alg": "RS256", "kid": "a"})) == 1
    key_server.answer = {"keys": []}
    await source.fetch()
    assert await source.candidates({"alg": "RS256", "kid": "a"}) == []
    assert await source.candidates(RSA_HEADER) == []


@runs
async def test_entries_that_cannot_be_used_are_ignored(key_server: KeyServer) -> None:
    key_server.answer = {"keys": [*(entry() for entry in UNUSABLE.values()), "x", None, jwk(rsa_key(), kid="good")]}
    source = JWKSServer(key_server.url, ALL)
    assert [key.kid for key in await source.candidates(RSA_HEADER)] == ["good"]


@runs
async def test_a_set_without_a_fitting_key_is_logged_as_a_warning(
    key_server: KeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    key_server.answer = {"keys": [jwk(ec_key("P-384"))]}
    assert await JWKSServer(key_server.url, frozenset({"RS256"})).candidates(RSA_HEADER) == []
    assert caplog.messages == ["no key of the JWK set fits RS256"]


@runs
async def test_two_keys_of_one_name_are_both_tried(key_server: KeyServer) -> None:
    key_server.answer = {"keys": [jwk(rsa_key("one"), kid="a"), jwk(rsa_key("two"), kid="a")]}
    verify = token_verifier(JWKSServer(key_server.url, ALL), TokenRules())
    for signer in ("one", "two"):
        token = jwt.encode(CLAIMS, rsa_key(signer), "RS256", {"kid": "a"})
        assert (await verify(token)).subject == "u1"


def cut_off(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "1000")
    request.end_headers()
    request.wfile.write(b'{"keys": [')


def hang_up(request: BaseHTTPRequestHandler) -> None:
    request.close_connection = True


def send_without_end(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.end_headers()
    while True:
        request.wfile.write(b" " * 65_536)


def compress(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Encoding", "gzip")
    request.end_headers()
    request.wfile.write(gzip.compress(b'{"keys": []}'))


def babble(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"this is not HTTP\r\n\r\n")


BAD_RESPONSES: dict[str, Any] = {
    "500": status(500),
    "503": status(503),
    "404": status(404),
    "401": status(401),
    "204": status(204),
    "cut off": cut_off,
    "nothing at all": hang_up,
    "no HTTP": babble,
    "without end": send_without_end,
    "compressed": compress,
    "an empty body": b"",
    "HTML": b"<!DOCTYPE html><title>Sign in</title>",
    "UTF-8 that is none": b'{"keys": ["\xff"]}',
    "JSON that is too deep": b"[" * 100_000,
    "a JSON text": b'"keys"',
    "an array": [jwk(ed25519_key())],
    "a single key": jwk(ed25519_key()),
    "no keys member": {"error": "not today"},
    "keys that are no array": {"keys": jwk(ed25519_key())},
}


@pytest.mark.parametrize("which", BAD_RESPONSES)
@runs
async def test_without_a_response_and_without_a_cached_set_no_token_can_be_verified(
    key_server: KeyServer, which: str
) -> None:
    key_server.answer = BAD_RESPONSES[which]
    source = JWKSServer(key_server.url, ALL)
    for header in ({"alg": "EdDSA"}, {"alg": "EdDSA", "kid": "a"}):
        with pytest.raises(KeysUnavailable, match=r"the JWK set cannot be fetched: [a-zA-Z].* .*"):
            await source.candidates(header)


@pytest.mark.parametrize("which", BAD_RESPONSES)
@runs
async def test_the_cached_set_is_used_while_fetches_fail(key_server: KeyServer, which: str) -> None:
    key_server.answer = {"keys": [jwk(rsa_key(), kid="a")]}
    source = JWKSServer(key_server.url, ALL)
    await source.candidates(RSA_HEADER)
    key_server.answer = BAD_RESPONSES[which]
    with pytest.raises(KeysUnavailable):
        await source.fetch()
    assert len(at_once(source.candidates({"alg": "RS256", "kid": "a"}))) == 1
    assert len(at_once(source.candidates(RSA_HEADER))) == 1
    with pytest.raises(KeysUnavailable):  # whether this key exists is not known now
        await source.candidates({"alg": "RS256", "kid": "b"})


@runs
async def test_the_cached_set_is_used_while_the_key_server_refuses_connections(
    key_server: KeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    key_server.answer = {"keys": [jwk(rsa_key(), kid="a")]}
    source = JWKSServer(key_server.url, ALL)
    await source.candidates(RSA_HEADER)
    key_server.close()
    for _ in range(3):
        with pytest.raises(KeysUnavailable, match="no connection to the key server"):
            await source.fetch()
    assert len(at_once(source.candidates({"alg": "RS256", "kid": "a"}))) == 1
    assert len(caplog.messages) == 1  # once for the outage, and not for each attempt


@runs
async def test_a_set_expires_after_a_long_outage(key_server: KeyServer) -> None:
    key_server.answer = {"keys": [jwk(rsa_key(), kid="a")]}
    source = JWKSServer(key_server.url, ALL, outage=-300)  # as if its whole time were over
    await source.fetch()
    key_server.answer = status(500)
    with pytest.raises(KeysUnavailable):
        await source.fetch()
    with pytest.raises(KeysUnavailable):
        await source.candidates({"alg": "RS256", "kid": "a"})


@runs
async def test_tokens_pass_again_once_the_key_server_is_back(
    key_server: KeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "sessions")
    key_server.answer = status(500)
    source = JWKSServer(key_server.url, ALL, retry=0.01)
    with pytest.raises(KeysUnavailable):
        await source.candidates(RSA_HEADER)
    key_server.answer = {"keys": [jwk(rsa_key(), kid="a")]}
    await asyncio.to_thread(until, lambda: "the JWK set can be fetched again" in caplog.messages)
    assert len(at_once(source.candidates(RSA_HEADER))) == 1
    assert await source.candidates({"alg": "RS256", "kid": "b"}) == []  # and its word counts again


@runs
async def test_after_a_failure_no_fetch_starts_for_a_moment(key_server: KeyServer) -> None:
    key_server.answer = status(500)
    source = JWKSServer(key_server.url, ALL)
    for _ in range(3):
        with pytest.raises(KeysUnavailable):
            await source.candidates(RSA_HEADER)
    assert len(key_server.requests) == 1


@runs
async def test_a_fetch_without_a_response_times_out(key_server: KeyServer) -> None:
    hung_up = threading.Event()

    def wait_for_the_client(request: BaseHTTPRequestHandler) -> None:
        if request.connection.recv(1) == b"":
            hung_up.set()

    key_server.answer = wait_for_the_client
    with pytest.raises(KeysUnavailable, match=r"the key server took longer than 0\.05 seconds"):
        await JWKSServer(key_server.url, ALL, timeout=0.05).candidates(RSA_HEADER)
    assert await asyncio.to_thread(hung_up.wait, 5)


@pytest.mark.parametrize("part", ["head", "body"])
@runs
async def test_a_fetch_that_receives_byte_by_byte_times_out_and_holds_no_thread(key_server: KeyServer, part: str) -> None:
    hung_up = threading.Event()

    def drip(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\n" + (b"\r\n" if part == "body" else b""))
        try:
            while not hung_up.wait(0.01):
                request.wfile.write(b" " if part == "body" else b"A: b\r\n")
        except ConnectionError:
            hung_up.set()

    key_server.answer = drip
    others = set(threading.enumerate())  # of applications that other tests have started
    with pytest.raises(KeysUnavailable, match=r"the key server took longer than 0\.2 seconds"):
        await JWKSServer(key_server.url, ALL, timeout=0.2).candidates(RSA_HEADER)
    assert not [thread for thread in set(threading.enumerate()) - others if thread.name.startswith("asyncio_")]
    assert await asyncio.to_thread(hung_up.wait, 5)


@runs
async def test_a_set_without_end_is_read_up_to_its_limit(key_server: KeyServer) -> None:
    sent = 0
    hung_up = threading.Event()

    def send_and_count(request: BaseHTTPRequestHandler) -> None:
        nonlocal sent
        request.send_response(200)
        request.end_headers()
        try:
            while True:
                sent += request.wfile.write(b" " * 65_536)
        finally:
            hung_up.set()

    key_server.answer = send_and_count
    key_server.answers["/jwks/.well-known/openid-configuration"] = status(404)
    with pytest.raises(KeysUnavailable, match="longer than 524,288 bytes"):
        await JWKSServer(key_server.url, ALL).fetch()
    assert await asyncio.to_thread(hung_up.wait, 5)
    assert sent < 20 * MAX_BYTES  # some of it lies in the buffers of the two sockets


@runs
async def test_known_keys_are_found_at_once_during_a_slow_fetch(key_server: KeyServer) -> None:
    key_server.answer = {"keys": [jwk(rsa_key(), kid="a")]}
    source = JWKSServer(key_server.url, ALL)
    await source.fetch()
    key_server.open.clear()
    renewal = asyncio.create_task(source.fetch())
    for _ in range(2):
        assert await asyncio.to_thread(key_server.asked.acquire, timeout=10)  # the second request has arrived, and waits
    assert len(at_once(source.candidates({"alg": "RS256", "kid": "a"}))) == 1
    assert len(at_once(source.candidates(RSA_HEADER))) == 1
    assert not renewal.done()
    key_server.open.set()
    assert len(await renewal) == 1


@pytest.mark.parametrize("known", [True, False])
@runs
async def test_unknown_keys_hold_up_few_requests_and_none_whose_key_is_known(
    key_server: KeyServer,
    known: bool,  # noqa: FBT001 - whether there is a set at hand
) -> None:
    key_server.answer = {"keys": [jwk(rsa_key(), kid="a")]}
    source = JWKSServer(key_server.url, ALL, cooldown=0, max_waiting=20)
    if known:
        await source.fetch()
        key_server.asked.acquire()
    key_server.open.clear()
    asking = [asyncio.create_task(source.candidates({"alg": "RS256", "kid": f"x{number}"})) for number in range(300)]
    assert await asyncio.to_thread(key_server.asked.acquire, timeout=10)
    refused = [task for task in asking if task.done()]
    assert len(refused) == 280
    for task in refused:
        with pytest.raises(KeysUnavailable, match="too many requests wait for the JWK set"):
            task.result()
    if known:
        assert len(at_once(source.candidates({"alg": "RS256", "kid": "a"}))) == 1
    key_server.open.set()
    assert [await task for task in asking if task not in refused] == [[]] * 20
    assert key_server.requests == ["/jwks"] * (2 if known else 1)
    assert len(await source.candidates({"alg": "RS256", "kid": "a"})) == 1


@runs
async def test_a_request_that_is_cancelled_during_a_fetch_cancels_no_other(key_server: KeyServer) -> None:
    key_server.answer = {"keys": [jwk(rsa_key(), kid="a")]}
    key_server.open.clear()
    source = JWKSServer(key_server.url, ALL)
    given_up, waiting = (asyncio.create_task(source.candidates(RSA_HEADER)) for _ in range(2))
    assert await asyncio.to_thread(key_server.asked.acquire, timeout=10)
    given_up.cancel()
    key_server.open.set()
    assert len(await waiting) == 1
    assert given_up.cancelled()


@runs
async def test_a_redirect_is_not_followed(key_server: KeyServer, other_server: KeyServer) -> None:
    other_server.answer = {"keys": [jwk(rsa_key())]}
    for code in (301, 302, 303, 307, 308):
        key_server.answer = status(code, Location=other_server.url)
        with pytest.raises(KeysUnavailable, match=f"responds with {code}, a redirect, which is not followed"):
            await JWKSServer(key_server.url, ALL).candidates(RSA_HEADER)
    assert other_server.requests == []


@runs
async def test_a_loopback_address_is_fetched_without_a_proxy(
    key_server: KeyServer, other_server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, other_server.origin)
    await JWKSServer(key_server.url, ALL).fetch()
    assert (key_server.requests, other_server.requests) == (["/jwks"], [])


@runs
async def test_another_address_is_fetched_through_the_proxy_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request_lines: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request_lines.append(await reader.readline())
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as proxy:
        monkeypatch.setenv("https_proxy", f"http://user:hunter2@127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
        with pytest.raises(KeysUnavailable, match="407 Proxy Authentication Required") as refused:
            await JWKSServer("https://issuer.example/jwks", ALL).fetch()
    assert request_lines == [b"CONNECT issuer.example:443 HTTP/1.1\r\n"]
    assert "hunter2" not in str(refused.value)


@runs
async def test_a_proxy_that_cannot_be_used_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "nonsense://user:hunter2@127.0.0.1")
    with pytest.raises(KeysUnavailable) as refused:
        await JWKSServer("https://issuer.example/jwks", ALL).fetch()
    assert "hunter2" not in str(refused.value)


# An OIDC issuer ------------------------------------------------------------------------------------------------------------

DISCOVERY = "/realms/r/.well-known/openid-configuration"


@pytest.fixture
def issuer(key_server: KeyServer) -> KeyServer:
    """An identity provider as they are: a page at the issuer, a discovery document below it, and a set elsewhere."""
    key_server.answers = {
        "/realms/r": b"<!DOCTYPE html><title>Sign in</title>",
        DISCOVERY: {"issuer": f"{key_server.origin}/realms/r", "jwks_uri": f"{key_server.origin}/certs"},
        "/certs": {"keys": [jwk(rsa_key(), kid="a")]},
    }
    key_server.answer = status(404)
    return key_server


@pytest.mark.parametrize("address", ["/realms/r", "/realms/r/", DISCOVERY])
@pytest.mark.parametrize("front", [b"<!DOCTYPE html>", status(404), status(302, Location="/"), {"realm": "r"}, b"x" * 10**6])
@runs
async def test_the_discovery_document_of_an_issuer_names_the_set(issuer: KeyServer, address: str, front: Any) -> None:
    issuer.answers["/realms/r"] = front
    source = JWKSServer(issuer.origin + address, ALL)
    assert [key.kid for key in await source.candidates({"alg": "RS256", "kid": "a"})] == ["a"]
    assert issuer.requests[-2:] == [DISCOVERY, "/certs"]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"issuer": "http://127.0.0.1/realms/r", "jwks_uri": "{origin}/certs"}, "is that of another issuer"),
        ({"issuer": "{origin}/realms/r2", "jwks_uri": "{origin}/certs"}, "is that of another issuer"),
        ({"issuer": "{origin}/realms", "jwks_uri": "{origin}/certs"}, "is that of another issuer"),
        ({"jwks_uri": "{origin}/certs"}, "names no issuer and jwks_uri"),
        ({"issuer": "{origin}/realms/r"}, "names no issuer and jwks_uri"),
        ({"issuer": "{origin}/realms/r", "jwks_uri": 5}, "names no issuer and jwks_uri"),
        ([], "names no issuer and jwks_uri"),
        ({"issuer": "{origin}/realms/r", "jwks_uri": "http://issuer.example/certs"}, "must begin with https://"),
        ({"issuer": "{origin}/realms/r", "jwks_uri": "file:///etc/passwd"}, "is neither a file nor a URL"),
        ({"issuer": "{origin}/realms/r", "jwks_uri": "{origin}/realms/r"}, "it is not JSON"),
        ({"issuer": "{origin}/realms/r", "jwks_uri": "{origin}" + DISCOVERY}, "is not a JWK set"),
    ],
)
@runs
async def test_a_discovery_document_that_does_not_fit_is_refused(issuer: KeyServer, document: Any, reason: str) -> None:
    issuer.answers[DISCOVERY] = json.dumps(document).replace("{origin}", issuer.origin).encode()
    with pytest.raises(KeysUnavailable, match=reason):
        await JWKSServer(f"{issuer.origin}/realms/r", ALL).fetch()


@runs
async def test_an_issuer_that_is_down_gets_one_request(issuer: KeyServer) -> None:
    issuer.answers["/realms/r"] = status(503)
    with pytest.raises(KeysUnavailable, match="the key server responds with 503"):
        await JWKSServer(f"{issuer.origin}/realms/r", ALL).fetch()
    assert issuer.requests == ["/realms/r"]


@pytest.mark.parametrize("pointer", ["jku", "x5u", "jwk", "x5c", "kid"])
@runs
async def test_a_token_cannot_bring_or_name_its_own_key(
    key_server: KeyServer, other_server: KeyServer, tmp_path: Path, pointer: str
) -> None:
    attacker = rsa_key("attacker")
    other_server.answer = {"keys": [jwk(attacker, kid="a")]}
    key_server.answer = {"keys": [jwk(rsa_key(), kid="a")]}
    planted = tmp_path / "attacker.pem"
    planted.write_bytes(pem(attacker))
    headers: dict[str, dict[str, Any]] = {
        "jku": {"kid": "a", "jku": other_server.url},
        "x5u": {"kid": "a", "x5u": other_server.url},
        "jwk": {"kid": "a", "jwk": jwk(attacker, kid="a")},
        "x5c": {"kid": "a", "x5c": ["MIIB"]},
        "kid": {"kid": str(planted)},
    }
    token = jwt.encode(CLAIMS, attacker, "RS256", headers[pointer])
    static = StaticKeys((Key(rsa_key().public_key(), ALL),))
    for source in (JWKSServer(key_server.url, ALL), static):
        with pytest.raises(TokenRefused):
            await token_verifier(source, TokenRules())(token)
    assert other_server.requests == []
    assert set(key_server.requests) == {"/jwks"}


SIGNED: dict[str, Callable[[], Any]] = {
    **{alg: rsa_key for alg in ASYMMETRIC if alg[0] == "R"},
    **{alg: partial(rsa_key, "second") for alg in ASYMMETRIC if alg[0] == "P"},
    "ES256": ec_key,
    "ES384": partial(ec_key, "P-384"),
    "ES512": partial(ec_key, "P-521"),
    "EdDSA": ed25519_key,
}


@pytest.mark.parametrize("alg", ASYMMETRIC)
@runs
async def test_tokens_of_every_algorithm_pass_with_a_set_that_has_their_keys(key_server: KeyServer, alg: str) -> None:
    signers = {name: signer() for name, signer in SIGNED.items()}
    key_server.answer = {"keys": [jwk(signer, kid=name, alg=name, use="sig") for name, signer in signers.items()]}
    verify = token_verifier(JWKSServer(key_server.url, ALL), TokenRules())
    assert (await verify(jwt.encode(CLAIMS, signers[alg], alg, {"kid": alg}))).subject == "u1"
    assert (await verify(jwt.encode(CLAIMS, signers[alg], alg))).subject == "u1"
    with pytest.raises(TokenRefused, match="signed with a key or an algorithm that this server does not accept"):
        await verify(jwt.encode(CLAIMS, signers[alg], alg, {"kid": "unknown"}))


@pytest.mark.parametrize(
    "url",
    [
        "https://issuer.example/jwks.json",
        "https://issuer.example:8443/a/b?c=d",
        "HTTPS://issuer.example",
        "https://192.0.2.1/jwks",
        "http://localhost:8080/jwks",
        "http://127.0.0.1/jwks",
        "http://127.9.9.9:1/jwks",
        "http://[::1]:8080/jwks",
    ],
)
def test_a_url_is_usable_if_nobody_on_the_way_can_change_the_response(url: str) -> None:
    JWKSServer(url, ALL)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "is neither a file nor a URL"),
        ("issuer.example/jwks", "is neither a file nor a URL"),
        ("https://", "is neither a file nor a URL"),
        ("https:///jwks", "is neither a file nor a URL"),
        ("https://:443/jwks", "is neither a file nor a URL"),
        ("ftp://issuer.example/jwks", "is neither a file nor a URL"),
        ("file:///etc/passwd", "is neither a file nor a URL"),
        ("data://text/plain,{}", "is neither a file nor a URL"),
        ("https://issuer.example/a b", "is neither a file nor a URL"),
        ("https://issuer.example/\n", "is not a URL"),
        ("https://issuer.example/é", "is neither a file nor a URL"),
        ("https://issuer.example:port/", "is not a URL"),
        ("https://issuer.example:99999/", "is neither a file nor a URL"),
        ("https://[::1/", "is not a URL"),
        ("https://hunter2@issuer.example/", "holds a user name or a password"),
        ("https://user:hunter2@issuer.example/", "holds a user name or a password"),
        ("http://issuer.example/hunter2", "must begin with https://"),
        ("http://localhost.example/", "must begin with https://"),
        ("http://10.0.0.1/", "must begin with https://"),
        ("http://0.0.0.0/", "must begin with https://"),
        ("http://[2001:db8::1]/", "must begin with https://"),
    ],
)
def test_any_other_url_is_refused_and_not_repeated(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as refused:
        JWKSServer(url, ALL)
    assert "hunter2" not in str(refused.value)


# In the application --------------------------------------------------------------------------------------------------------


def test_requests_get_503_until_the_keys_can_be_fetched(key_server: KeyServer, database_url: str, mint: Mint) -> None:
    key_server.answer = status(500)
    app = create_app(Settings(JWKSServer(key_server.url, ALL, retry=0.01), database_url))
    with TestClient(app) as client:
        path = f"/v1/workspace/{WORKSPACE}/sessions"
        headers = {"Authorization": f"Bearer {mint(key=rsa_key(), algorithm='RS256', headers={'kid': 'a'})}"}
        down = client.get(path, headers=headers)
        assert (down.status_code, down.headers["content-type"]) == (503, "application/problem+json")
        assert int(down.headers["retry-after"]) > 0
        assert "www-authenticate" not in down.headers
        assert key_server.url not in down.text
        assert client.get(path).status_code == 401  # this is known without keys
        assert client.get(path, headers={"Authorization": f"Bearer {mint()}"}).status_code == 401  # and that HS256 is out
        key_server.answer = {"keys": [jwk(rsa_key(), kid="a")]}
        until(lambda: client.get(path, headers=headers).status_code == 404)
        forged = {"Authorization": f"Bearer {mint(key=rsa_key('forger'), algorithm='RS256', headers={'kid': 'a'})}"}
        assert client.get(path, headers=forged).status_code == 401


def test_a_slow_key_server_does_not_hold_up_requests_that_need_no_key(
    key_server: KeyServer, database_url: str, mint: Mint
) -> None:
    key_server.open.clear()
    key_server.answer = {"keys": [jwk(rsa_key(), kid="a")]}
    with TestClient(create_app(Settings(JWKSServer(key_server.url, ALL), database_url))) as client:
        path = f"/v1/workspace/{WORKSPACE}/sessions"
        headers = {"Authorization": f"Bearer {mint(key=rsa_key(), algorithm='RS256', headers={'kid': 'a'})}"}
        statuses: list[int] = []
        waiting = threading.Thread(target=lambda: statuses.append(client.get(path, headers=headers).status_code))
        waiting.start()
        assert key_server.asked.acquire(timeout=10)
        assert client.get("/healthz").status_code == 200
        assert client.get(path).status_code == 401
        assert statuses == []  # neither had to wait for the end of the fetch
        key_server.open.set()
        waiting.join()
    assert statuses == [404]


def test_tokens_with_unknown_keys_do_not_delay_those_whose_key_is_known(
    key_server: KeyServer, sqlite_demo_url: str, mint: Mint
) -> None:
    key_server.answer = {"keys": [jwk(rsa_key(), kid="a")]}
    keys = JWKSServer(key_server.url, ALL, cooldown=0, max_waiting=2)

    def request(kid: str) -> bytes:
        token = mint(key=rsa_key(), algorithm="RS256", headers={"kid": kid})
        path = f"/v1/workspace/{WORKSPACE}/sessions?limit=1"
        return f"GET {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n\r\n".encode()

    with serving(Settings(keys, sqlite_demo_url, concurrent_requests=8)) as served, ExitStack() as opened:

        def ask(kid: str) -> Connection:
            connection = opened.enter_context(Connection(served.port))
            connection.send(request(kid))
            return connection

        assert ask("a").answer().status == 200
        assert key_server.asked.acquire(timeout=10)
        key_server.open.clear()
        waiting = ask("x1")
        assert key_server.asked.acquire(timeout=10)  # the fetch is under way, and silent
        others = [ask(f"x{number}") for number in range(2, 31)]
        statuses = [ask("a").answer().status for _ in range(30)]
        assert statuses == [200] * 30
        key_server.open.set()
        assert waiting.answer().status == 401
        assert sorted(connection.answer().status for connection in others) == [401] + [503] * 28
