"""Statements as a driver takes them: written with SQLAlchemy, compiled once, and executed without it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import asyncpg

_DIALECTS = {
    "sqlite": sqlite.dialect(),
    "postgresql": asyncpg.dialect(),  # type: ignore[no-untyped-call]
}


class Statement(NamedTuple):
    """The text of a statement, and the names of the values that it takes, in their order."""

    text: str
    names: tuple[str, ...]

    def values(self, given: Mapping[str, Any]) -> list[Any]:
        """The values in the order in which the driver wants them."""
        return [given[name] for name in self.names]


def compile_statement(query: Any, engine: str) -> Statement:
    """Compile a query whose values are all named (`bindparam`) for an engine: `sqlite` or `postgresql`."""
    compiled = query.compile(dialect=_DIALECTS[engine])
    return Statement(str(compiled), tuple(compiled.positiontup or ()))
