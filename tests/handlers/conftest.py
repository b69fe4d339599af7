"""What the tests of the handlers share."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from tests.conftest import ClientOf, Databases, Mint, Store
from tests.handlers.long_list import NUMBER, documents


@pytest.fixture(scope="module")
def long_url(databases: Databases, store: Store) -> str:
    """A database with a list that is too long to be sent whole."""
    url = databases.migrated()
    store(url, documents(NUMBER))
    return url


@pytest.fixture
def long(client_of: ClientOf, long_url: str, mint: Mint) -> Iterator[TestClient]:
    """The application on that database, with a token that covers the list."""
    client = client_of(long_url)
    client.headers["Authorization"] = f"Bearer {mint(workspaces=['long'])}"
    yield client
    del client.headers["Authorization"]
