"""Both engines answer alike, also to values that only one of them would refuse by itself."""

from urllib.parse import quote

import pytest

from db.demo import DOCUMENTED_SESSION, FIRST_WORKSPACE
from openapi.contract import load
from tests.conftest import ClientOf, Mint

VALUES = {
    "an id": DOCUMENTED_SESSION["clientId"],
    "nothing": "",
    "a space": " ",
    "NUL": "a%00b",
    "NUL alone": "%00",
    "a lone surrogate": "%ED%A0%80",
    "no UTF-8": "%FF",
    "an overlong slash": "%C0%AF",
    "the largest integer of 32 bits and one": str(2**31),
    "the largest integer of 64 bits and one": str(2**63),
    "a huge integer": "9" * 400,
    "year 1 at +14:00": "0001-01-01T00:00:00%2B14:00",
    "year 9999 at -14:00": "9999-12-31T23:59:59.999-14:00",
    "year 0": "0000-01-01T00:00:00Z",
    "infinity": "infinity",
    "now": "now",
    "a quote": "%27",
    "SQL": "%27%20OR%201=1--",
    "a wildcard": "%25",
    "a backslash": "%5C",
    "Arabic": quote("سارة"),
    "an emoji": quote("☀️"),
    "beyond the basic plane": quote("\U0010ffff"),
    "a list": ",".join(["a"] * 100),
    "too long a list": ",".join(["a"] * 32_000),
    "the longest id": "a" * 64,
    "too long an id": "a" * 65,
    "not a uuid": "not-a-uuid",
    "a status": "scheduled",
    "a date": "2024-01-20",
    "NaN": "NaN",
    "1e400": "1e400",
    "a tab": "%09",
    "a newline": "a%0A",
}
NAMES = [
    parameter["name"] for parameter in load().document["components"]["parameters"].values() if parameter["in"] == "query"
]


@pytest.mark.parametrize("name", [*NAMES, "workspaceId", "unknown"])
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_both_engines_give_the_same_status_and_the_same_body(
    client_of: ClientOf, sqlite_demo_url: str, postgresql_demo_url: str, mint: Mint, name: str, value: str
) -> None:
    headers = {"Authorization": f"Bearer {mint(workspaces=['*'])}"}
    path, query = (value or "%20", "") if name == "workspaceId" else (FIRST_WORKSPACE, f"?limit=5&{name}={value}")
    if name == "limit":
        query = f"?limit={value}"
    answers = [
        client_of(url).get(f"/v1/workspace/{path}/sessions{query}", headers=headers)
        for url in (sqlite_demo_url, postgresql_demo_url)
    ]
    on_sqlite, on_postgresql = answers
    assert on_sqlite.status_code in (200, 400, 404)
    assert on_sqlite.status_code == on_postgresql.status_code
    assert on_sqlite.content == on_postgresql.content
    for answer in answers:
        answer.headers.pop("etag", None)  # each database has revisions of its own
    assert on_sqlite.headers == on_postgresql.headers
