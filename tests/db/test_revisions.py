"""Revisions: every change to what a workspace holds moves the workspace's revision forward, whoever makes it."""

import asyncio

import asyncpg
import pytest

from db.demo import DOCUMENTED_SESSION
from db.engine import Database
from db.workspaces import add_workspace, remove_workspace
from tests.conftest import Databases, Store
from tests.db.conftest import Execute, ask

DATE = "2024-01-20T00:00:00.000Z"
CHANGES = [
    "INSERT INTO clients VALUES ('a', 'new', 'Name', '{date}')",
    "INSERT INTO staff VALUES ('a', 'new', 'Name', '{date}')",
    "INSERT INTO services VALUES ('a', 'new', 'Name', '{date}')",
    (
        "INSERT INTO session_services (workspace_id, session_id, position, service_id)"
        " SELECT workspace_id, id, 9, '507f1f77bcf86cd799439013' FROM sessions"
        " WHERE workspace_id = 'a'"
    ),
    (
        "INSERT INTO sessions SELECT workspace_id, 'new', client_id, staff_id, name, date, start_time, end_time,"
        " duration_minutes, status, field_values, attachments, notes, invoice, created_at, updated_at FROM sessions"
        " WHERE workspace_id = 'a'"
    ),
    "UPDATE clients SET name = 'New' WHERE workspace_id = 'a'",
    "UPDATE staff SET name = 'New' WHERE workspace_id = 'a'",
    "UPDATE services SET name = 'New' WHERE workspace_id = 'a' AND id = '507f1f77bcf86cd799439013'",
    "UPDATE sessions SET status = 'cancelled' WHERE workspace_id = 'a'",
    "UPDATE session_services SET position = position + 5 WHERE workspace_id = 'a'",
    "UPDATE workspaces SET revision = 0 WHERE id = 'a'",
    "DELETE FROM session_services WHERE workspace_id = 'a' AND position = 0",
    "DELETE FROM sessions WHERE workspace_id = 'a'",
    "INSERT INTO clients VALUES ('a', 'new', 'Name', '{date}') ON CONFLICT DO NOTHING",
    (
        "INSERT INTO clients SELECT workspace_id, id, 'Other', updated_at FROM clients WHERE workspace_id = 'a'"
        " ON CONFLICT (workspace_id, id) DO UPDATE SET name = excluded.name"
    ),
]
"""What another program may do to workspace a."""


def revisions(url: str) -> dict[str, int]:
    return dict(ask(url, "SELECT id, revision FROM workspaces"))


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_moves_the_revision_of_its_workspace_forward_and_of_no_other(
    two_workspaces: str, execute: Execute, change: str
) -> None:
    before = revisions(two_workspaces)
    execute(change.format(date=DATE))
    after = revisions(two_workspaces)
    assert after["a"] > before["a"]
    assert after["b"] == before["b"]


def test_what_changes_nothing_leaves_the_revision_alone(two_workspaces: str, execute: Execute) -> None:
    before = revisions(two_workspaces)
    execute("UPDATE sessions SET name = 'New' WHERE workspace_id = 'nobody'")
    execute("DELETE FROM session_services WHERE session_id = 'nothing'")
    execute("INSERT INTO clients SELECT * FROM clients WHERE true ON CONFLICT DO NOTHING")
    assert revisions(two_workspaces) == before


def test_what_moves_from_one_workspace_to_another_changes_both(two_workspaces: str, execute: Execute) -> None:
    execute(f"INSERT INTO clients VALUES ('a', 'moving', 'Name', '{DATE}')")
    before = revisions(two_workspaces)
    execute("UPDATE clients SET workspace_id = 'b' WHERE id = 'moving'")
    after = revisions(two_workspaces)
    assert after["a"] > before["a"]
    assert after["b"] > before["b"]


def test_a_change_that_is_taken_back_leaves_the_revision_where_it_was(two_workspaces: str, execute: Execute) -> None:
    before = revisions(two_workspaces)
    execute("BEGIN")
    execute("UPDATE sessions SET name = 'New'")
    execute("ROLLBACK")
    assert revisions(two_workspaces) == before


def test_a_workspace_that_is_made_anew_does_not_begin_where_it_began_before(two_workspaces: str) -> None:
    seen = {revisions(two_workspaces)["a"]}

    async def remove_and_add() -> None:
        database = Database(two_workspaces, read_only=False)
        async with database.transaction() as connection:
            await remove_workspace(connection, "a")
        async with database.transaction() as connection:
            await add_workspace(connection, "a")
        await database.close()

    for _ in range(5):
        asyncio.run(remove_and_add())
        seen.add(revisions(two_workspaces)["a"])
    assert len(seen) == 6


def test_on_postgresql_rows_that_are_copied_or_truncated_count_too(postgresql_databases: Databases, store: Store) -> None:
    url = postgresql_databases.migrated()
    store(url, [{**DOCUMENTED_SESSION, "workspaceId": workspace_id} for workspace_id in ("a", "b")])

    async def copy_and_truncate() -> list[dict[str, int]]:
        connection = await asyncpg.connect(url)

        async def state() -> dict[str, int]:
            return dict(await connection.fetch("SELECT id, revision FROM workspaces"))

        states = [await state()]
        await connection.copy_records_to_table("staff", records=[("a", "new", "Name", DATE)])
        states.append(await state())
        await connection.execute("TRUNCATE session_services")
        states.append(await state())
        await connection.close()
        return states

    first, copied, truncated = asyncio.run(copy_and_truncate())
    assert copied["a"] > first["a"]
    assert copied["b"] == first["b"]
    assert truncated["a"] > copied["a"]
    assert truncated["b"] > copied["b"]
