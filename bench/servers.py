"""The servers: how each is started, what it costs, and how it ends."""

import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import psutil

from bench.golang import build_programs
from bench.store import OUR_PROGRAM, ROOT, SECRET, Database, Store, our_environment

_START = 30  # seconds that a server may take to accept connections


Variant = Literal["plain", "cached", "cold"]
"""Plain: no response cache. Cached: with it. Cold: neither it nor the memory of checked documents."""


@dataclass(frozen=True, slots=True)
class Server:
    """A program to measure."""

    name: str  # to choose it by
    title: str
    validates: str
    command: Callable[[int], list[str]]
    """From the port to listen on."""
    database: Database = Database.RELATIONAL
    variant: Variant = "plain"
    settings: Mapping[str, str] = field(default_factory=dict)
    """Environment variables."""
    ours: bool = False


def our_server(
    name: str, title: str, database: Database = Database.DOCUMENTS, *, variant: Variant = "plain", workers: int = 1
) -> Server:
    """Our program."""
    program = [str(OUR_PROGRAM.with_name("python")), "-m", "bench.cold"] if variant == "cold" else [str(OUR_PROGRAM)]
    command = [*program, "serve", "--workers", str(workers), "--no-access-log", "--port"]
    settings = {} if variant == "cached" else {"SESSIONS_CACHE_BYTES": "0"}
    return Server(name, title, "yes", lambda port: [*command, str(port)], database, variant, settings, ours=True)


def _uvicorn(module: str) -> Callable[[int], list[str]]:
    # With uvicorn's 5 seconds for an idle connection, a slow program would lose connections between its long responses.
    options = (
        "--http httptools --loop uvloop --no-access-log --log-level warning --timeout-keep-alive 75 --host 127.0.0.1 --port"
    )
    return lambda port: [sys.executable, "-m", "uvicorn", f"bench.peers.{module}:app", *options.split(), str(port)]


def _node_servers() -> list[Server]:
    folder = ROOT / "bench" / "peers" / "node"
    node = shutil.which("node")
    if node is None or not (folder / "node_modules").is_dir():
        print("Left out: Fastify and Express. Install node 20 with npm, then run make bench.", file=sys.stderr)
        return []

    def command(file: str) -> Callable[[int], list[str]]:
        return lambda _port: [node, str(folder / file)]

    return [
        Server("fastify", "Fastify 5 + openapi-glue", "serialises by it", command("fastify.js")),
        Server("express", "Express 5 + express-openapi-validator", "yes", command("express.js")),
    ]


def _go_servers() -> list[Server]:
    titles = {
        "plain": ("Go net/http + pgx", "no", Database.RELATIONAL),
        "contract": ("Go net/http + pgx + kin-openapi", "yes", Database.RELATIONAL),
        "documents": ("Go net/http + pgx over documents", "no", Database.DOCUMENTS),
    }

    def server(name: str, program: Path) -> Server:
        title, validates, database = titles[name]
        one_core = {"GOMAXPROCS": "1"}  # as the other programs have
        return Server(f"go-{name}", title, validates, lambda _port: [str(program)], database, settings=one_core)

    return [server(name, program) for name, program in build_programs().items()]


def _floor(name: str, title: str, database: Database = Database.RELATIONAL) -> Server:
    return Server(name, title, "no", _uvicorn(name.replace("-", "_")), database)


def all_servers() -> list[Server]:
    """Every server that can run here; says which cannot."""
    return [
        _floor("floor-sql", "bare ASGI + asyncpg, names aggregated in SQL"),
        _floor("floor-python", "bare ASGI + asyncpg, names joined in Python"),
        _floor("floor-documents", "bare ASGI + asyncpg over documents", Database.DOCUMENTS),
        our_server("ours", "**sessions-api**"),
        our_server("ours-cached", "**sessions-api**, response cache on", variant="cached"),
        our_server("ours-cold", "**sessions-api**, no document remembered", variant="cold"),
        *_go_servers(),
        *_node_servers(),
        Server("litestar", "Litestar + msgspec + SQLAlchemy ORM", "yes", _uvicorn("with_litestar")),
        Server("fastapi", "FastAPI + Pydantic + SQLAlchemy ORM", "yes", _uvicorn("with_fastapi")),
        Server("connexion", "Connexion 3.3 + SQLAlchemy ORM", "yes", _uvicorn("with_connexion")),
        _floor("floor-sqlite", "SQLite: bare ASGI + sqlite3", Database.SQLITE_RELATIONAL),
        _floor("floor-documents-sqlite", "SQLite: bare ASGI + sqlite3 over documents", Database.SQLITE_DOCUMENTS),
        our_server("ours-sqlite", "SQLite: **sessions-api**", Database.SQLITE_DOCUMENTS),
    ]


class Running:
    """A server that runs."""

    def __init__(self, server: Server, port: int, process: psutil.Popen) -> None:
        self.server = server
        self.port = port
        self.process = process

    def cpu_seconds(self) -> float:
        """CPU time of its processes, in user mode and in the kernel."""
        return sum(map(_cpu_seconds, (self.process, *self.process.children(recursive=True))))

    def memory(self) -> int:
        """Resident memory of its processes, in bytes."""
        return sum(int(each.memory_info().rss) for each in (self.process, *self.process.children(recursive=True)))


class PostgreSQL:
    """The processes of the database server."""

    def __init__(self, pid: int) -> None:
        self._postmaster = psutil.Process(pid)

    def cpu_seconds(self) -> float:
        """CPU time of its processes, also of those that have ended."""
        while True:
            ended = self._ended()
            live = sum(map(_cpu_seconds, (self._postmaster, *self._postmaster.children(recursive=True))))
            if self._ended() == ended:  # else one ended in between, and may be in neither sum
                return ended + live

    def _ended(self) -> float:
        times = self._postmaster.cpu_times()
        return float(times.children_user + times.children_system)


def _cpu_seconds(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


@contextmanager
def running(servers: list[Server], store: Store, logs: Path) -> Iterator[list[Running]]:
    """Start servers, all at once, and end them.

    Raises:
        SystemExit: when one does not start; its last words are printed.
    """
    logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        started = []
        for server in servers:
            port = _free_port()
            log = stack.enter_context((logs / f"{server.name}.log").open("wb"))
            environment = _environment(server, store, port)
            process = psutil.Popen(server.command(port), env=environment, cwd=ROOT, stdout=log, stderr=log)
            stack.callback(_end, process)
            started.append(Running(server, port, process))
        for each in started:
            _wait(each, logs / f"{each.server.name}.log")
        yield started


def end_on_signal() -> None:
    """Let SIGTERM end this process as an exception does, so that nothing that it started stays behind."""
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))


def _environment(server: Server, store: Store, port: int) -> dict[str, str]:
    url = store.urls[server.database]
    if server.ours:
        environment = our_environment(url)
    else:
        environment = os.environ | {"DATABASE_URL": url, "JWT_SECRET": SECRET, "PORT": str(port), "NODE_ENV": "production"}
    return environment | dict(server.settings)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(server: Running, log: Path) -> None:
    until = time.monotonic() + _START
    while time.monotonic() < until and server.process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", server.port)):
            return
        time.sleep(0.01)
    raise SystemExit(f"{server.server.title} does not start. {log} ends with:\n{log.read_text()[-2000:]}")


def _end(process: psutil.Popen) -> None:
    with suppress(psutil.NoSuchProcess):  # it has ended already
        process.terminate()
    try:
        process.wait(10)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait()
