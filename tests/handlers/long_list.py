"""A list that is too long to be sent whole."""

from typing import Any

from db.demo import DOCUMENTED_SESSION
from handlers.sessions import MAX_PAGE
from openapi import timestamps

NUMBER = 2 * MAX_PAGE + 345


def documents(number: int) -> list[dict[str, Any]]:
    """In their order; every session has another date."""
    first = timestamps.parse("2020-01-01").first
    return [
        {**DOCUMENTED_SESSION, "workspaceId": "long", "id": f"s{each}", "date": timestamps.write(first + each * 3_600_000)}
        for each in range(number)
    ]
