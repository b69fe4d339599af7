"""The operations on sessions."""

from db.questions import ORDERS, Question, SessionFilter
from db.sessions import Sessions
from handlers.answers import Answer, Steps, Version
from handlers.cursors import read_cursor, write_cursor
from openapi.timestamps import Span

LARGEST_WHOLE_LIST = 1000
"""Sessions of a list that is sent in one piece, with its length. A longer one is streamed."""


async def list_sessions(
    sessions: Sessions,
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
) -> Steps:
    """List the sessions of a workspace: `list_sessions` in the contract.

    Raises:
        PageNotFound: when the cursor does not go with the question.
        WorkspaceNotFound: when there is no such workspace.
    """
    wanted = SessionFilter(
        client_id=client_id,
        service_ids=tuple(sorted(set(service_ids))) if service_ids else None,
        date_from=date_from.first if date_from else None,
        date_to=date_to.last if date_to else None,
        status=status,
        staff_id=staff_id,
        updated_since=updated_since.first if updated_since else None,
    )
    after = read_cursor(cursor, workspace_id, wanted, sort, ORDERS[sort]) if cursor else None
    question = Question(workspace_id, wanted, sort, after)

    async with sessions.of(workspace_id) as held:
        yield Version(held.revision, (question, limit))
        page = await held.page(question, limit or LARGEST_WHOLE_LIST)
        version = Version(page.revision, (question, limit))
        if page.next is None or limit is not None:
            following = {"cursor": write_cursor(page.next, workspace_id, wanted, sort)} if page.next else None
            yield Answer(version, {"sessions": page.listed.sessions}, page.listed.texts, following)
        else:
            yield Answer(version, {"sessions": held.everything(question)})
