"""The server against its contract, asked by Schemathesis, in process, with every check and every phase on.

`make fuzz` asks a server process over HTTP, on both engines, more often and for as long as one likes.
"""

import pytest
import schemathesis

from tests.conftest import ClientOf, Mint
from tests.contract.questions import PHASES, ask, configuration


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_answer_to_any_question_breaks_the_contract(
    client_of: ClientOf, sqlite_demo_url: str, mint: Mint, seed: int
) -> None:
    app = client_of(sqlite_demo_url).app
    outcome = ask(schemathesis.openapi.from_asgi("/openapi.json", app, config=configuration(seed)), mint(workspaces=["*"]))
    assert outcome.failures == []
    assert outcome.phases >= PHASES
    assert outcome.statuses >= {200, 400, 401, 404, 405}  # it has asked well enough to be refused in every way it can
