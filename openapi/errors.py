"""Errors of the contract. `handlers.problems` decides what each becomes in HTTP."""

from collections.abc import Sequence
from typing import Literal, TypedDict


class ContractError(Exception):
    """The contract is not in order, so the server cannot start. `problems` names each problem and its place."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class ParameterError(TypedDict):
    """One parameter at fault: the schema of the same name in the contract."""

    location: Literal["path", "query", "header"]
    name: str
    message: str


class InvalidParameters(Exception):
    """The request's parameters break the contract; `errors` names every one of them."""

    def __init__(self, errors: Sequence[ParameterError]) -> None:
        super().__init__(errors)
        self.errors = errors


class PageNotFound(InvalidParameters):
    """The cursor is well-formed but names no page of this list; `errors` says why."""


class ContractViolation(Exception):
    """The server was about to send a response that the contract forbids. Names the place, never the value."""
