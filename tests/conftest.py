"""What the tests share: a migrated database file, the application on it, and tokens."""

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import hypothesis
import jwt
import pytest
from starlette.testclient import TestClient

from db import demo
from db.documents import DocumentReader
from db.engine import Database
from db.errors import WorkspaceNotFound
from db.importing import import_documents
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
    """Put documents into a database, by the import that everybody uses."""

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


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with tables and no rows. Copy it before writing to it."""
    file = tmp_path_factory.mktemp("migrated") / "migrated.sqlite3"

    async def create() -> None:
        database = Database(f"sqlite:///{file}", read_only=False)
        await migrate(database)
        await database.close()

    asyncio.run(create())
    return file


@pytest.fixture
def database_url(migrated_file: Path, tmp_path: Path) -> str:
    """A migrated, empty database of the test's own."""
    file = tmp_path / "test.sqlite3"
    shutil.copyfile(migrated_file, file)
    return f"sqlite:///{file}"


@pytest.fixture(scope="session")
def oracle_url(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database that a test fills anew for each of its examples."""
    file = tmp_path_factory.mktemp("oracle") / "oracle.sqlite3"
    shutil.copyfile(migrated_file, file)
    return f"sqlite:///{file}"


@pytest.fixture(scope="session")
def demo_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The demo data. Only read it."""
    url = f"sqlite:///{tmp_path_factory.mktemp('demo') / 'demo.sqlite3'}"

    async def create() -> None:
        database = Database(url, read_only=False)
        await demo.prepare(database, SCHEMAS)
        await database.close()

    asyncio.run(create())
    return url


@pytest.fixture(scope="session")
def store() -> Store:
    def store_documents(
        url: str, documents: list[dict[str, Any]], *, workspaces: list[str] | None = None, fresh: bool = False
    ) -> None:
        async def write() -> None:
            database = Database(url, read_only=False)
            async with database.transaction() as connection:
                for workspace_id in workspaces or ():
                    if fresh:
                        with suppress(WorkspaceNotFound):
                            await remove_workspace(connection, workspace_id)
                    await add_workspace(connection, workspace_id)
            lines = BytesIO(b"\n".join(map(encode, documents)))
            await import_documents(database, DocumentReader(SCHEMAS).read(lines, "test data"))
            await database.close()

        asyncio.run(write())

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
