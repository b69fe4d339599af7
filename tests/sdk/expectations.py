"""What every generated client is asked to do, and what it must report.

Each program in `programs` calls the server through its generated client and prints one JSON object: the outcome of each
check by its name. A list check reports the ids of the sessions in order, or whole documents; a problem check reports the
members of the typed Problem.
"""

import re
from collections.abc import Callable
from typing import Any

from db.demo import DOCUMENTED_SESSION, FIRST_WORKSPACE, documents
from openapi import timestamps

Document = dict[str, Any]

CLIENT = "65a000200000000000000007"
STAFF = "65a000400000000000000003"
SERVICES = {"507f1f77bcf86cd799439014", "65a000300000000000000005"}
TIMESTAMPS = ("date", "createdAt", "updatedAt")

FULL_SESSION: Document = {
    **DOCUMENTED_SESSION,
    "id": "every-member-filled_1",
    "clientName": 'سارة "الأحمد" <أم ليلى> ☀️',
    "date": "2024-04-30T00:00:00.000Z",
    "durationMinutes": 0,
    "fieldValues": [
        {"سؤال": ["نعم", None, True, {"depth": {"of": [[1, 2.5, -3]]}}], "": "", "camelCase_and-more": "\\/\t\n"}
    ],
    "attachments": [{"name": "أشعة.pdf", "sizeBytes": 48213}, {}],
    "notes": [{"text": "line one\nline two", "pinned": False}],
    "invoice": {"total": 120.5, "lines": [{"amount": 1e-7}, {"amount": 9007199254740991}], "paidAt": None},
    "createdAt": "2024-04-01T10:00:00.001Z",
    "updatedAt": "2024-04-01T23:59:59.999Z",
}
"""A session whose open members hold what a typed client may lose."""

IMPORTED = [*(each for each in documents() if each["workspaceId"] == FIRST_WORKSPACE), FULL_SESSION]


def sessions(
    selects: Callable[[Document], bool] = lambda _: True, by: str = "date", *, descending: bool = False
) -> list[Document]:
    """The imported sessions that these filters select, in the order that `sort` promises."""
    members = ("date", "startTime", "id") if by == "date" else ("updatedAt", "id")
    return sorted(filter(selects, IMPORTED), key=lambda each: [each[member] for member in members], reverse=descending)


def ids(found: list[Document]) -> list[str]:
    return [each["id"] for each in found]


LISTS: dict[str, list[Any]] = {
    "all sessions": sessions(),
    "Arabic text": sorted({each["clientName"] for each in IMPORTED}),
    "clientId": ids(sessions(lambda each: each["clientId"] == CLIENT)),
    "one service": ids(sessions(lambda each: "65a000300000000000000005" in each["serviceIds"])),
    "two services": ids(sessions(lambda each: bool(SERVICES & set(each["serviceIds"])))),
    "status": ids(sessions(lambda each: each["status"] == "in-progress")),
    "staffId": ids(sessions(lambda each: each["staffId"] == STAFF)),
    # From 02:30 at +03:00, which is the evening before in UTC, to 03:00 at +03:00, which is midnight UTC.
    "aware date-times": ids(sessions(lambda each: "2024-02-01" <= each["date"][:10] <= "2024-02-10")),
    # From 00:00 to 12:00 without an offset, which means UTC.
    "naive date-times": ids(sessions(lambda each: "2024-02-01" <= each["date"][:10] <= "2024-02-10")),
    "updatedSince": ids(sessions(lambda each: each["updatedAt"] >= "2024-04-01T23:59:59.999Z")),
    "sort by date": ids(sessions()),
    "sort by -date": ids(sessions(descending=True)),
    "sort by updatedAt": ids(sessions(by="updatedAt")),
    "sort by -updatedAt": ids(sessions(by="updatedAt", descending=True)),
    "limit": ids(sessions())[:3],
    "all pages": ids(sessions()),
    "every parameter": ["65a0001000000000000000a1", "65a000100000000000000071", "65a000100000000000000031"],
}

PROBLEMS: dict[str, tuple[str, str, str]] = {
    "400": ("SERVER", "TOKEN", f"{FIRST_WORKSPACE}/sessions?clientId=not%20an%20id&staffId=%D8%B3"),
    "401": ("SERVER", "EXPIRED_TOKEN", f"{FIRST_WORKSPACE}/sessions"),
    "403": ("SERVER", "TOKEN", "another/sessions"),
    "404 workspace": ("SERVER", "TOKEN", "none/sessions"),
    "404 page": ("SERVER", "TOKEN", f"{FIRST_WORKSPACE}/sessions?cursor=WyJkYXRlIl0"),
    "429": ("LIMITED_SERVER", "TOKEN", f"{FIRST_WORKSPACE}/sessions?limit=1"),
    "500": ("SERVER", "TOKEN", "broken/sessions"),
    "503": ("SERVER_WITHOUT_DATABASE", "TOKEN", f"{FIRST_WORKSPACE}/sessions"),
}
"""The server and the token, by their names in the environment of a program, and the path after `/v1/workspace/`."""

CHECKS = (*LISTS, "304", *PROBLEMS)


def comparable(check: str, outcome: Any) -> Any:
    """An outcome without what differs between clients and between runs."""
    if check == "all sessions":
        # Clients print moments in their own way.
        return [
            each | {member: timestamps.write(timestamps.parse(each[member]).first) for member in TIMESTAMPS}
            for each in outcome
        ]
    if check == "429":
        # The seconds to wait pass.
        return outcome | {"detail": re.sub(r"\d+", "N", outcome["detail"])}
    return outcome
