"""The server against its contract, asked by Schemathesis, in process, with every check and every phase on."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from schemathesis import Case, HookContext
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema

from tests.conftest import ClientOf, Mint

CONFIGURATION = tomllib.loads((Path(__file__).parents[2] / "schemathesis.toml").read_text())


@schemathesis.hook
def before_call(_context: HookContext, case: Case[Any], _kwargs: dict[str, Any]) -> None:
    # What makes a well-formed cursor good is the question that it was made for, which no schema can say.
    cursor = (case.query or {}).get("cursor")
    if isinstance(cursor, str) and re.fullmatch("[A-Za-z0-9_-]{1,512}", cursor):
        del case.query["cursor"]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_answer_to_any_question_breaks_the_contract(
    client_of: ClientOf, sqlite_demo_url: str, mint: Mint, seed: int
) -> None:
    config = SchemathesisConfig.from_dict({**CONFIGURATION, "seed": seed})
    schema = schemathesis.openapi.from_asgi("/openapi.json", client_of(sqlite_demo_url).app, config=config)
    schema.config.update(headers={"Authorization": f"Bearer {mint(workspaces=['*'])}"})

    finished, statuses, failures = set[str](), set[int](), list[str]()
    for event in from_schema(schema).execute():
        match event:
            case events.ScenarioFinished():
                for interaction in event.recorder.interactions.values():
                    assert interaction.response is not None
                    statuses.add(interaction.response.status_code)
                checks = (check for checks in event.recorder.checks.values() for check in checks)
                failures += [str(check.failure_info) for check in checks if check.status is not Status.SUCCESS]
            case events.PhaseFinished() if event.status is Status.SUCCESS:
                finished.add(event.phase.name.value)
            case events.NonFatalError() | events.FatalError():
                failures.append(str(event))
    assert failures == []
    assert {"examples", "coverage", "fuzzing"} <= {phase.lower() for phase in finished}
    assert {200, 400, 401, 404, 405} <= statuses  # it has asked well enough to be refused in every way it can
