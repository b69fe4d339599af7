"""Behind PgBouncer: session mode works, and transaction mode works or is refused in a sentence.

Debian 12 has version 1.18. From 1.21 on, PgBouncer keeps prepared statements in transaction mode, if max_prepared_statements
is set; the test of that runs where such a version is installed.
"""

import asyncio
import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
from sqlalchemy import text

from db.demo import DOCUMENTED_SESSION
from db.engine import Database
from db.errors import DatabaseNotReady
from db.schema import require_newest
from tests.conftest import WORKSPACE, Databases, Mint, Store
from tests.in_process import started
from tests.live import until

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed")]

PATH = f"/v1/workspace/{WORKSPACE}/sessions"
SETTINGS = (
    "default_transaction_read_only = on",
    "statement_timeout = '30s'",
    "enable_seqscan = off",
    "enable_bitmapscan = off",
    "jit = off",
    "max_parallel_workers_per_gather = 0",
    "plan_cache_mode = force_generic_plan",
)
"""What docs/scaling.md says to set for the role."""


def version() -> tuple[int, ...]:
    assert PGBOUNCER is not None
    said = subprocess.run([PGBOUNCER, "--version"], check=True, capture_output=True, text=True).stdout
    found = re.search(r"PgBouncer (\d+)\.(\d+)", said)
    assert found is not None
    return tuple(map(int, found.groups()))


@contextmanager
def pgbouncer(url: str, *settings: str) -> Iterator[str]:
    """PgBouncer in front of the server of a URL: the URL through it, with user {user}."""
    parts = urlsplit(url)
    [sockets] = parse_qs(parts.query)["host"]
    with tempfile.TemporaryDirectory(prefix="sessions-pgbouncer-") as name, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        folder, owner = Path(name), Path(sockets).stat()
        lines = ["[databases]", f"* = host={sockets}", "[pgbouncer]", "listen_addr = 127.0.0.1", f"listen_port = {port}"]
        lines += ["auth_type = trust", f"auth_file = {folder}/users", "unix_socket_dir =", f"logfile = {folder}/log"]
        (folder / "pgbouncer.ini").write_text("\n".join([*lines, *settings, ""]))
        (folder / "users").write_text('"postgres" ""\n"reader" ""\n')
        os.chown(folder, owner.st_uid, owner.st_gid)  # it does not run as root
        user = owner.st_uid if os.getuid() == 0 else None
        assert PGBOUNCER is not None
        process = subprocess.Popen([PGBOUNCER, "--quiet", folder / "pgbouncer.ini"], user=user)
        try:
            until(lambda: accepts(port))
            yield f"postgresql://{{user}}@127.0.0.1:{port}{parts.path}?sslmode=disable"
        finally:
            process.terminate()
            process.wait()


def accepts(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def url(postgresql_databases: Databases, store: Store) -> str:
    url = postgresql_databases.migrated()
    store(url, [DOCUMENTED_SESSION])
    return url


def on(url: str, work: Callable[[Database], Awaitable[Any]]) -> None:
    async def run() -> None:
        database = Database(url)
        try:
            await work(database)
        finally:
            await database.close()

    asyncio.run(run())


def execute(url: str, *statements: str) -> None:
    async def run(database: Database) -> None:
        async with database.transaction() as connection:
            for statement in statements:
                await connection.execute(text(statement))

    on(url, run)


@pytest.fixture
def reader(url: str) -> Iterator[str]:
    """A role that may read, whose settings are those that this program needs."""
    alter = [f"ALTER ROLE reader SET {setting}" for setting in SETTINGS]
    execute(url, "CREATE ROLE reader LOGIN", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader", *alter)
    yield "reader"
    execute(url, "DROP OWNED BY reader", "DROP ROLE reader")


def ask_at_the_same_time(url: str, mint: Mint) -> None:
    async def run() -> None:
        async with started(url, mint()) as app:
            for _ in range(5):
                responses = await asyncio.gather(*(app.get(PATH) for _ in range(20)))
                assert {response.status for response in responses} == {200}

    asyncio.run(run())


def test_session_mode_serves_and_takes_writes(url: str, mint: Mint, store: Store) -> None:
    with pgbouncer(url, "pool_mode = session") as through:
        pooled = through.format(user="postgres")
        ask_at_the_same_time(pooled, mint)
        store(pooled, [DOCUMENTED_SESSION])  # no connection for reading has left its settings to one for writing
        ask_at_the_same_time(pooled, mint)


@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_another_mode_is_refused_while_the_settings_are_not_those_of_the_role(url: str, mode: str) -> None:
    with pgbouncer(url, f"pool_mode = {mode}") as through:
        for _ in range(2):  # the second time, the server's process has statements of the first
            with pytest.raises(DatabaseNotReady, match=r"in transaction mode|loses prepared statements"):
                on(through.format(user="postgres"), require_newest)

        async def write() -> None:  # not even a refused connection has left a setting behind for another program
            connection = await asyncpg.connect(through.format(user="postgres"))
            await connection.execute("DELETE FROM sessions")
            await connection.close()

        asyncio.run(write())


@pytest.mark.skipif(PGBOUNCER is not None and version() >= (1, 21), reason="it keeps prepared statements")
def test_an_old_version_in_transaction_mode_is_refused_with_what_it_takes(url: str, reader: str) -> None:
    with pgbouncer(url, "pool_mode = transaction") as through:
        for _ in range(2):
            with pytest.raises(DatabaseNotReady, match=r"PgBouncer 1\.21 or newer"):
                on(through.format(user=reader), require_newest)


@pytest.mark.skipif(PGBOUNCER is None or version() < (1, 21), reason="it loses prepared statements")
def test_a_new_version_in_transaction_mode_serves_by_the_settings_of_the_role(url: str, reader: str, mint: Mint) -> None:
    with pgbouncer(url, "pool_mode = transaction", "max_prepared_statements = 100") as through:
        ask_at_the_same_time(through.format(user=reader), mint)


def test_settings_of_the_role_are_enough(url: str, reader: str) -> None:
    async def read(database: Database) -> None:
        async with database.acquire() as connection:
            assert await connection.fetch("SELECT 1 FROM pg_settings WHERE name = 'jit' AND source = 'session'", ()) == []

    with pgbouncer(url, "pool_mode = session") as through:
        on(through.format(user=reader), read)


def test_startup_parameters_that_are_ignored_make_no_difference(url: str) -> None:
    async def read(database: Database) -> None:
        async with database.acquire() as connection:
            [[timeout]] = await connection.fetch("SHOW statement_timeout", ())
            assert timeout == "30s"

    ignore = "ignore_startup_parameters = statement_timeout, default_transaction_read_only, extra_float_digits"
    with pgbouncer(url, "pool_mode = session", ignore) as through:
        on(through.format(user="postgres"), read)
