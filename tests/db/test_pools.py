"""Connections for reading: they cannot write, end late statements, and tell an outage from our own mistakes."""

import asyncio
import os
import shutil
import socket
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import asyncpg
import pytest

from db.engine import Database
from db.errors import DatabaseNotReady, DatabaseUnavailable, TooManySnapshots
from db.limits import CONNECTIONS, SNAPSHOTS
from db.pools import Connection
from db.postgresql_servers import Servers
from tests.conftest import Databases
from tests.faults.relay import Relay, socket_file, url_through

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@asynccontextmanager
async def opened(url: str, **options: int) -> AsyncIterator[Database]:
    database = Database(url, **options)
    try:
        yield database
    finally:
        await asyncio.wait_for(database.close(), 30)


def run(url: str, use: Callable[[Database], Awaitable[None]], **options: int) -> None:
    async def open_and_use() -> None:
        async with opened(url, **options) as database:
            await use(database)

    asyncio.run(open_and_use())


def test_a_connection_for_reading_cannot_write(database_url: str) -> None:
    async def write(database: Database) -> None:
        for acquire in (database.acquire, database.snapshot):
            with pytest.raises(DatabaseUnavailable, match=r"read-?only"):
                async with acquire() as connection:
                    await connection.fetch("DELETE FROM workspaces", ())

    run(database_url, write)


def test_a_statement_that_takes_longer_than_its_limit_ends_and_its_connection_is_replaced(database_url: str) -> None:
    async def wait(database: Database) -> None:
        with pytest.raises(DatabaseUnavailable):
            async with database.acquire() as connection:
                await connection.fetch(ENDLESS, ())
        async with database.acquire() as connection:
            assert [tuple(row) for row in await connection.fetch("SELECT 1", ())] == [(1,)]

    run(database_url, wait, statement_timeout=1)


def test_a_cancelled_statement_leaves_a_usable_pool(database_url: str) -> None:
    async def cancel(database: Database) -> None:
        async def wait_forever() -> None:
            async with database.acquire() as connection:
                await connection.fetch(ENDLESS, ())

        tasks = [asyncio.create_task(wait_forever()) for _ in range(CONNECTIONS)]
        await asyncio.sleep(0.05)  # whether they have begun or not makes no difference
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with database.acquire() as connection:
            assert [tuple(row) for row in await connection.fetch("SELECT 1", ())] == [(1,)]

    run(database_url, cancel)


@pytest.mark.parametrize(
    ("statement", "parameters"),
    [("SELECT unknown FROM sessions", ()), ("SELECT 1 WHERE", ()), ("SELECT 1", (1,)), ("SELECT unknown()", ())],
)
def test_our_own_mistakes_are_not_taken_for_an_outage(
    database_url: str, statement: str, parameters: tuple[int, ...]
) -> None:
    async def execute(database: Database) -> None:
        try:
            async with database.acquire() as connection:
                await connection.fetch(statement, parameters)
        except DatabaseUnavailable:
            pytest.fail("it was taken for an outage")
        except Exception:  # noqa: BLE001 - whichever class the driver has for it
            return
        pytest.fail("it was taken")

    run(database_url, execute)


def test_missing_tables_are_an_outage(database_url: str) -> None:
    async def execute(database: Database) -> None:
        with pytest.raises(DatabaseUnavailable, match="nothing_like_it"):
            async with database.acquire() as connection:
                await connection.fetch("SELECT 1 FROM nothing_like_it", ())

    run(database_url, execute)


def test_nothing_is_acquired_after_the_end(database_url: str) -> None:
    async def close_and_acquire(database: Database) -> None:
        async with database.acquire() as connection:
            await connection.fetch("SELECT 1", ())
        await database.close()
        for acquire in (database.acquire, database.snapshot):
            with pytest.raises(DatabaseUnavailable, match="closed"):
                async with acquire():
                    pytest.fail("a connection was acquired")

    run(database_url, close_and_acquire)


def test_snapshots_have_connections_of_their_own_and_are_refused_beyond_their_number(database_url: str) -> None:
    async def hold(database: Database) -> None:
        held = [database.snapshot() for _ in range(SNAPSHOTS)]
        try:
            for snapshot in held:
                await (await snapshot.__aenter__()).fetch("SELECT 1", ())
            with pytest.raises(TooManySnapshots):
                async with database.snapshot():
                    pytest.fail("there was another")
            async with database.acquire() as connection:
                await connection.fetch("SELECT 1", ())
        finally:
            for snapshot in held:
                await snapshot.__aexit__(None, None, None)
        async with database.snapshot() as connection:
            await connection.fetch("SELECT 1", ())

    run(database_url, hold)


def test_a_snapshot_that_ends_with_an_error_leaves_no_transaction_behind(database_url: str) -> None:
    async def fail(database: Database) -> None:
        async def read_and_fail() -> None:
            async with database.snapshot() as connection:
                await connection.fetch("SELECT 1", ())
                raise KeyError

        for _ in range(2 * SNAPSHOTS):
            with pytest.raises(KeyError):
                await read_and_fail()

    run(database_url, fail)


def test_reading_goes_on_while_another_program_writes(sqlite_url: str) -> None:
    async def read(database: Database) -> None:
        with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("INSERT INTO workspaces (id) VALUES ('w')")
            async with database.acquire() as connection:
                assert await connection.fetch("SELECT id FROM workspaces", ()) == []
            writer.execute("COMMIT")
            async with database.acquire() as connection:
                assert await connection.fetch("SELECT id FROM workspaces", ()) == [("w",)]

    run(sqlite_url, read)


def test_a_new_connection_waits_for_a_locked_file(tmp_path: Path) -> None:
    file = tmp_path / "a.sqlite3"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE numbers AS SELECT 1 AS number")

    async def read(database: Database) -> None:
        async def fetch() -> list[tuple[int]]:
            async with database.acquire() as connection:
                return [tuple(row) for row in await connection.fetch("SELECT number FROM numbers", ())]

        with closing(sqlite3.connect(file, isolation_level=None)) as writer:
            writer.execute("BEGIN EXCLUSIVE")
            task = asyncio.create_task(fetch())
            for _ in range(10):
                await asyncio.sleep(0)
            assert not task.done()
            writer.execute("COMMIT")
        assert await task == [(1,)]

    run(f"sqlite:///{file}", read)


def test_another_file_in_the_place_of_the_open_one_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a.sqlite3"

    def put(number: int) -> None:
        with closing(sqlite3.connect(tmp_path / "new.sqlite3")) as connection:
            connection.execute(f"CREATE TABLE numbers AS SELECT {number} AS number")
        (tmp_path / "new.sqlite3").rename(file)

    async def read(database: Database) -> None:
        for number in (1, 2):
            put(number)
            async with database.acquire() as connection:
                assert await connection.fetch("SELECT number FROM numbers", ()) == [(number,)]
        file.unlink()
        with pytest.raises(DatabaseUnavailable, match="there is no database file"):
            async with database.acquire():
                pytest.fail("a missing file was opened")
        assert not file.exists()

    run(f"sqlite:///{file}", read)


@pytest.mark.parametrize("option", ["mode=ro", "mode=rw", "immutable=1"])
def test_a_file_is_opened_as_its_url_says(sqlite_url: str, option: str) -> None:
    async def read(database: Database) -> None:
        async with database.acquire() as connection:
            assert await connection.fetch("SELECT id FROM workspaces", ()) == []

    run(f"{sqlite_url}?{option}", read)


@pytest.fixture
def read_only_folder(sqlite_url: str) -> Iterator[Path]:
    """A folder with a copy of a database, in which this process may create no file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(sqlite_url.removeprefix("sqlite:///"), folder / "a.sqlite3")
        (folder / "a.sqlite3").chmod(0o444)
        folder.chmod(0o555)
        if os.geteuid() == 0:
            os.seteuid(65534)  # root may write everywhere
            yield folder
            os.seteuid(0)
        else:
            yield folder
        folder.chmod(0o755)


def test_a_file_in_a_folder_that_cannot_be_written_is_read_as_immutable(read_only_folder: Path) -> None:
    async def read(database: Database) -> None:
        async with database.acquire() as connection:
            assert await connection.fetch("SELECT id FROM workspaces", ()) == []

    url = f"sqlite:///{read_only_folder / 'a.sqlite3'}"
    for option in ("", "?mode=ro"):
        with pytest.raises(DatabaseNotReady, match=r"folder cannot be written: add \?immutable=1 to its URL"):
            run(f"{url}{option}", read)
    run(f"{url}?immutable=1", read)


def test_a_file_with_changes_in_its_log_is_not_read_as_immutable(sqlite_url: str) -> None:
    async def read(database: Database) -> None:
        with pytest.raises(DatabaseNotReady, match="-wal holds changes that are not in the database file"):
            async with database.acquire():
                pytest.fail("a state without the last changes was read")

    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as writer:
        writer.execute("INSERT INTO workspaces (id) VALUES ('w')")
        writer.commit()
        run(f"{sqlite_url}?immutable=1", read)


@pytest.mark.parametrize("with_citus", [False, True])
def test_plans_are_made_for_all_values_except_where_citus_needs_to_know_them(
    postgresql_databases: Databases, *, with_citus: bool
) -> None:
    url = postgresql_databases.migrated()

    async def read(database: Database) -> None:
        connection: Connection
        other = await asyncpg.connect(url)
        if with_citus:
            await other.execute("CREATE FUNCTION citus_version() RETURNS text RETURN 'Citus'")
        await other.close()
        for _ in range(2):  # the second time, the connection has been used before
            async with database.acquire() as connection:
                [[mode]] = await connection.fetch("SHOW plan_cache_mode", ())
                assert mode == ("auto" if with_citus else "force_generic_plan")

    run(url, read)


@pytest.mark.parametrize("seconds", [1, 60, 3600])
def test_the_statement_timeout_holds(postgresql_databases: Databases, seconds: int) -> None:
    url = postgresql_databases.migrated()

    async def read(database: Database) -> None:
        async with database.acquire() as connection:
            [[timeout]] = await connection.fetch("SELECT setting::int FROM pg_settings WHERE name = 'statement_timeout'", ())
            assert timeout == seconds * 1000

    run(url, read, statement_timeout=seconds)


def test_a_connection_over_tcp_notices_that_its_peer_is_gone(postgresql_databases: Databases) -> None:
    url = postgresql_databases.migrated()

    async def connect(url: str) -> list[int]:
        connection = await Servers(url).connect()
        found = connection._transport.get_extra_info("socket")  # noqa: SLF001 - asyncpg shows it nowhere
        options = [found.getsockopt(socket.IPPROTO_TCP, option) for option in (socket.TCP_KEEPIDLE, socket.TCP_USER_TIMEOUT)]
        await connection.close()
        return options

    with Relay(socket_file(url)) as relay:
        assert asyncio.run(connect(url_through(relay, url=url))) == [5, 5000]
