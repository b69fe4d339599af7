"""The demo data: the same at every run, and enough of everything to try every filter on."""

import asyncio

import pytest

from db import demo
from db.engine import Database
from tests.conftest import SCHEMAS

DOCUMENTS = list(demo.documents())


def test_it_is_the_same_at_every_run() -> None:
    assert list(demo.documents()) == DOCUMENTS


def test_it_is_a_few_hundred_sessions_over_two_workspaces() -> None:
    assert 200 <= len(DOCUMENTS) <= 500
    assert {document["workspaceId"] for document in DOCUMENTS} == {demo.FIRST_WORKSPACE, demo.SECOND_WORKSPACE}
    assert demo.FIRST_WORKSPACE == "507f191e810c19729de860ea"
    assert len({(document["workspaceId"], document["id"]) for document in DOCUMENTS}) == len(DOCUMENTS)


@pytest.mark.parametrize("workspace_id", [demo.FIRST_WORKSPACE, demo.SECOND_WORKSPACE])
def test_each_workspace_has_every_status_and_names_in_arabic_and_english(workspace_id: str) -> None:
    held = [document for document in DOCUMENTS if document["workspaceId"] == workspace_id]
    assert {document["status"] for document in held} == {"scheduled", "in-progress", "completed", "cancelled"}
    for property_ in ("clientName", "staffName", "name"):
        names = {document[property_] for document in held}
        assert any(name.isascii() for name in names)
        assert any("\u0600" <= letter <= "\u06ff" for name in names for letter in name)


def test_preparing_it_again_finds_it_there(database_url: str) -> None:
    async def prepare_twice() -> tuple[str, str]:
        database = Database(database_url)
        results = [str(await demo.prepare(database, SCHEMAS)) for _ in range(2)]
        await database.close()
        return results[0], results[1]

    assert asyncio.run(prepare_twice()) == (
        "read 360: 360 new, 0 changed, 0 unchanged, 0 rejected",
        "read 360: 0 new, 0 changed, 360 unchanged, 0 rejected",
    )
