"""What the tests of the handlers share."""

from collections.abc import Iterator

import httpx
import pytest

from tests.conftest import ClientOf, Mint


@pytest.fixture
def client(client_of: ClientOf, demo_url: str, mint: Mint) -> Iterator[httpx.Client]:
    """The demo data, asked by somebody who may see every workspace."""
    client = client_of(demo_url)
    client.headers["Authorization"] = f"Bearer {mint(workspaces=['*'])}"
    yield client
    del client.headers["Authorization"]
