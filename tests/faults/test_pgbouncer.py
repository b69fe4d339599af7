"""Behind PgBouncer: it is recognised in every mode, and serves or is refused in a sentence.

Debian 12 has version 1.18. From 1.21 on, PgBouncer keeps prepared statements in transaction mode, if max_prepared_statements
is set; the tests of that run where PGBOUNCER names such a version.
"""

import asyncio
import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
from sqlalchemy import text

from db.demo import DOCUMENTED_SESSION
from db.engine import Database
from db.errors import DatabaseNotReady
from db.postgresql import _SETTINGS
from db.schema import require_newest
from openapi.json import encode
from tests.conftest import WORKSPACE, Databases, Mint, Store
from tests.in_process import started
from tests.live import until

PGBOUNCER = os.environ.get("PGBOUNCER") or shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed")]

PATH = f"/v1/workspace/{WORKSPACE}/sessions"
BODY = encode({"sessions": [DOCUMENTED_SESSION]})
SCALING = Path(__file__).parents[2] / "docs" / "scaling.md"
MODES = [
    (f"pool_mode = {mode}", f"server_round_robin = {choice}")
    for mode in ("session", "transaction", "statement")
    for choice in (0, 1)
]


def version() -> tuple[int, ...]:
    assert PGBOUNCER is not None
    said = subprocess.run([PGBOUNCER, "--version"], check=True, capture_output=True, text=True).stdout
    found = re.search(r"PgBouncer (\d+)\.(\d+)", said)
    assert found is not None
    return tuple(map(int, found.groups()))


KEEPS_STATEMENTS = PGBOUNCER is not None and version() >= (1, 21)


def role_of(url: str) -> str:
    """The role that reads the database of a URL; roles belong to the whole server."""
    return urlsplit(url).path[1:] + "_reader"


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
        (folder / "users").write_text(f'"postgres" ""\n"{role_of(url)}" ""\n')
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
def role(url: str) -> Iterator[str]:
    """A role that may read."""
    name = role_of(url)
    execute(url, f"CREATE ROLE {name} LOGIN", f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}")
    yield name
    execute(url, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


@pytest.fixture
def reader(url: str, role: str) -> str:
    """A role whose settings are those that docs/scaling.md names."""
    commands = re.findall(r"^ALTER ROLE sessions_reader SET \w+ = [^;]+;", SCALING.read_text(), re.MULTILINE)
    execute(url, *(command.replace("sessions_reader", role) for command in commands if "-- on Citus" not in command))
    return role


def read_at_the_same_time(url: str, mint: Mint) -> None:
    async def run() -> None:
        async with started(url, mint()) as app:
            for _ in range(5):
                responses = await asyncio.gather(*(app.get(PATH) for _ in range(20)))
                assert {response.status for response in responses} == {200}
            assert (await app.get("/readyz")).status == 200

    asyncio.run(run())


@asynccontextmanager
async def traffic(url: str) -> AsyncIterator[None]:
    """Other clients of the same pool, which execute one statement after the other."""

    over = asyncio.Event()

    async def execute_often() -> None:
        connection = await asyncpg.connect(url)
        while not over.is_set():
            await connection.execute("SELECT pg_sleep(0.001)")
        await connection.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(execute_often())
        try:
            yield
        finally:
            over.set()


def test_session_mode_serves_and_takes_writes(url: str, reader: str, mint: Mint, store: Store) -> None:
    with pgbouncer(url, "pool_mode = session") as through:
        read_at_the_same_time(through.format(user=reader), mint)
        store(through.format(user="postgres"), [DOCUMENTED_SESSION])
        read_at_the_same_time(through.format(user=reader), mint)


@pytest.mark.parametrize("settings", MODES, ids=" ".join)
@pytest.mark.parametrize("with_traffic", [False, True])
def test_every_pooler_is_refused_while_the_settings_are_not_those_of_the_role(
    url: str, role: str, settings: tuple[str, ...], *, with_traffic: bool
) -> None:
    async def check_often(pooled: str) -> None:
        async with traffic(pooled) if with_traffic else nullcontext():
            for _ in range(10):
                database = Database(pooled)
                with pytest.raises(DatabaseNotReady, match=r"execute ALTER ROLE \w+ SET .*enable_seqscan = 'off'"):
                    await require_newest(database)
                await database.close()
            # No setting was left behind on a connection that other programs use.
            connection = await asyncpg.connect(pooled)
            await connection.execute("DO $$ BEGIN ASSERT current_setting('enable_seqscan') = 'on'; END $$")
            await connection.close()

    with pgbouncer(url, *settings, "max_prepared_statements = 100" if KEEPS_STATEMENTS else "") as through:
        asyncio.run(check_often(through.format(user=role)))


def test_the_commands_that_the_refusal_names_are_enough(url: str, role: str) -> None:
    with pgbouncer(url, "pool_mode = session") as through:
        with pytest.raises(DatabaseNotReady) as refused:
            on(through.format(user=role), require_newest)
        commands = re.findall(r"ALTER ROLE \w+ SET \w+ = '\w+'", str(refused.value))
        execute(url, *commands)
    with pgbouncer(url, "pool_mode = session") as through:
        on(through.format(user=role), require_newest)


def test_a_setting_that_another_client_has_made_does_not_count(url: str, role: str) -> None:
    async def make_settings(pooled: str) -> None:
        connection = await asyncpg.connect(pooled)
        await connection.execute("".join(f"SET {name} = {value};" for name, value in _SETTINGS.items()))
        await connection.close()

    with pgbouncer(url, "pool_mode = transaction") as through:
        asyncio.run(make_settings(through.format(user=role)))
        with pytest.raises(DatabaseNotReady, match="execute ALTER ROLE"):
            on(through.format(user=role), require_newest)


@pytest.mark.skipif(KEEPS_STATEMENTS, reason="it keeps prepared statements")
@pytest.mark.parametrize("choice", [0, 1])
def test_an_old_version_in_transaction_mode_is_refused_with_what_it_takes(url: str, reader: str, choice: int) -> None:
    async def use_two(pooled: str) -> None:
        first, second = Database(pooled), Database(pooled)
        await require_newest(first)
        for _ in range(2):
            with pytest.raises(DatabaseNotReady, match=r"PgBouncer 1\.21 or newer"):
                await require_newest(second)
        await first.close()
        await second.close()

    with pgbouncer(url, "pool_mode = transaction", f"server_round_robin = {choice}") as through:
        asyncio.run(use_two(through.format(user=reader)))


@pytest.mark.skipif(KEEPS_STATEMENTS, reason="it keeps prepared statements")
def test_an_old_version_in_transaction_mode_gives_no_wrong_response_under_load(url: str, reader: str, mint: Mint) -> None:
    async def run(pooled: str) -> None:
        async with traffic(pooled), started(pooled, mint()) as app:
            for _ in range(5):
                responses = await asyncio.gather(*(app.get(PATH) for _ in range(20)))
                assert {response.status for response in responses} <= {200, 503}
                assert {response.body for response in responses if response.status == 200} <= {BODY}

    with pgbouncer(url, "pool_mode = transaction", "server_round_robin = 1") as through:
        asyncio.run(run(through.format(user=reader)))


@pytest.mark.skipif(not KEEPS_STATEMENTS, reason="it loses prepared statements")
@pytest.mark.parametrize("settings", MODES, ids=" ".join)
def test_a_new_version_serves_in_every_mode_by_the_settings_of_the_role(
    url: str, reader: str, mint: Mint, settings: tuple[str, ...]
) -> None:
    with pgbouncer(url, *settings, "max_prepared_statements = 100") as through:
        read_at_the_same_time(through.format(user=reader), mint)
