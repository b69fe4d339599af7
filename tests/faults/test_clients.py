"""A client that has gone while PostgreSQL works for it: its request ends, and frees its place and its connection."""

import asyncio
from time import monotonic

import asyncpg

from db.demo import DOCUMENTED_SESSION
from handlers.keys import StaticKeys, secret_key
from server.settings import Settings
from tests.conftest import SECRET, WORKSPACE, Databases, Mint, Store
from tests.live import Connection, serving, until

PATH = f"/v1/workspace/{WORKSPACE}/sessions"


def test_a_client_that_has_gone_frees_its_place_and_its_connection(
    postgresql_databases: Databases, store: Store, mint: Mint
) -> None:
    url = postgresql_databases.migrated()
    store(url, [DOCUMENTED_SESSION])
    request = f"GET {PATH} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {mint()}\r\n\r\n".encode()
    settings = Settings(StaticKeys((secret_key(SECRET),)), url, concurrent_requests=1)

    with asyncio.Runner() as runner, serving(settings) as server:
        other = runner.run(asyncpg.connect(url))

        def waiting() -> int:
            query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            return int(runner.run(other.fetchval(query)))

        def status() -> int:
            with Connection(server.port) as client:
                client.send(request)
                return client.answer().status

        assert status() == 200
        runner.run(other.execute("BEGIN; LOCK TABLE workspaces IN ACCESS EXCLUSIVE MODE"))
        with Connection(server.port) as client:
            client.send(request)
            until(lambda: waiting() == 1)
            assert status() == 503  # the only place is taken
        gone = monotonic()
        until(lambda: waiting() == 0)  # long before the statement timeout
        assert monotonic() - gone < 10
        runner.run(other.execute("COMMIT"))
        assert status() == 200
        runner.run(other.close())
