"""The requests to measure, and the responses that are right, worked out from the documents that were imported."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import jwt

from bench.store import FIFTY, LARGE, ONE, SECRET, THOUSAND

WEEK = {"dateFrom": "2019-06-03T00:00:00.000Z", "dateTo": "2019-06-09T23:59:59.999Z", "status": "cancelled"}
UNKNOWN = "507f191e810c19729de860ff"


@dataclass(frozen=True, slots=True)
class Query:
    """One request, and the status of its response."""

    workspace: str
    filters: Mapping[str, str] = field(default_factory=dict)
    claims: Mapping[str, Any] | None = field(default_factory=dict)
    """Claims that replace those of a valid token; None sends no token."""
    headers: tuple[str, ...] = ()
    status: int = 200

    def request(self, subject: str = "bench") -> bytes:
        """The request as it goes over the wire, with a token of this subject."""
        target = f"/v1/workspace/{self.workspace}/sessions" + (f"?{urlencode(self.filters)}" if self.filters else "")
        token = [] if self.claims is None else [f"Authorization: Bearer {_token(subject, self.workspace, self.claims)}"]
        return "\r\n".join([f"GET {target} HTTP/1.1", "Host: 127.0.0.1", *token, *self.headers, "", ""]).encode()

    def __str__(self) -> str:
        return f"{self.workspace} {dict(self.filters)}"


def _token(subject: str, workspace: str, claims: Mapping[str, Any]) -> str:
    valid = {"sub": subject, "exp": int(time.time()) + 86_400, "scope": "sessions.view", "workspaces": [workspace]}
    return jwt.encode({**valid, **claims}, SECRET, "HS256")


def queries_to_check(sessions: Sequence[dict[str, Any]]) -> list[Query]:
    """Queries that every server must answer alike, about these sessions."""
    fifty = [each for each in sessions if each["workspaceId"] == FIFTY]
    some, other = fifty[7], fifty[30]
    return [
        Query(ONE),
        Query(FIFTY),
        Query(THOUSAND),
        Query(LARGE, WEEK),
        Query(FIFTY, {"clientId": some["clientId"]}),
        Query(FIFTY, {"serviceIds": f"{some['serviceIds'][0]},{other['serviceIds'][-1]}"}),
        Query(FIFTY, {"status": "completed", "dateFrom": some["date"]}),
        Query(THOUSAND, {"dateTo": some["date"], "clientId": "nobody"}),
        Query(THOUSAND, {"dateFrom": "2019-06-03T00:00:00Z", "dateTo": "2020-06-03T00:00:00+02:00"}),
        Query(UNKNOWN, status=404),
        Query(FIFTY, claims=None, status=401),
        Query(FIFTY, claims={"exp": 1}, status=401),
        Query(FIFTY, claims={"scope": "sessions.edit"}, status=403),
        Query(FIFTY, claims={"workspaces": [ONE]}, status=403),
    ]


def expected_response(sessions: Iterable[dict[str, Any]], query: Query) -> dict[str, Any]:
    """The body of the response, worked out from the documents alone."""
    filters = dict(query.filters)
    services = set(filters["serviceIds"].split(",")) if "serviceIds" in filters else None
    first, last = (_timestamp(filters.get(name)) for name in ("dateFrom", "dateTo"))
    found = [
        each
        for each in sessions
        if each["workspaceId"] == query.workspace
        and filters.get("clientId") in (None, each["clientId"])
        and filters.get("status") in (None, each["status"])
        and (services is None or not services.isdisjoint(each["serviceIds"]))
        and (first is None or each["date"] >= first)
        and (last is None or each["date"] <= last)
    ]
    return {"sessions": sorted(found, key=lambda each: (each["date"], each["startTime"], each["id"]))}


def _timestamp(text: str | None) -> str | None:
    if text is None:
        return None
    return datetime.fromisoformat(text).astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
