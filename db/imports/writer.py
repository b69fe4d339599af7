"""Writes documents into the tables, a batch at a time."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from db.imports.documents import BadDocument, Document

_LOCK = 0x5E5510  # PostgreSQL's advisory lock that an import holds; any number that nobody else takes

# A document that is longer than all of a batch differs from them: it is not read, so that memory is bounded by the batch.
_STORED = """
SELECT workspace_id, id, CASE WHEN length(CAST(document AS text)) <= {size} THEN CAST(document AS text) ELSE '' END
FROM sessions WHERE (workspace_id, id) IN ({keys})"""
_REPLACED = "SELECT workspace_id FROM import_seen WHERE imported"
# Not NOT EXISTS: where sessions are distributed (Citus), a temporary table cannot be joined to them.
_REMOVE = f"""
DELETE FROM sessions WHERE workspace_id IN ({_REPLACED}) AND (workspace_id, id) IN (
  SELECT workspace_id, id FROM sessions WHERE workspace_id IN ({_REPLACED})
  EXCEPT SELECT workspace_id, id FROM import_seen)"""  # noqa: S608 - constants


class ImportFailed(Exception):
    """Nothing has been imported, because the database refused a session, or rejected documents could not be set aside."""


class Writer:
    """Writes the batches of one import, in the transaction of `connection`."""

    def __init__(self, connection: AsyncConnection, *, replace: bool) -> None:
        self._execute = connection.exec_driver_sql
        self._postgresql = connection.dialect.name == "postgresql"
        self._replace = replace
        self.withheld = False
        self.counts = Counter[str]()

    async def begin(self) -> None:
        """Wait for other imports to end, and create what a replacing import needs."""
        if self._postgresql:
            await self._execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
            # A plan that is made while a table is tiny would read all of it for every batch, however large it becomes.
            await self._execute("SET LOCAL enable_seqscan = off")
        if self._replace:
            end = "ON COMMIT DROP" if self._postgresql else ""
            await self._execute(f"CREATE TEMPORARY TABLE import_seen (workspace_id text, id text, imported boolean) {end}")

    async def write(self, batch: Sequence[Document | BadDocument]) -> None:
        """Write the documents of a batch, and remember what a replacing import must not remove."""
        documents = [each for each in batch if isinstance(each, Document)]
        if self._replace:
            rejected = [each for each in batch if isinstance(each, BadDocument)]
            self.withheld |= any(each.session_id is None for each in rejected)
            seen = [(each.workspace_id, each.id, True) for each in documents]
            seen += [
                (each.workspace_id, each.session_id, False) for each in rejected if each.workspace_id and each.session_id
            ]
            await self._insert("import_seen (workspace_id, id, imported)", "text text boolean", seen)
        stored = await self._stored(documents)
        sessions = dict(stored)
        for document in documents:
            key, content = (document.workspace_id, document.id), document.content.decode()
            before = sessions.get(key)
            self.counts["new" if before is None else "unchanged" if before == content else "changed"] += 1
            self.counts.update(document.dropped)
            sessions[key] = content
        # In the order of the key, so that neighbours fall on the same pages and two writers cannot wait for each other.
        rows = sorted((*key, content) for key, content in sessions.items() if stored.get(key) != content)
        workspaces = [(id_,) for id_ in sorted({row[0] for row in rows})]
        update = "ON CONFLICT (workspace_id, id) DO UPDATE SET document = excluded.document"
        try:
            await self._insert("workspaces (id)", "text", workspaces, "ON CONFLICT (id) DO NOTHING")
            await self._insert("sessions (workspace_id, id, document)", "text text json", rows, update)
        except IntegrityError as error:
            places = f"from {documents[0].place} to {documents[-1].place}"
            raise ImportFailed(f"the database refused a session of the documents {places}: {error.orig}") from error

    async def end(self) -> int | None:
        """Remove the sessions that have to go; return how many went, None unless replacing."""
        if not self._replace:
            return None
        removed = 0 if self.withheld else (await self._execute(_REMOVE)).rowcount
        if not self._postgresql:  # SQLite has no ON COMMIT DROP
            await self._execute("DROP TABLE import_seen")
        return removed

    async def _stored(self, documents: Sequence[Document]) -> dict[tuple[str, str], str]:
        """The stored documents of the sessions to be written; an empty text for those that are longer than all of these."""
        keys = sorted({(each.workspace_id, each.id) for each in documents})
        size = max((len(each.content) for each in documents), default=0)
        if self._postgresql:
            statement = _STORED.format(size="$1::bigint", keys="SELECT * FROM unnest($2::text[], $3::text[])")
            arrays = [key[0] for key in keys], [key[1] for key in keys]
            rows: Iterable[Any] = await self._execute(statement, (size, *arrays))
        else:
            statement = _STORED.format(size="?", keys="SELECT value ->> 0, value ->> 1 FROM json_each(?)")
            rows = await self._execute(statement, (size, orjson.dumps(keys).decode()))
        return {(workspace_id, id_): document for workspace_id, id_, document in rows}

    async def _insert(self, table: str, types: str, rows: Sequence[tuple[Any, ...]], on_conflict: str = "") -> None:
        if not rows:
            return
        columns = types.split()
        if self._postgresql:  # one statement, for which the triggers run once
            arrays = ", ".join(f"${number}::{type_}[]" for number, type_ in enumerate(columns, 1))
            statement = f"INSERT INTO {table} SELECT * FROM unnest({arrays}) {on_conflict}"  # noqa: S608 - constants
            await self._execute(statement, tuple(map(list, zip(*rows, strict=True))))
        else:
            values = ", ".join("?" * len(columns))
            await self._execute(f"INSERT INTO {table} VALUES ({values}) {on_conflict}", list(rows))  # noqa: S608
