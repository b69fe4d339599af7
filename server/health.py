"""Health: whether the process answers, and whether requests should be sent to it."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from connexion import AsyncApp
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from db.engine import Database
from db.errors import DatabaseNotReady, DatabaseUnavailable
from db.schema import require_newest
from handlers.keys import ASYMMETRIC, SYMMETRIC, KeySource, KeysUnavailable
from server.pages import Page

MAX_SECONDS = 2
"""After which a check that has not ended counts as failed."""


class Readiness:
    """Checks what requests need. A check that takes long is not started again before it ends, however many ask."""

    def __init__(self, database_url: str, keys: KeySource) -> None:
        # A pool of its own: requests cannot keep a probe waiting for a connection.
        self._database = Database(database_url, statement_timeout=MAX_SECONDS)
        self._checks: dict[str, Callable[[], Awaitable[str]]] = {
            "database": partial(_check_database, self._database),
            "keys": partial(_check_keys, keys),
        }
        self._running: dict[str, asyncio.Task[str]] = {}

    async def check(self) -> dict[str, str]:
        """Each check's result, `ok` when it passed."""
        tasks = {name: self._start(name) for name in self._checks}
        await asyncio.wait(tasks.values(), timeout=MAX_SECONDS)
        return {name: task.result() if task.done() else "unavailable" for name, task in tasks.items()}

    def _start(self, name: str) -> "asyncio.Task[str]":
        task = self._running.get(name)
        if task is None or task.done():
            task = self._running[name] = asyncio.ensure_future(self._checks[name]())
        return task

    async def close(self) -> None:
        await self._database.close()


async def _check_database(database: Database) -> str:
    try:
        await require_newest(database)
    except DatabaseNotReady:
        return "wrong version"
    except DatabaseUnavailable:
        return "unavailable"
    return "ok"


async def _check_keys(source: KeySource) -> str:
    try:
        usable = [key for alg in (*SYMMETRIC, *ASYMMETRIC) for key in await source.candidates({"alg": alg})]
    except KeysUnavailable:
        return "unavailable"
    return "ok" if usable else "none usable"


def add_health(app: AsyncApp, readiness: Readiness) -> None:
    """Add `/healthz` and `/readyz`, which ask for no token and are not counted among the requests at a time."""
    app.add_url_rule("/healthz", "/healthz", Page(_healthz))
    app.add_url_rule("/readyz", "/readyz", Page(partial(_readyz, readiness)))


async def _healthz(_request: Request) -> Response:
    """The process answers: restart it when it does not, as while its event loop stalls. The database plays no part."""
    return _response(200, {"status": "ok"})


async def _readyz(readiness: Readiness, request: Request) -> Response:
    """Send requests here only while this is 200."""
    if getattr(request.state, "draining", False):  # see server.draining
        return _response(503, {"status": "draining"})
    checks = await readiness.check()
    if set(checks.values()) == {"ok"}:
        return _response(200, {"status": "ready", "checks": checks})
    return _response(503, {"status": "not ready", "checks": checks})


def _response(status: int, content: dict[str, object]) -> Response:
    return JSONResponse(content, status, {"cache-control": "no-store"})
