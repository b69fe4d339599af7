"""The operations on sessions."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from db.engine import Database
from db.errors import WorkspaceNotFound
from db.sessions import ORDERS, Order, Position, SessionFilter, stream_sessions
from db.sessions import list_sessions as query_sessions
from db.workspaces import workspace_exists
from handlers.cursors import read_cursor, write_cursor
from handlers.pipeline import Answer
from openapi.json import JSONValue
from openapi.timestamps import Span

LARGEST_WHOLE_LIST = 1000
"""Sessions of a list that is sent in one piece, with its length and an ETag. A longer one is streamed."""


async def list_sessions(
    database: Database,
    *,
    workspace_id: str,
    client_id: str | None = None,
    service_ids: tuple[str, ...] | None = None,
    date_from: Span | None = None,
    date_to: Span | None = None,
    status: str | None = None,
    staff_id: str | None = None,
    updated_since: Span | None = None,
    sort: str = "date",
    limit: int | None = None,
    cursor: str | None = None,
) -> Answer:
    """List the sessions of a workspace: `list_sessions` in the contract.

    Raises:
        InvalidParameters: when the cursor does not go with the question.
        WorkspaceNotFound: when there is no such workspace.
    """
    wanted = SessionFilter(
        client_id=client_id,
        service_ids=service_ids,
        date_from=date_from.first if date_from else None,
        date_to=date_to.last if date_to else None,
        status=status,
        staff_id=staff_id,
        updated_since=updated_since.first if updated_since else None,
    )
    order = ORDERS[sort]
    after = read_cursor(cursor, workspace_id, wanted, sort, order) if cursor else None
    async with database.connect() as connection:
        if not await workspace_exists(connection, workspace_id):
            raise WorkspaceNotFound(workspace_id)
        page = await query_sessions(connection, workspace_id, wanted, order, after, limit or LARGEST_WHOLE_LIST)
    if page.next is None:
        return Answer({"sessions": page.sessions})
    if limit is not None:
        return Answer({"sessions": page.sessions}, {"cursor": write_cursor(page.next, workspace_id, wanted, sort)})
    return Answer({"sessions": _everything(database, workspace_id, wanted, order, after)})


async def _everything(
    database: Database, workspace_id: str, wanted: SessionFilter, order: Order, after: Position | None
) -> AsyncGenerator[list[JSONValue]]:
    async with (
        database.snapshot() as connection,
        aclosing(stream_sessions(connection, workspace_id, wanted, order, after)) as parts,
    ):
        async for part in parts:
            yield part
