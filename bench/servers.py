"""The servers: how each is started, what it costs, and how it ends."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bench.store import OUR_PROGRAM, ROOT, SECRET, Store, our_environment

_NODE = ROOT / "bench" / "peers" / "node"
_START = 30  # seconds that a server may take to accept connections


@dataclass(frozen=True, slots=True)
class Server:
    """A program to measure."""

    name: str  # to choose it by
    title: str
    validates: str
    command: Callable[[int], list[str]]
    """From the port to listen on."""
    on_sqlite: bool = False
    keeps_answers: bool = False
    """It may answer the same question again without asking the database: only measured where that is the point."""
    settings: dict[str, str] = field(default_factory=dict)
    ours: bool = False


def ours(workers: int = 1) -> Callable[[int], list[str]]:
    """The command that serves with our program."""
    return lambda port: [str(OUR_PROGRAM), "serve", "--port", str(port), "--workers", str(workers), "--no-access-log"]


def _uvicorn(module: str) -> Callable[[int], list[str]]:
    # Its 5 seconds for an idle connection are over before a slow program has worked off eight long answers.
    options = (
        "--http httptools --loop uvloop --no-access-log --log-level warning --timeout-keep-alive 75 --host 127.0.0.1 --port"
    )
    return lambda port: [sys.executable, "-m", "uvicorn", f"bench.peers.{module}:app", *options.split(), str(port)]


def _node(file: str) -> Callable[[int], list[str]]:
    return lambda _port: [str(shutil.which("node")), str(_NODE / file)]


def _our_settings() -> set[str]:
    told = subprocess.run([OUR_PROGRAM, "--help"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"SESSIONS_\w+", told))


def all_servers() -> list[Server]:
    """Every server that can run here; says which cannot."""
    without_cache = {"SESSIONS_CACHE_BYTES": "0"} if "SESSIONS_CACHE_BYTES" in _our_settings() else {}
    servers = [
        Server("floor-sql", "bare ASGI + asyncpg, names aggregated in SQL", "no", _uvicorn("floor_sql")),
        Server("floor-python", "bare ASGI + asyncpg, names joined in Python", "no", _uvicorn("floor_python")),
        Server("ours", "**sessions-api**", "yes", ours(), settings=without_cache, ours=True),
        Server("ours-repeat", "**sessions-api**, the same again", "yes", ours(), keeps_answers=True, ours=True),
    ]
    if not shutil.which("node"):
        print("Fastify and Express are left out: there is no node.", file=sys.stderr)
    elif not (_NODE / "node_modules").is_dir():
        print("Fastify and Express are left out: npm has not installed them.", file=sys.stderr)
    else:
        servers += [
            Server("fastify", "Fastify 5 + openapi-glue", "serialises by it", _node("fastify.js")),
            Server("express", "Express 5 + express-openapi-validator", "yes", _node("express.js")),
        ]
    servers += [
        Server("litestar", "Litestar + msgspec + SQLAlchemy ORM", "yes", _uvicorn("with_litestar")),
        Server("fastapi", "FastAPI + Pydantic + SQLAlchemy ORM", "yes", _uvicorn("with_fastapi")),
        Server("connexion", "Connexion 3.3 + SQLAlchemy ORM", "yes", _uvicorn("with_connexion")),
        Server("floor-sqlite", "SQLite: bare ASGI + sqlite3", "no", _uvicorn("floor_sqlite"), on_sqlite=True),
        Server("ours-sqlite", "SQLite: **sessions-api**", "yes", ours(), on_sqlite=True, settings=without_cache, ours=True),
    ]
    return servers


class Running:
    """A server that runs."""

    def __init__(self, server: Server, port: int, process: psutil.Popen) -> None:
        self.server = server
        self.port = port
        self.process = process

    def cpu_seconds(self) -> float:
        """Time that its processes have spent, in user mode and in the kernel."""
        return sum(map(_cpu_seconds, (self.process, *self.process.children(recursive=True))))

    def memory(self) -> int:
        """Resident memory of its processes, in bytes."""
        return sum(int(each.memory_info().rss) for each in (self.process, *self.process.children(recursive=True)))


class PostgreSQL:
    """The processes of the database server."""

    def __init__(self, pid: int) -> None:
        self._postmaster = psutil.Process(pid)

    def cpu_seconds(self) -> float:
        """Time that its processes have spent, those that have ended among them."""
        ended = self._postmaster.cpu_times()
        return float(ended.children_user + ended.children_system) + sum(
            map(_cpu_seconds, (self._postmaster, *self._postmaster.children(recursive=True)))
        )


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
    url = store.sqlite_url if server.on_sqlite else store.postgresql_url
    if server.ours:
        return our_environment(url) | server.settings
    return os.environ | {"DATABASE_URL": url, "JWT_SECRET": SECRET, "PORT": str(port), "NODE_ENV": "production"}


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
    process.terminate()
    try:
        process.wait(10)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait()
