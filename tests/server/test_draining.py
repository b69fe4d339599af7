"""How the real program ends and restarts: signals, workers, and requests that are in flight meanwhile."""

import errno
import json
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Self

import httpx
import pytest

from db.demo import DOCUMENTED_SESSION, FIRST_WORKSPACE
from tests.conftest import SECRET, WORKSPACE, Mint, Store
from tests.key_servers import KeyServer
from tests.live import Connection, Received, until
from tests.processes import TIMEOUT, Start, port_of, read_until
from tests.signers import rsa_key

pytestmark = pytest.mark.slow

PATH = f"/v1/workspace/{FIRST_WORKSPACE}/sessions"


def get(port: int, path: str = "/healthz", **headers: str) -> Received:
    """The response on a connection of its own."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in {"Host": "h", **headers}.items())
    with Connection(port) as connection:
        connection.send(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
        return connection.answer()


def listening(server: subprocess.Popen[str]) -> int:
    """The port on which it serves. A parent prints it before one of its workers listens."""
    port = port_of(server)
    until(lambda: not is_refused(port))
    return port


def is_refused(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


def workers_of(server: subprocess.Popen[str]) -> set[int]:
    """The process ids of its workers. multiprocessing has one more child, which serves nothing."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text(encoding="ascii").split()
    return {int(pid) for pid in children if "spawn_main" in command_of(int(pid))}


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def ended(server: subprocess.Popen[str]) -> str:
    """What a server that ends by itself has printed; it ends with 0 and without a traceback."""
    out, _ = server.communicate(timeout=TIMEOUT)
    assert server.returncode == 0, out
    assert "Traceback" not in out
    return out


# SIGTERM -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_that_is_told_to_end_is_not_ready_and_serves_until_the_drain_delay_is_over(
    start: Start, key_server: KeyServer, sqlite_demo_url: str, mint: Mint, workers: str
) -> None:
    server = start(
        *("serve", "--port", "0", "--workers", workers),
        SESSIONS_DATABASE_URL=sqlite_demo_url,
        SESSIONS_JWKS=key_server.url,
        SESSIONS_DRAIN_DELAY="600",
    )
    port = listening(server)
    token = mint(key=rsa_key(), algorithm="RS256", headers={"kid": "a"})
    with Connection(port) as in_flight:
        in_flight.send(f"GET {PATH} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        assert key_server.asked.acquire(timeout=TIMEOUT)
        server.send_signal(signal.SIGTERM)
        until(lambda: [get(port, "/readyz").body for _ in range(10)] == [b'{"status":"draining"}'] * 10)
        assert get(port, "/readyz").status == 503
        served = get(port, PATH)
        assert (served.status, served.header("connection")) == (401, "close")
        assert get(port).status == 200
        os.killpg(server.pid, signal.SIGINT)  # which ends the delay, like time
        until(lambda: is_refused(port))
        assert server.poll() is None
        key_server.open.set()
        response = in_flight.answer()
        assert response.status == 200
        assert len(json.loads(response.body)["sessions"]) > 1
        assert in_flight.rest() == b""
    ended(server)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_listener_closes_when_the_drain_delay_is_over(start: Start, sqlite_demo_url: str, workers: str) -> None:
    server = start(
        *("serve", "--port", "0", "--workers", workers),
        SESSIONS_DATABASE_URL=sqlite_demo_url,
        SESSIONS_JWT_SECRET=SECRET,
        SESSIONS_DRAIN_DELAY="1",
    )
    port = listening(server)
    assert get(port, "/readyz").status == 200
    begin = time.monotonic()
    server.send_signal(signal.SIGTERM)
    until(lambda: is_refused(port))
    assert time.monotonic() - begin > 1
    ended(server)


def test_without_a_drain_delay_idle_connections_are_closed_at_once(start: Start, sqlite_demo_url: str) -> None:
    server = start("serve", "--port", "0", SESSIONS_DATABASE_URL=sqlite_demo_url, SESSIONS_JWT_SECRET=SECRET)
    with Connection(listening(server)) as idle:
        idle.send(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
        assert idle.answer().status == 200
        server.send_signal(signal.SIGTERM)
        assert idle.rest() == b""
    ended(server)


def test_a_list_that_is_being_streamed_is_sent_to_its_end(start: Start, sqlite_url: str, store: Store, mint: Mint) -> None:
    large = {**DOCUMENTED_SESSION, "workspaceId": WORKSPACE, "notes": [{"text": "x" * 16_384}]}
    store(sqlite_url, [{**large, "id": f"s{number:04}"} for number in range(1500)])
    server = start("serve", "--port", "0", SESSIONS_DATABASE_URL=sqlite_url, SESSIONS_JWT_SECRET=SECRET)
    port = listening(server)
    headers = {"Authorization": f"Bearer {mint()}", "Accept-Encoding": "identity"}
    with httpx.stream("GET", f"http://127.0.0.1:{port}/v1/workspace/{WORKSPACE}/sessions", headers=headers) as response:
        body = response.iter_raw()
        received = next(body)
        server.send_signal(signal.SIGTERM)
        until(lambda: is_refused(port))
        received += b"".join(body)
    assert len(json.loads(received)["sessions"]) == 1500
    ended(server)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_request_that_outlasts_the_grace_period_gets_503(
    start: Start, key_server: KeyServer, sqlite_demo_url: str, mint: Mint, workers: str
) -> None:
    server = start(
        *("serve", "--port", "0", "--workers", workers),
        SESSIONS_DATABASE_URL=sqlite_demo_url,
        SESSIONS_JWKS=key_server.url,
        SESSIONS_GRACE_PERIOD="1",
    )
    token = mint(key=rsa_key(), algorithm="RS256", headers={"kid": "a"})
    with Connection(listening(server)) as in_flight:
        in_flight.send(f"GET {PATH} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        assert key_server.asked.acquire(timeout=TIMEOUT)
        server.send_signal(signal.SIGTERM)
        response = in_flight.answer()
    assert response.status == 503
    assert response.header("content-type") == "application/problem+json"
    assert response.header("retry-after")
    ended(server)


# Workers -------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def two_workers(start: Start, sqlite_demo_url: str) -> subprocess.Popen[str]:
    return start(
        *("serve", "--port", "0", "--workers", "2", "--no-access-log"),
        SESSIONS_DATABASE_URL=sqlite_demo_url,
        SESSIONS_JWT_SECRET=SECRET,
        SESSIONS_DRAIN_DELAY="600",  # which plays no part while others go on serving
    )


def test_a_worker_that_is_killed_is_replaced(two_workers: subprocess.Popen[str]) -> None:
    port = listening(two_workers)
    until(lambda: len(workers_of(two_workers)) == 2)
    first = workers_of(two_workers)
    os.kill(min(first), signal.SIGKILL)
    until(lambda: len(workers_of(two_workers) - {min(first)}) == 2)
    until(lambda: get(port, "/readyz").status == 200)


def test_a_worker_that_is_killed_while_the_database_is_away_is_replaced_and_the_others_go_on(
    start: Start, sqlite_url: str
) -> None:
    server = start(
        *("serve", "--port", "0", "--workers", "2", "--no-access-log"),
        SESSIONS_DATABASE_URL=sqlite_url,
        SESSIONS_JWT_SECRET=SECRET,
    )
    port = port_of(server)
    for _ in range(2):
        read_until(server, "Application startup complete")
    first = workers_of(server)
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    away = file.rename(file.with_suffix(".away"))
    os.kill(min(first), signal.SIGKILL)
    read_until(server, "the database cannot be reached")
    until(lambda: get(port, "/readyz").status == 503)
    assert get(port).status == 200
    away.rename(file)
    until(lambda: [get(port, "/readyz").status for _ in range(10)] == [200] * 10)
    assert len(workers_of(server)) == 2


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_that_cannot_listen_exits_with_3(start: Start, sqlite_demo_url: str, workers: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = start(
            *("serve", "--port", str(taken.getsockname()[1]), "--workers", workers),
            SESSIONS_DATABASE_URL=sqlite_demo_url,
            SESSIONS_JWT_SECRET=SECRET,
        )
        out, _ = server.communicate(timeout=TIMEOUT)
    assert server.returncode == 3, out
    assert "ddress already in use" in out


class Probes:
    """Asks whether a server is ready, again and again, as a client that tries once more on a connection that breaks."""

    def __init__(self, port: int) -> None:
        self.statuses: list[int] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(port,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self, port: int) -> None:
        while not self._stop.is_set():
            try:
                response = get(port, "/readyz")
            except (ConnectionResetError, AssertionError):  # cut off
                response = get(port, "/readyz")
            self.statuses.append(response.status)


def test_on_sighup_workers_are_replaced_one_by_one_while_the_server_stays_ready(two_workers: subprocess.Popen[str]) -> None:
    port = listening(two_workers)
    until(lambda: len(workers_of(two_workers)) == 2)
    first = workers_of(two_workers)
    with Probes(port) as probes:
        until(lambda: probes.statuses)
        two_workers.send_signal(signal.SIGHUP)
        until(lambda: not first & workers_of(two_workers))
        until(lambda: len(workers_of(two_workers)) == 2)
    assert set(probes.statuses) == {200}


def test_without_workers_sighup_is_ignored_and_logged(start: Start, sqlite_demo_url: str) -> None:
    server = start("serve", "--port", "0", SESSIONS_DATABASE_URL=sqlite_demo_url, SESSIONS_JWT_SECRET=SECRET)
    port = port_of(server)
    server.send_signal(signal.SIGHUP)
    assert "--workers 2 or more" in read_until(server, "SIGHUP")
    assert get(port).status == 200
    server.send_signal(signal.SIGTERM)
    ended(server)


def test_on_sighup_workers_read_the_file_of_settings_again(start: Start, sqlite_demo_url: str, tmp_path: Path) -> None:
    file = tmp_path / "sessions.env"
    file.write_text(f"SESSIONS_DATABASE_URL={sqlite_demo_url}\nSESSIONS_JWT_SECRET={SECRET}\n")
    server = start("serve", "--port", "0", "--workers", "2", "--settings", str(file))
    port = listening(server)
    assert get(port).header("strict-transport-security") is None
    with file.open("a") as stream:
        stream.write("SESSIONS_BEHIND_TLS=yes\n")
    server.send_signal(signal.SIGHUP)
    until(lambda: all(get(port).header("strict-transport-security") for _ in range(10)))


def test_when_the_parent_is_killed_no_worker_goes_on_serving(two_workers: subprocess.Popen[str]) -> None:
    port = listening(two_workers)
    assert get(port).status == 200
    until(lambda: len(workers_of(two_workers)) == 2)
    workers = workers_of(two_workers)
    two_workers.kill()
    two_workers.wait(TIMEOUT)
    until(lambda: is_refused(port))
    until(lambda: not any(map(command_of, workers)))
