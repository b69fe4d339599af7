"""Calls the server through the client of openapi-python-client, and prints the outcome of each check."""

import json
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from os import environ
from typing import Any

from sessions_client import AuthenticatedClient
from sessions_client.api.sessions import list_sessions
from sessions_client.models import Problem, Session, SessionList, SessionSort, SessionStatus
from sessions_client.types import UNSET, Response, Unset

WORKSPACE = "507f191e810c19729de860ea"
RIYADH = timezone(timedelta(hours=3))

Answer = Response[Any | Problem | SessionList]


def to(server: str, token: str = "TOKEN") -> AuthenticatedClient:
    return AuthenticatedClient(base_url=environ[server], token=environ[token])


client = to("SERVER")
ask = partial(list_sessions.sync_detailed, WORKSPACE, client=client)


def sessions(answer: Answer) -> list[Session]:
    assert isinstance(answer.parsed, SessionList), answer
    return answer.parsed.sessions


def ids(answer: Answer) -> list[str]:
    return [session.id for session in sessions(answer)]


def problem(answer: Answer) -> dict[str, object]:
    assert isinstance(answer.parsed, Problem), answer
    found = answer.parsed
    assert answer.status_code == found.status
    shown: dict[str, object] = {
        "type": found.type_, "title": found.title, "status": found.status, "detail": found.detail,
    }  # fmt: skip
    if not isinstance(found.errors, Unset):
        shown["errors"] = [
            {"location": each.location.value, "name": each.name, "message": each.message} for each in found.errors
        ]
    return shown


def all_pages() -> list[str]:
    found: list[str] = []
    cursor: str | Unset | None = UNSET
    while cursor is not None:
        answer = ask(limit=70, cursor=cursor)
        found += ids(answer)
        cursor = answer.headers.get("Next-Cursor")
    return found


def every_parameter() -> list[str]:
    found: list[str] = []
    cursor: str | Unset | None = UNSET
    while cursor is not None:
        answer = ask(
            client_id="65a000200000000000000007",
            service_ids=["507f1f77bcf86cd799439014", "65a000300000000000000005"],
            date_from=datetime(2024, 1, 23, tzinfo=UTC),
            date_to=datetime(2024, 4, 30, 12, 30, 0, 500),  # noqa: DTZ001 - a naive one is the point
            status=SessionStatus.SCHEDULED,
            staff_id="65a000400000000000000003",
            updated_since=datetime(2024, 2, 1, tzinfo=RIYADH),
            sort=SessionSort.DATE_DESC,
            limit=1,
            cursor=cursor,
            if_none_match='W/"0"',
        )
        found += ids(answer)
        cursor = answer.headers.get("Next-Cursor")
    return found


def not_modified() -> str:
    answer = ask(limit=1, if_none_match=ask(limit=1).headers["ETag"])
    assert (answer.status_code, answer.content, answer.parsed) == (304, b"", None)
    return "not modified"


everything = sessions(ask())
assert all(session.date.tzinfo is not None for session in everything)
print(
    json.dumps(
        {
            "all sessions": [session.to_dict() for session in everything],
            "Arabic text": sorted({session.client_name for session in everything}),
            "clientId": ids(ask(client_id="65a000200000000000000007")),
            "one service": ids(ask(service_ids=["65a000300000000000000005"])),
            "two services": ids(ask(service_ids=["507f1f77bcf86cd799439014", "65a000300000000000000005"])),
            "status": ids(ask(status=SessionStatus.IN_PROGRESS)),
            "staffId": ids(ask(staff_id="65a000400000000000000003")),
            "aware date-times": ids(
                ask(date_from=datetime(2024, 2, 1, 2, 30, tzinfo=RIYADH), date_to=datetime(2024, 2, 10, 3, tzinfo=RIYADH))
            ),
            "naive date-times": ids(ask(date_from=datetime(2024, 2, 1), date_to=datetime(2024, 2, 10, 12))),  # noqa: DTZ001
            "updatedSince": ids(ask(updated_since=datetime(2024, 4, 1, 23, 59, 59, 999_000, tzinfo=UTC))),
            "sort by date": ids(ask(sort=SessionSort.DATE)),
            "sort by -date": ids(ask(sort=SessionSort.DATE_DESC)),
            "sort by updatedAt": ids(ask(sort=SessionSort.UPDATED_AT)),
            "sort by -updatedAt": ids(ask(sort=SessionSort.UPDATED_AT_DESC)),
            "limit": ids(ask(limit=3)),
            "all pages": all_pages(),
            "every parameter": every_parameter(),
            "304": not_modified(),
            "400": problem(ask(client_id="not an id", staff_id="س")),
            "401": problem(list_sessions.sync_detailed(WORKSPACE, client=to("SERVER", "EXPIRED_TOKEN"))),
            "403": problem(list_sessions.sync_detailed("another", client=client)),
            "404 workspace": problem(list_sessions.sync_detailed("none", client=client)),
            "404 page": problem(ask(cursor="WyJkYXRlIl0")),
            "429": problem(list_sessions.sync_detailed(WORKSPACE, client=to("LIMITED_SERVER"), limit=1)),
            "500": problem(list_sessions.sync_detailed("broken", client=client)),
            "503": problem(list_sessions.sync_detailed(WORKSPACE, client=to("SERVER_WITHOUT_DATABASE"))),
        }
    )
)
