"""What is asked, and the answers that are right, worked out from the documents that were imported."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jwt
import orjson

from bench.store import FIFTY, LARGE, ONE, SECRET, THOUSAND

WEEK = {"dateFrom": "2019-06-03T00:00:00.000Z", "dateTo": "2019-06-09T23:59:59.999Z", "status": "cancelled"}
UNKNOWN = "507f191e810c19729de860ff"


@dataclass(frozen=True, slots=True)
class Question:
    """One request."""

    workspace: str
    query: Mapping[str, str] = field(default_factory=dict)
    claims: Mapping[str, Any] | None = field(default_factory=dict)
    """What the token says beyond, or other than, what it should; None sends no token."""
    headers: tuple[str, ...] = ()
    status: int = 200

    def request(self, holder: str = "bench") -> bytes:
        """The request as it goes over the wire, with the token of this holder."""
        target = f"/v1/workspace/{self.workspace}/sessions" + (f"?{urlencode(self.query)}" if self.query else "")
        token = [] if self.claims is None else [f"Authorization: Bearer {_token(holder, self.workspace, self.claims)}"]
        return "\r\n".join([f"GET {target} HTTP/1.1", "Host: 127.0.0.1", *token, *self.headers, "", ""]).encode()

    def __str__(self) -> str:
        return f"{self.workspace} {dict(self.query)}"


def _token(holder: str, workspace: str, claims: Mapping[str, Any]) -> str:
    valid = {"sub": holder, "exp": int(time.time()) + 86_400, "scope": "sessions.view", "workspaces": [workspace]}
    return jwt.encode({**valid, **claims}, SECRET, "HS256")


def to_check(sessions: Sequence[dict[str, Any]]) -> list[Question]:
    """Questions that every server must answer alike, about these sessions."""
    fifty = [each for each in sessions if each["workspaceId"] == FIFTY]
    some, other = fifty[7], fifty[30]
    return [
        Question(ONE),
        Question(FIFTY),
        Question(THOUSAND),
        Question(LARGE, WEEK),
        Question(FIFTY, {"clientId": some["clientId"]}),
        Question(FIFTY, {"serviceIds": f"{some['serviceIds'][0]},{other['serviceIds'][-1]}"}),
        Question(FIFTY, {"status": "completed", "dateFrom": some["date"]}),
        Question(THOUSAND, {"dateTo": some["date"], "clientId": "nobody"}),
        Question(THOUSAND, {"dateFrom": "2019-06-03T00:00:00Z", "dateTo": "2020-06-03T00:00:00+02:00"}),
        Question(UNKNOWN, status=404),
        Question(FIFTY, claims=None, status=401),
        Question(FIFTY, claims={"exp": 1}, status=401),
        Question(FIFTY, claims={"scope": "sessions.edit"}, status=403),
        Question(FIFTY, claims={"workspaces": [ONE]}, status=403),
    ]


def read_documents(file: Path) -> list[dict[str, Any]]:
    """The documents that were imported."""
    with file.open("rb") as lines:
        return [orjson.loads(line) for line in lines]


def right_answer(sessions: Iterable[dict[str, Any]], question: Question) -> dict[str, Any]:
    """The body of the answer, worked out from the documents alone."""
    query = dict(question.query)
    services = set(query["serviceIds"].split(",")) if "serviceIds" in query else None
    first, last = (_moment(query.get(name)) for name in ("dateFrom", "dateTo"))
    found = [
        each
        for each in sessions
        if each["workspaceId"] == question.workspace
        and query.get("clientId") in (None, each["clientId"])
        and query.get("status") in (None, each["status"])
        and (services is None or not services.isdisjoint(each["serviceIds"]))
        and (first is None or each["date"] >= first)
        and (last is None or each["date"] <= last)
    ]
    return {"sessions": sorted(found, key=lambda each: (each["date"], each["startTime"], each["id"]))}


def _moment(text: str | None) -> str | None:
    if text is None:
        return None
    return datetime.fromisoformat(text).astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
