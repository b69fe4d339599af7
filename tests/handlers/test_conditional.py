"""Conditional requests: 304 for the current entity tag, and for nothing else."""

import httpx
import pytest

from db.demo import DOCUMENTED_SESSION, FIRST_WORKSPACE
from tests.conftest import ClientOf, Mint, Store

PATH = f"/v1/workspace/{FIRST_WORKSPACE}/sessions"


def test_a_response_can_be_revalidated(client: httpx.Client) -> None:
    first = client.get(PATH)
    assert first.headers["cache-control"] == "private, no-cache"
    assert first.headers["vary"] == "Authorization, Accept-Encoding"
    again = client.get(PATH, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["vary"] == first.headers["vary"]


@pytest.mark.parametrize(
    ("held", "status"),
    [("{0}", 304), ("*", 304), ('"other", {0}', 304), ('W/"other"', 200), ('"other"', 200), ("", 200), ("junk", 200)],
)
def test_if_none_match_is_read_as_rfc_9110_says(client: httpx.Client, held: str, status: int) -> None:
    etag = client.get(PATH).headers["etag"]
    assert client.get(PATH, headers={"If-None-Match": held.format(etag)}).status_code == status


def test_a_strong_spelling_of_the_etag_matches_by_weak_comparison(client: httpx.Client) -> None:
    etag = client.get(PATH).headers["etag"].removeprefix("W/")
    assert client.get(PATH, headers={"If-None-Match": etag}).status_code == 304


@pytest.mark.parametrize(
    "queries", [("", "?limit=1000"), ("?limit=5", "?limit=6"), ("?sort=date", "?sort=-date"), ("", "?status=scheduled")]
)
def test_other_parameters_have_another_etag(client: httpx.Client, queries: tuple[str, str]) -> None:
    first, second = (client.get(PATH + query).headers["etag"] for query in queries)
    assert first != second


def test_a_page_can_be_revalidated_too(client: httpx.Client) -> None:
    address = client.get(f"{PATH}?limit=1").links["next"]["url"]
    etag = client.get(PATH + address).headers["etag"]
    assert client.get(PATH + address, headers={"If-None-Match": etag}).status_code == 304
    assert client.get(f"{PATH}?limit=1", headers={"If-None-Match": etag}).status_code == 200


def test_a_change_gives_another_etag(client_of: ClientOf, database_url: str, store: Store, mint: Mint) -> None:
    headers = {"Authorization": f"Bearer {mint()}"}
    store(database_url, [DOCUMENTED_SESSION])
    client = client_of(database_url)
    before = client.get(PATH, headers=headers)
    store(database_url, [{**DOCUMENTED_SESSION, "status": "cancelled"}])
    after = client.get(PATH, headers={**headers, "If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    assert after.json()["sessions"][0]["status"] == "cancelled"


def test_a_condition_on_an_unknown_workspace_is_404(client: httpx.Client) -> None:
    assert client.get("/v1/workspace/unknown/sessions", headers={"If-None-Match": "*"}).status_code == 404
