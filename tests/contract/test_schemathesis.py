"""The server against its contract, asked by Schemathesis, in process, with every check and every phase on.

`make fuzz` asks a server process over HTTP, on both engines, more often and for as long as one likes.
"""

import subprocess
import sys
from pathlib import Path

import pytest
import schemathesis

from handlers.keys import StaticKeys, secret_key
from server.settings import Settings
from tests.conftest import SECRET, ClientOf, Mint
from tests.contract.questions import PHASES, ask, configuration
from tests.live import serving


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_answer_to_any_question_breaks_the_contract(
    client_of: ClientOf, sqlite_demo_url: str, mint: Mint, seed: int
) -> None:
    app = client_of(sqlite_demo_url).app
    outcome = ask(schemathesis.openapi.from_asgi("/openapi.json", app, config=configuration(seed)), mint(workspaces=["*"]))
    assert outcome.failures == []
    assert outcome.phases >= PHASES
    assert outcome.statuses >= {200, 400, 401, 404, 405}  # it has asked well enough to be refused in every way it can


def test_a_first_run_of_a_client_without_any_configuration_finds_nothing(
    sqlite_demo_url: str, mint: Mint, tmp_path: Path
) -> None:
    with serving(Settings(StaticKeys((secret_key(SECRET),)), sqlite_demo_url)) as served:
        run = subprocess.run(
            [
                Path(sys.executable).with_name("st"),
                *("run", f"http://127.0.0.1:{served.port}/openapi.yaml", "--seed", "1", "--no-color"),
                *("-H", f"Authorization: Bearer {mint(workspaces=['*'])}"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert "No issues found" in run.stdout, run.stdout
    assert run.returncode == 0
