"""The server against its contract, tested by Schemathesis over HTTP, with every check and every phase on.

`make fuzz` does so on both engines, with more requests. tests/sdk/recipes has the run of a client team, which has no
configuration.
"""

from collections.abc import Iterator

import pytest
import schemathesis

from handlers.keys import StaticKeys, secret_key
from server.settings import Settings
from tests.conftest import SECRET, Mint
from tests.contract.generated_requests import PHASES, configuration, run
from tests.live import serving


@pytest.fixture(scope="module")
def address(sqlite_demo_url: str) -> Iterator[str]:
    """The address of the contract of a server with the demo data."""
    with serving(Settings(StaticKeys((secret_key(SECRET),)), sqlite_demo_url)) as served:
        yield f"http://127.0.0.1:{served.port}/openapi.yaml"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_response_to_any_request_breaks_the_contract(address: str, mint: Mint, seed: int) -> None:
    outcome = run(schemathesis.openapi.from_url(address, config=configuration(seed)), mint(workspaces=["*"]))
    assert outcome.failures == []
    assert outcome.phases >= PHASES
    assert outcome.statuses >= {200, 400, 401, 404, 405}  # every kind of refusal that a request can cause
