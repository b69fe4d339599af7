"""Health: `/healthz` and `/readyz`."""

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from db.engine import Database
from handlers.jwks import JWKSServer
from handlers.keys import ASYMMETRIC, KeySource, StaticKeys, secret_key
from server import health
from server.app import create_app
from server.settings import Settings
from tests.conftest import SECRET, ClientOf, Databases
from tests.key_servers import KeyServer
from tests.live import serving, until

KEYS = StaticKeys((secret_key(SECRET),))
READY = {"status": "ready", "checks": {"database": "ok", "keys": "ok"}}


@pytest.fixture
def silent_address() -> Iterator[str]:
    """The address of a server that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def client_for(url: str, keys: KeySource = KEYS) -> TestClient:
    """A client of an application of the test's own, which is started and ended as a context."""
    return TestClient(create_app(Settings(keys, url)))


def test_a_server_with_its_database_and_keys_is_alive_and_ready(client_of: ClientOf, database_url: str) -> None:
    client = client_of(database_url)
    for path, body in {"/healthz": {"status": "ok"}, "/readyz": READY}.items():
        response = client.get(path)
        assert (response.status_code, response.json()) == (200, body)
        assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_other_methods_than_get_and_head_are_405(client_of: ClientOf, sqlite_url: str, path: str) -> None:
    client = client_of(sqlite_url)
    assert client.head(path).status_code == 200
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
        response = client.request(method, path)
        assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD"), method
        assert response.headers["content-type"] == "application/problem+json"


def test_without_its_database_the_server_is_alive_and_not_ready(tmp_path: Path) -> None:
    with client_for(f"sqlite:///{tmp_path}/missing.sqlite3") as client:
        assert client.get("/healthz").status_code == 200
        response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {"status": "not ready", "checks": {"database": "unavailable", "keys": "ok"}}
    assert str(tmp_path) not in response.text


def test_tables_of_another_version_are_not_ready(databases: Databases) -> None:
    url = databases.migrated()

    async def change() -> None:
        database = Database(url)
        async with database.transaction() as connection:
            await connection.execute(text("UPDATE sessions_api_version SET version_num = '9999'"))
        await database.close()

    with client_for(url) as client:
        asyncio.run(change())
        response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["checks"]["database"] == "wrong version"


def test_a_database_that_says_nothing_is_not_ready_within_the_limit(
    silent_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "MAX_SECONDS", 0.2)
    started = time.monotonic()
    client = client_for(f"postgresql://user@{silent_address}/sessions")  # not started, which would wait for longer
    response = client.get("/readyz")
    assert response.json() == {"status": "not ready", "checks": {"database": "unavailable", "keys": "ok"}}
    assert time.monotonic() - started < health.MAX_SECONDS + 2


def test_a_probe_fetches_the_keys_and_is_ready_once_they_are_there(key_server: KeyServer, sqlite_url: str) -> None:
    settings = Settings(JWKSServer(key_server.url, frozenset(ASYMMETRIC)), sqlite_url)
    with serving(settings) as served, httpx.Client(base_url=f"http://127.0.0.1:{served.port}") as client:
        waiting = client.get("/readyz")
        assert waiting.status_code == 503
        assert waiting.json()["checks"] == {"database": "ok", "keys": "unavailable"}
        key_server.open.set()
        until(lambda: client.get("/readyz").status_code == 200)
        assert len(key_server.requests) == 1


def test_keys_of_which_none_can_be_used_are_not_ready(key_server: KeyServer, sqlite_url: str) -> None:
    key_server.open.set()
    key_server.answer = {"keys": []}
    with client_for(sqlite_url, JWKSServer(key_server.url, frozenset(ASYMMETRIC))) as client:
        assert client.get("/readyz").json()["checks"] == {"database": "ok", "keys": "none usable"}


def test_requests_that_hold_every_connection_keep_no_probe_waiting(databases: Databases) -> None:
    url = databases.migrated()

    async def probe_while_all_is_taken() -> dict[str, str]:
        requests, readiness = Database(url), health.Readiness(url, KEYS)
        taken = [requests.acquire() for _ in range(10)]
        for each in taken:
            await each.__aenter__()
        try:
            return await readiness.check()
        finally:
            for each in taken:
                await each.__aexit__(None, None, None)
            await requests.close()
            await readiness.close()

    assert asyncio.run(probe_while_all_is_taken()) == READY["checks"]


def test_many_probes_at_once_ask_the_database_once(silent_address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "MAX_SECONDS", 0.1)

    async def probe() -> None:
        readiness = health.Readiness(f"postgresql://user@{silent_address}/sessions", KEYS)
        tasks = len(asyncio.all_tasks())
        results = await asyncio.gather(*(readiness.check() for _ in range(50)))
        assert all(result["database"] == "unavailable" for result in results)
        assert len(asyncio.all_tasks()) <= tasks + 1
        await readiness.close()

    asyncio.run(probe())
