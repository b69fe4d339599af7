"""The operations on sessions."""

from dataclasses import replace
from typing import NamedTuple, Protocol

from db.queries import SessionQuery
from db.sessions import Page
from handlers.paging import read_cursor, write_cursor
from openapi.timestamps import Span

MAX_PAGE = 1000
"""Sessions of a page; a longer list without `limit` is read page after page."""


class Store(Protocol):
    """Where sessions are read: the database, or one state of it."""

    async def page(self, query: SessionQuery, limit: int) -> Page:
        """The first sessions of a list."""


class SessionPage(NamedTuple):
    """Some sessions of a list, as the documents that clients receive."""

    documents: list[bytes]
    next_cursor: str | None
    """The cursor of the next page; None when there is none."""
    revision: int
    """The revision of the workspace at which the sessions were read."""


async def list_sessions(
    store: Store,
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
) -> SessionPage:
    """List the sessions of a workspace: `list_sessions` in the contract.

    Raises:
        PageNotFound: when the cursor names no page of this list.
        WorkspaceNotFound: when there is no such workspace.
    """
    query = SessionQuery(
        workspace_id,
        client_id=client_id,
        service_ids=tuple(sorted(set(service_ids))) if service_ids else None,
        date_from=date_from.first if date_from else None,
        date_to=date_to.last if date_to else None,
        status=status,
        staff_id=staff_id,
        updated_since=updated_since.first if updated_since else None,
        sort=sort,
    )
    after = read_cursor(cursor, query) if cursor else None
    page = await store.page(replace(query, after=after), limit or MAX_PAGE)
    return SessionPage(page.documents, write_cursor(page.next, query) if page.next else None, page.revision)
