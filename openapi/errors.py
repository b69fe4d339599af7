"""What the contract can object to. The edge decides what each becomes (`handlers.problems`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict


class ContractError(Exception):
    """The contract is not in order, so the server cannot start. `problems` names each thing that is wrong."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


# `in` is a keyword, hence the functional form.
ParameterError = TypedDict("ParameterError", {"in": Literal["path", "query"], "name": str, "message": str})
"""One parameter that is wrong, as the contract's schema of the same name writes it."""


@dataclass(frozen=True)
class InvalidParameters(Exception):
    """The request's parameters break the contract; `errors` names every one of them."""

    errors: Sequence[ParameterError]


class ContractViolation(Exception):
    """The server was about to answer something that the contract forbids. Says where, never what: rows are private."""


@dataclass(frozen=True)
class PageNotFound(Exception):
    """A cursor is well-formed and names no page of this list; `errors` names the parameter."""

    errors: Sequence[ParameterError]
