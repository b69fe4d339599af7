"""The operations on sessions."""

from db.engine import Database
from db.errors import WorkspaceNotFound
from db.sessions import SessionFilter
from db.sessions import list_sessions as query_sessions
from db.workspaces import workspace_exists
from openapi.json import JSONValue
from openapi.timestamps import Span


async def list_sessions(
    database: Database,
    *,
    workspace_id: str,
    client_id: str | None = None,
    service_ids: tuple[str, ...] | None = None,
    date_from: Span | None = None,
    date_to: Span | None = None,
    status: str | None = None,
) -> JSONValue:
    """List the sessions of a workspace: `list_sessions` in the contract.

    Raises:
        WorkspaceNotFound: when there is no such workspace.
    """
    wanted = SessionFilter(
        client_id=client_id,
        service_ids=service_ids,
        date_from=date_from.first if date_from else None,
        date_to=date_to.last if date_to else None,
        status=status,
    )
    async with database.connect() as connection:
        if not await workspace_exists(connection, workspace_id):
            raise WorkspaceNotFound(workspace_id)
        return {"sessions": await query_sessions(connection, workspace_id, wanted)}
