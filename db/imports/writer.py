"""Writes documents into the tables, a batch at a time."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from db.imports.documents import BadDocument, Document

_LOCK = 0x5E5510  # PostgreSQL's advisory lock that an import holds; any number that no other program uses

# A stored document that is longer than the whole batch differs from each of its documents. It is not read, so that the batch
# bounds the memory.
_STORED = """
SELECT workspace_id, id, CASE WHEN length(CAST(document AS text)) <= {size} THEN CAST(document AS text) ELSE '' END
FROM sessions WHERE (workspace_id, id) IN ({keys})"""

# On PostgreSQL each column is an array: one statement, for which triggers run once. An UPDATE costs less than an INSERT that
# conflicts, for which PostgreSQL derives the columns and checks the constraints twice.
_POSTGRESQL = {
    "stored": _STORED.format(size="$1::bigint", keys="SELECT * FROM unnest($2::text[], $3::text[])"),
    "add workspaces": "INSERT INTO workspaces (id) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING",
    "add": "INSERT INTO sessions (workspace_id, id, document)"
    " SELECT * FROM unnest($1::text[], $2::text[], $3::json[])"
    " ON CONFLICT (workspace_id, id) DO UPDATE SET document = excluded.document",
    "change": "UPDATE sessions SET document = changed.document"
    " FROM unnest($1::text[], $2::text[], $3::json[]) AS changed (workspace_id, id, document)"
    " WHERE sessions.workspace_id = changed.workspace_id AND sessions.id = changed.id",
    "keep": "INSERT INTO import_kept SELECT * FROM unnest($1::text[], $2::text[], $3::boolean[])",
}
_SQLITE = {
    "stored": _STORED.format(size="?", keys="SELECT value ->> 0, value ->> 1 FROM json_each(?)"),
    "add workspaces": "INSERT INTO workspaces (id) VALUES (?) ON CONFLICT DO NOTHING",
    "add": "INSERT INTO sessions (workspace_id, id, document) VALUES (?, ?, ?)"
    " ON CONFLICT (workspace_id, id) DO UPDATE SET document = excluded.document",
    "change": "UPDATE sessions SET document = ?3 WHERE workspace_id = ?1 AND id = ?2",
    "keep": "INSERT INTO import_kept VALUES (?, ?, ?)",
}

_REPLACED = "SELECT workspace_id FROM import_kept WHERE imported"
# Not NOT EXISTS: where sessions are distributed (Citus), a temporary table cannot be joined to them.
_REMOVE_OTHERS = f"""
DELETE FROM sessions WHERE workspace_id IN ({_REPLACED}) AND (workspace_id, id) IN (
  SELECT workspace_id, id FROM sessions WHERE workspace_id IN ({_REPLACED})
  EXCEPT SELECT workspace_id, id FROM import_kept)"""  # noqa: S608 - constants

Key: TypeAlias = tuple[str, str]
"""The ids of a workspace and of a session."""


class Written(NamedTuple):
    """How many documents of a batch were new, changed, and as they were stored."""

    new: int
    changed: int
    unchanged: int


class Writer:
    """Writes the batches of one import, in the transaction of `connection`."""

    def __init__(self, connection: AsyncConnection, *, replace: bool) -> None:
        self._execute = connection.exec_driver_sql
        self._postgresql = connection.dialect.name == "postgresql"
        self._statements = _POSTGRESQL if self._postgresql else _SQLITE
        self._replace = replace

    async def begin(self) -> None:
        """Wait for other imports to end, and create the table that a replacing import needs."""
        if self._postgresql:
            await self._execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
            # A plan that is made while a table is tiny would read all of it for every batch, however large it becomes.
            await self._execute("SET LOCAL enable_seqscan = off")
        if self._replace:
            end = "ON COMMIT DROP" if self._postgresql else ""
            await self._execute(f"CREATE TEMPORARY TABLE import_kept (workspace_id text, id text, imported boolean) {end}")

    async def write(self, documents: Sequence[Document], rejected: Sequence[BadDocument]) -> Written:
        """Write documents; a replacing import will not remove their sessions, nor those of the rejected documents.

        Raises:
            IntegrityError: when the database refuses a session.
        """
        if self._replace:
            kept = [(document.workspace_id, document.id, True) for document in documents]
            kept += [(bad.workspace_id, bad.session_id, False) for bad in rejected if bad.workspace_id and bad.session_id]
            await self._execute_many("keep", kept)
        stored = await self._stored(documents)
        sessions = dict(stored)
        new = changed = 0
        for document in documents:
            key, content = (document.workspace_id, document.id), document.content.decode()
            new += key not in sessions
            changed += sessions.get(key, content) != content
            sessions[key] = content
        # In the order of the key, so that neighbours are on the same pages and two writers cannot wait for each other.
        rows = sorted((*key, content) for key, content in sessions.items() if stored.get(key) != content)
        to_change = [row for row in rows if row[:2] in stored]
        to_add = [row for row in rows if row[:2] not in stored]
        await self._execute_many("add workspaces", [(id_,) for id_ in sorted({row[0] for row in rows})])
        if await self._execute_many("change", to_change) < len(to_change):  # another program removed some of them
            to_add = rows
        await self._execute_many("add", to_add)
        return Written(new, changed, len(documents) - new - changed)

    async def remove_others(self) -> int:
        """Remove the sessions that a replacing import need not keep; return their number."""
        return (await self._execute(_REMOVE_OTHERS)).rowcount

    async def end(self) -> None:
        if self._replace and not self._postgresql:  # SQLite has no ON COMMIT DROP
            await self._execute("DROP TABLE import_kept")

    async def _stored(self, documents: Sequence[Document]) -> dict[Key, str]:
        """The stored documents of the sessions to write; an empty text for those that are longer than the batch."""
        keys = sorted({(document.workspace_id, document.id) for document in documents})
        size = max((len(document.content) for document in documents), default=0)
        columns = (
            ([key[0] for key in keys], [key[1] for key in keys]) if self._postgresql else (orjson.dumps(keys).decode(),)
        )
        rows: Iterable[Any] = await self._execute(self._statements["stored"], (size, *columns))
        return {(workspace_id, id_): document for workspace_id, id_, document in rows}

    async def _execute_many(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> int:
        """Execute a statement for all rows; return how many rows of a table it touched."""
        if not rows:
            return 0
        parameters: Any = tuple(map(list, zip(*rows, strict=True))) if self._postgresql else list(rows)
        return (await self._execute(self._statements[statement], parameters)).rowcount
