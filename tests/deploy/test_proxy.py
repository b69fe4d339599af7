"""The shipped configuration of nginx, in a real nginx."""

import http.client
import json
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

import pytest

from db.demo import FIRST_WORKSPACE
from tests.conftest import SECRET, Mint
from tests.deploy.conftest import Proxy, StartProxy
from tests.live import until
from tests.nginx import free_port
from tests.processes import TIMEOUT, Start, programs_in

pytestmark = pytest.mark.slow

REQUESTS = 5_000
CLIENTS = 4


class Upstream:
    """A server that says 200 to everything and keeps the targets that it was asked for."""

    def __init__(self) -> None:
        self.targets: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.targets.append(self.requestline.split()[1])
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    yield server
    server.close()


@contextmanager
def connected(proxy: Proxy) -> Iterator[http.client.HTTPSConnection]:
    client = http.client.HTTPSConnection("127.0.0.1", proxy.port, timeout=TIMEOUT, context=proxy.trust)
    try:
        yield client
    finally:
        client.close()


def ask(proxy: Proxy, target: str, method: str = "GET", **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
    with connected(proxy) as client:
        client.request(method, target, headers=headers)
        response = client.getresponse()
        return response.status, response.headers, response.read()


# Restarts ------------------------------------------------------------------------------------------------------------------


class Load:
    """Clients that send requests without a pause until enough are sent and the restarts are over."""

    def __init__(self, proxy: Proxy, target: str, token: str) -> None:
        self.outcomes: Counter[str] = Counter()
        self.restarts_are_over = threading.Event()
        self._request = (proxy, target, {"Authorization": f"Bearer {token}"})
        self._threads = [threading.Thread(target=self._run) for _ in range(CLIENTS)]

    @property
    def sent(self) -> int:
        return self.outcomes.total()

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.restarts_are_over.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        proxy, target, headers = self._request
        with connected(proxy) as client:
            while self.sent < REQUESTS or not self.restarts_are_over.is_set():
                try:
                    client.request("GET", target, headers=headers)
                    response = client.getresponse()
                    response.read()
                    self.outcomes[str(response.status)] += 1
                except (OSError, http.client.HTTPException) as error:
                    self.outcomes[repr(error)] += 1
                    client.close()


def test_restarting_two_servers_in_turn_under_load_loses_no_request(
    start_proxy: StartProxy, sqlite_demo_url: str, mint: Mint, tmp_path: Path
) -> None:
    ports = [free_port(), free_port()]
    with programs_in(tmp_path) as start:
        servers = [serve(start, port, sqlite_demo_url) for port in ports]
        proxy = start_proxy(*ports)
        target = f"/v1/workspace/{FIRST_WORKSPACE}/sessions?limit=5"
        restarts = 0
        with Load(proxy, target, mint(workspaces=["*"])) as load:
            while restarts < 4 or load.sent < REQUESTS:
                server = restarts % 2
                servers[server].terminate()
                assert servers[server].wait(TIMEOUT) == 0
                servers[server] = serve(start, ports[server], sqlite_demo_url)
                restarts += 1
        assert load.outcomes == {"200": load.sent}
        assert load.sent >= REQUESTS


def serve(start: Start, port: int, database_url: str) -> subprocess.Popen[str]:
    """A server that is ready."""
    server = start(
        *("serve", "--port", str(port), "--no-access-log"),
        SESSIONS_DATABASE_URL=database_url,
        SESSIONS_JWT_SECRET=SECRET,
    )

    def is_ready() -> bool:
        assert server.poll() is None
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        try:
            client.request("GET", "/readyz")
            return client.getresponse().status == 200
        except ConnectionRefusedError:
            return False
        finally:
            client.close()

    until(is_ready)
    return server


# Requests ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["/v1/workspace/a%2Fb/sessions?x=%2C", "//docs", "/v1/../docs", "/a/./b", "/caf%C3%A9"])
def test_a_target_is_passed_on_as_it_came(start_proxy: StartProxy, upstream: Upstream, target: str) -> None:
    assert ask(start_proxy(upstream.port, upstream.port), target)[0] == 200
    assert upstream.targets == [target]


@pytest.mark.parametrize("target", ["/readyz", "/metrics", "/x/../readyz", "/%72eadyz"])
def test_what_only_operators_need_is_not_passed_on(start_proxy: StartProxy, upstream: Upstream, target: str) -> None:
    assert_problem(ask(start_proxy(upstream.port, upstream.port), target), 404)
    assert upstream.targets == []


def test_no_query_is_logged(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = start_proxy(upstream.port, upstream.port)
    ask(proxy, "/v1/x?access_token=secret")
    until(lambda: " GET /v1/x 200 " in proxy.log.read_text(encoding="utf-8"))
    assert "secret" not in proxy.log.read_text(encoding="utf-8")


# Refusals ------------------------------------------------------------------------------------------------------------------


def assert_problem(received: tuple[int, http.client.HTTPMessage, bytes], status: int) -> None:
    assert received[0] == status
    assert received[1]["content-type"] == "application/problem+json"
    body = json.loads(received[2])
    assert body["status"] == status
    assert set(body) == {"type", "title", "status", "detail"}
    assert (received[1]["retry-after"] is not None) == (status in (429, 503))


def test_what_the_proxy_refuses_is_a_problem_document(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = start_proxy(upstream.port, upstream.port)
    assert_problem(ask(proxy, "/" + "x" * 30_000), 414)
    assert_problem(ask(proxy, "/", X="y" * 30_000), 400)
    assert_problem(ask(proxy, "/", **{"Content-Length": "70000"}), 413)
    assert upstream.targets == []


def test_more_requests_from_one_address_than_allowed_are_429(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = start_proxy(upstream.port, upstream.port, rate="1r/s")
    statuses = Counter[int]()
    with connected(proxy) as client:
        for _ in range(250):  # one at once, and a burst of 200
            client.request("GET", "/")
            response = client.getresponse()
            body = response.read()
            statuses[response.status] += 1
    assert_problem((response.status, response.headers, body), 429)
    assert set(statuses) == {200, 429}
    assert statuses[200] >= 201


def test_without_a_server_to_ask_the_proxy_says_503(start_proxy: StartProxy) -> None:
    assert_problem(ask(start_proxy(free_port(), free_port()), "/v1/x"), 503)
