"""The longest stall of the event loop while the key server is silent: `.venv/bin/python -m bench.key_server_outage`.

A server and a heartbeat share an event loop. Another process sends requests with tokens whose key the server cannot fetch,
because the key server accepts connections and never responds. A late beat waited for code that held the loop for that
long. Other work on the machine delays beats as well; the second figure tells by how much.
"""

import asyncio
import io
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic, time
from typing import Any, NamedTuple

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa

from db import demo
from db.engine import Database
from handlers.jwks import JWKSServer
from handlers.keys import ASYMMETRIC, StaticKeys
from openapi.contract import load
from server.app import create_app, settle
from server.serving import options
from server.settings import Settings

BEAT = 0.002  # seconds
CLIENTS = 20


class Outage(NamedTuple):
    """The measurements of an outage. Times are in seconds."""

    longest_stall: float
    """The longest stall of the loop."""
    quiet_stall: float
    """The same without requests: the share of the machine itself."""
    took: float
    statuses: Counter[int]


class _Heartbeat:
    """Beats in the event loop, and remembers the longest delay of a beat."""

    def __init__(self) -> None:
        self.latest = 0.0

    async def run(self) -> None:
        while True:
            due = monotonic() + BEAT
            await asyncio.sleep(BEAT)
            self.latest = max(self.latest, monotonic() - due)


@asynccontextmanager
async def _beating() -> AsyncIterator[_Heartbeat]:
    heartbeat = _Heartbeat()
    task = asyncio.create_task(heartbeat.run())
    try:
        yield heartbeat
    finally:
        task.cancel()


class _Server(uvicorn.Server):
    """A server that can be waited for."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()


async def measure(database_url: str, *, fetch_timeout: float, log: dict[str, Any] | None = None) -> Outage:
    """Send requests to a server on this database until two fetches of the keys have timed out."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/jwks"
        keys = JWKSServer(url, frozenset(ASYMMETRIC), timeout=fetch_timeout, retry=0.1)
        settings = Settings(keys, database_url)
        app = create_app(settings)
        settle()  # as `sessions-api serve` does
        server = _Server(uvicorn.Config(app, port=0, **{**options(settings), "log_config": log}))
        serving = asyncio.create_task(server.serve())
        await server.listens.wait()
        try:
            async with _beating() as quiet:
                await asyncio.sleep(fetch_timeout)
            async with _beating() as heartbeat:
                begin = monotonic()
                statuses = await _send(server.servers[0].sockets[0].getsockname()[1], 2 * fetch_timeout)
                took = monotonic() - begin
        finally:
            server.should_exit = True
            await serving
    return Outage(heartbeat.latest, quiet.latest, took, statuses)


async def _send(port: int, seconds: float) -> Counter[int]:
    key = await asyncio.to_thread(rsa.generate_private_key, 65537, 2048)
    claims = {"sub": "bench", "exp": int(time()) + 600, "scope": "sessions.view", "workspaces": ["*"]}
    token = jwt.encode(claims, key, "RS256", {"kid": "unknown"})
    path = f"/v1/workspace/{demo.FIRST_WORKSPACE}/sessions"
    clients = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.clients", str(port), str(CLIENTS), str(seconds)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )
    request = f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
    out, _ = await clients.communicate(request.encode())
    return Counter(map(int, out.split()))


async def _main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/bench.sqlite3"
        database = Database(url)
        await demo.prepare(database, load().schemas)
        await database.close()
        log = options(Settings(StaticKeys(())))["log_config"]
        log["handlers"]["stderr"]["stream"] = io.StringIO()  # the lines are formatted as ever, and dropped
        outage = await measure(url, fetch_timeout=2, log=log)
    responses = ", ".join(f"{count} x {status}" for status, count in outage.statuses.items())
    sys.stdout.write(
        f"longest stall of the event loop: {outage.longest_stall * 1000:.1f} ms"
        f" (without requests: {outage.quiet_stall * 1000:.1f} ms)\n"
        f"responses to {CLIENTS} clients in {outage.took:.1f} s: {responses}\n"
    )


if __name__ == "__main__":
    asyncio.run(_main())
