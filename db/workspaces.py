"""Workspaces: which there are, and adding and removing one."""

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import delete, func, insert, select

from db.errors import WorkspaceNotFound
from db.tables import clients, services, session_services, sessions, staff, workspaces

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection


class WorkspaceSize(NamedTuple):
    """A workspace, and how many sessions it holds."""

    id: str
    sessions: int


async def list_workspaces(connection: "AsyncConnection") -> list[WorkspaceSize]:
    """All workspaces by id."""
    held = func.count(sessions.c.id)
    query = (
        select(workspaces.c.id, held)
        .outerjoin(sessions, sessions.c.workspace_id == workspaces.c.id)
        .group_by(workspaces.c.id)
        .order_by(workspaces.c.id)
    )
    return [WorkspaceSize(*row) for row in await connection.execute(query)]


async def workspace_exists(connection: "AsyncConnection", workspace_id: str) -> bool:
    """Whether there is such a workspace."""
    query = select(workspaces.c.id).where(workspaces.c.id == workspace_id)
    return (await connection.execute(query)).first() is not None


async def count_sessions(connection: "AsyncConnection", workspace_id: str) -> int:
    """How many sessions a workspace holds.

    Raises:
        WorkspaceNotFound: when there is no such workspace.
    """
    if not await workspace_exists(connection, workspace_id):
        raise WorkspaceNotFound(workspace_id)
    query = select(func.count()).select_from(sessions).where(sessions.c.workspace_id == workspace_id)
    return int((await connection.execute(query)).scalar_one())


async def add_workspace(connection: "AsyncConnection", workspace_id: str) -> bool:
    """Add an empty workspace; False when it was there already."""
    if await workspace_exists(connection, workspace_id):
        return False
    await connection.execute(insert(workspaces).values(id=workspace_id))
    return True


async def remove_workspace(connection: "AsyncConnection", workspace_id: str) -> int:
    """Remove a workspace with all that it holds; returns how many sessions that were.

    Raises:
        WorkspaceNotFound: when there is no such workspace.
    """
    held = await count_sessions(connection, workspace_id)
    for table in (session_services, sessions, services, staff, clients):
        await connection.execute(delete(table).where(table.c.workspace_id == workspace_id))
    await connection.execute(delete(workspaces).where(workspaces.c.id == workspace_id))
    return held
