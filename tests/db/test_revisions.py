"""Revisions: every change of a workspace's sessions increments the workspace's revision, by every writer."""

import asyncio

import asyncpg
import pytest

from db.demo import DOCUMENTED_SESSION
from db.engine import Database
from db.workspaces import add_workspace, remove_workspace
from tests.conftest import Databases, Store
from tests.db.conftest import Execute, fetch, insert

SET_STATUS = "UPDATE sessions SET document = replace({document}, 'scheduled', 'completed'){cast} WHERE workspace_id = 'a'"
UPSERT = insert(name="Changed") + " ON CONFLICT (workspace_id, id) DO UPDATE SET document = excluded.document"


def revisions(url: str) -> dict[str, int]:
    return dict(fetch(url, "SELECT id, revision FROM workspaces"))


def update(url: str) -> str:
    sqlite = url.startswith("sqlite")
    return SET_STATUS.format(document="document" if sqlite else "document::text", cast="" if sqlite else "::json")


@pytest.mark.parametrize("change", [insert(id="new"), "", "DELETE FROM sessions WHERE workspace_id = 'a'", UPSERT])
def test_a_change_increments_the_revision_of_its_workspace_and_of_no_other(
    two_workspaces: str, execute: Execute, change: str
) -> None:
    before = revisions(two_workspaces)
    execute(change or update(two_workspaces))
    after = revisions(two_workspaces)
    assert after["a"] > before["a"]
    assert after["b"] == before["b"]


def test_a_statement_that_changes_nothing_leaves_the_revision_alone(two_workspaces: str, execute: Execute) -> None:
    before = revisions(two_workspaces)
    execute("DELETE FROM sessions WHERE workspace_id = 'nobody'")
    execute(insert() + " ON CONFLICT DO NOTHING")
    execute(UPSERT + " WHERE false")
    assert revisions(two_workspaces) == before


def test_a_change_that_is_rolled_back_leaves_the_revision_as_it_was(two_workspaces: str, execute: Execute) -> None:
    before = revisions(two_workspaces)
    execute("BEGIN")
    execute(update(two_workspaces))
    execute("ROLLBACK")
    assert revisions(two_workspaces) == before


def test_a_workspace_that_is_removed_and_added_again_never_has_a_revision_twice(two_workspaces: str) -> None:
    seen = {revisions(two_workspaces)["a"]}

    async def remove_and_add() -> None:
        database = Database(two_workspaces)
        async with database.transaction() as connection:
            await remove_workspace(connection, "a")
        async with database.transaction() as connection:
            await add_workspace(connection, "a")
        await database.close()

    for _ in range(5):
        asyncio.run(remove_and_add())
        seen.add(revisions(two_workspaces)["a"])
    assert len(seen) == 6


def test_a_revision_that_is_ahead_of_the_clock_is_incremented_all_the_same(two_workspaces: str, execute: Execute) -> None:
    future = 2**60
    execute(f"UPDATE workspaces SET revision = {future} WHERE id = 'a'")  # as after a restore with a clock that was wrong
    execute(update(two_workspaces))
    assert revisions(two_workspaces)["a"] > future


def test_on_postgresql_copied_and_truncated_rows_count_too(postgresql_databases: Databases, store: Store) -> None:
    url = postgresql_databases.migrated()
    store(url, [{**DOCUMENTED_SESSION, "workspaceId": workspace_id} for workspace_id in ("a", "b")])
    document = fetch(url, "SELECT document FROM sessions WHERE workspace_id = 'a'")[0][0].decode()
    copied = document.replace(DOCUMENTED_SESSION["id"], "copied")

    async def copy_and_truncate() -> list[dict[str, int]]:
        connection = await asyncpg.connect(url)

        async def state() -> dict[str, int]:
            return dict(await connection.fetch("SELECT id, revision FROM workspaces"))

        states = [await state()]
        columns = ["workspace_id", "id", "document"]
        await connection.copy_records_to_table("sessions", records=[("a", "copied", copied)], columns=columns)
        states.append(await state())
        await connection.execute("TRUNCATE sessions, session_services")
        states.append(await state())
        await connection.close()
        return states

    first, copied_state, truncated = asyncio.run(copy_and_truncate())
    assert copied_state["a"] > first["a"]
    assert copied_state["b"] == first["b"]
    assert truncated["a"] > copied_state["a"]
    assert truncated["b"] > copied_state["b"]
    assert fetch(url, "SELECT * FROM session_services") == []
