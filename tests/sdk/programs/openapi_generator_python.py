"""Calls the server through the Python client of openapi-generator, and prints the outcome of each check."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from os import environ

from sessions_client import (
    ApiClient,
    ApiException,
    ApiResponse,
    Configuration,
    Problem,
    SessionList,
    SessionsApi,
    SessionSort,
    SessionStatus,
)

WORKSPACE = "507f191e810c19729de860ea"
RIYADH = timezone(timedelta(hours=3))


def to(server: str, token: str = "TOKEN") -> SessionsApi:
    # Without `retries=0` the client waits for as long as the Retry-After of a 429 or 503 says, and repeats the request.
    configuration = Configuration(host=environ[server], access_token=environ[token], retries=0)
    return SessionsApi(ApiClient(configuration))


api = to("SERVER")
ask = partial(api.list_sessions_with_http_info, WORKSPACE)


def ids(answer: ApiResponse[SessionList]) -> list[str]:
    return [session.id for session in answer.data.sessions]


def header(answer: ApiResponse[SessionList], name: str) -> str | None:
    # A plain dict, with the names as they were sent: HTTP/1.1 servers and proxies may write them in any case.
    return {each.lower(): value for each, value in (answer.headers or {}).items()}.get(name)


def problem(call: Callable[[], ApiResponse[SessionList]]) -> dict[str, object]:
    try:
        answer = call()
    except ApiException as error:
        found = error.data
        assert isinstance(found, Problem), error
        assert error.status == found.status
        shown: dict[str, object] = {
            "type": found.type, "title": found.title, "status": found.status, "detail": found.detail,
        }  # fmt: skip
        if found.errors is not None:
            shown["errors"] = [
                {"location": each.location, "name": each.name, "message": each.message} for each in found.errors
            ]
        return shown
    raise AssertionError(answer)


def all_pages() -> list[str]:
    found: list[str] = []
    cursor: str | None = None
    while True:
        answer = ask(limit=70, cursor=cursor)
        found += ids(answer)
        cursor = header(answer, "next-cursor")
        if cursor is None:
            return found


def every_parameter() -> list[str]:
    found: list[str] = []
    cursor: str | None = None
    while True:
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
        cursor = header(answer, "next-cursor")
        if cursor is None:
            return found


def not_modified() -> str:
    try:
        ask(limit=1, if_none_match=header(ask(limit=1), "etag"))
    except ApiException as error:
        assert (error.status, error.data) == (304, None)
        return "not modified"
    raise AssertionError


everything = ask().data.sessions
assert all(session.date.tzinfo is not None for session in everything)
print(
    json.dumps(
        {
            "all sessions": [json.loads(session.to_json()) for session in everything],
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
            "400": problem(lambda: ask(client_id="not an id", staff_id="س")),
            "401": problem(lambda: to("SERVER", "EXPIRED_TOKEN").list_sessions_with_http_info(WORKSPACE)),
            "403": problem(lambda: api.list_sessions_with_http_info("another")),
            "404 workspace": problem(lambda: api.list_sessions_with_http_info("none")),
            "404 page": problem(lambda: ask(cursor="WyJkYXRlIl0")),
            "429": problem(lambda: to("LIMITED_SERVER").list_sessions_with_http_info(WORKSPACE, limit=1)),
            "500": problem(lambda: api.list_sessions_with_http_info("broken")),
            "503": problem(lambda: to("SERVER_WITHOUT_DATABASE").list_sessions_with_http_info(WORKSPACE)),
        }
    )
)
