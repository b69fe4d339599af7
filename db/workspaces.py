"""Workspaces: list them, add one, remove one."""

from typing import NamedTuple

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db.errors import WorkspaceNotFound
from db.pools import Connection
from db.tables import sessions, workspaces


class WorkspaceSize(NamedTuple):
    """A workspace, and how many sessions it has."""

    id: str
    sessions: int


async def list_workspaces(connection: Connection) -> list[WorkspaceSize]:
    """All workspaces by id."""
    count = "SELECT count(*) FROM sessions WHERE workspace_id = workspaces.id"
    rows = await connection.fetch(f"SELECT id, ({count}) FROM workspaces ORDER BY id", ())  # noqa: S608 - a constant
    return [WorkspaceSize(*row) for row in rows]


async def workspace_exists(connection: AsyncConnection, workspace_id: str) -> bool:
    query = select(workspaces.c.id).where(workspaces.c.id == workspace_id)
    return (await connection.execute(query)).first() is not None


async def count_sessions(connection: AsyncConnection, workspace_id: str) -> int:
    """How many sessions a workspace has.

    Raises:
        WorkspaceNotFound: when there is no such workspace.
    """
    if not await workspace_exists(connection, workspace_id):
        raise WorkspaceNotFound(workspace_id)
    query = select(func.count()).select_from(sessions).where(sessions.c.workspace_id == workspace_id)
    return int((await connection.execute(query)).scalar_one())


async def add_workspace(connection: AsyncConnection, workspace_id: str) -> bool:
    """Add an empty workspace; False when it exists already."""
    if await workspace_exists(connection, workspace_id):
        return False
    await connection.execute(insert(workspaces).values(id=workspace_id))
    return True


async def remove_workspace(connection: AsyncConnection, workspace_id: str) -> int:
    """Remove a workspace and its sessions; returns how many sessions that were.

    Raises:
        WorkspaceNotFound: when there is no such workspace.
    """
    count = await count_sessions(connection, workspace_id)
    await connection.execute(delete(sessions).where(sessions.c.workspace_id == workspace_id))
    await connection.execute(delete(workspaces).where(workspaces.c.id == workspace_id))
    return count
