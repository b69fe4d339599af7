"""Requests that Schemathesis generates from the contract, and their outcome."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema
from schemathesis.schemas import BaseSchema

CONFIGURATION = tomllib.loads((Path(__file__).parents[2] / "schemathesis.toml").read_text(encoding="utf-8"))
PHASES = {"examples", "coverage", "fuzzing"}


@dataclass(slots=True)
class Outcome:
    """The requests of a run, the statuses of the responses, and the failed checks."""

    requests: int = 0
    statuses: set[int] = field(default_factory=set)
    phases: set[str] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)


def configuration(seed: int, examples: int | None = None, workspace_id: str | None = None) -> SchemathesisConfig:
    """The configuration of the repository for one run; with a workspace, every request is for that one."""
    settings: Mapping[str, Any] = {**CONFIGURATION, "seed": seed}
    if examples is not None:
        settings = {**settings, "generation": {**settings.get("generation", {}), "max-examples": examples}}
    if workspace_id is not None:
        settings = {**settings, "parameters": {"path.workspaceId": workspace_id}}
    return SchemathesisConfig.from_dict(dict(settings))


def run(schema: BaseSchema, token: str) -> Outcome:
    """Run all phases with a token."""
    schema.config.update(headers={"Authorization": f"Bearer {token}"})
    outcome = Outcome()
    for event in from_schema(schema).execute():
        match event:
            case events.ScenarioFinished():
                for interaction in event.recorder.interactions.values():
                    outcome.requests += 1
                    if interaction.response is None:
                        outcome.failures.append(f"no response to {interaction.request.uri}")
                    else:
                        outcome.statuses.add(interaction.response.status_code)
                checks = (check for checks in event.recorder.checks.values() for check in checks)
                outcome.failures += [str(check.failure_info) for check in checks if check.status is not Status.SUCCESS]
            case events.PhaseFinished() if event.status is Status.SUCCESS:
                outcome.phases.add(event.phase.name.value.lower())
            case events.NonFatalError() | events.FatalError():
                outcome.failures.append(str(event))
    return outcome
