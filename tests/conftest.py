"""What the tests share: a migrated database file, the application on it, and tokens."""

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import hypothesis
import jwt
import pytest
from starlette.testclient import TestClient

from db.engine import Database
from db.schema import migrate
from handlers.keys import StaticKeys, secret_key
from server.app import create_app
from server.settings import Settings

SECRET = "a-secret-of-the-tests-that-is-long-enough-for-HS256"
WORKSPACE = "507f191e810c19729de860ea"

Mint: TypeAlias = Callable[..., str]
"""A token with these claims on top of valid ones; a claim that is None is left out."""
ClientOf: TypeAlias = Callable[[str], TestClient]
"""The application on the database with this URL."""

# The same examples at every run: a test that fails by luck fails for somebody else. `make fuzz` explores.
hypothesis.settings.register_profile("tests", derandomize=True, deadline=None, max_examples=100)
hypothesis.settings.load_profile("tests")


@pytest.fixture
def mint() -> Mint:
    def mint_token(*, key: Any = SECRET, algorithm: str = "HS256", headers: dict[str, Any] | None = None, **claims: Any) -> str:
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
def client_of() -> Iterator[ClientOf]:
    """Applications on any database, closed at the end of the run."""
    opened: list[TestClient] = []

    def open_client(url: str) -> TestClient:
        app = create_app(Settings(StaticKeys((secret_key(SECRET),)), url))
        client = TestClient(app, base_url="http://tests", follow_redirects=False)
        client.__enter__()
        opened.append(client)
        return client

    yield open_client
    for client in opened:
        client.__exit__(None, None, None)
