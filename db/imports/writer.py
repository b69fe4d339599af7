"""Writes documents into the tables, a batch at a time: into a staging table, and from there into `sessions`."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from db.imports.documents import BadDocument, Document

_LOCK = 0x5E5510  # PostgreSQL's advisory lock that an import holds; any number that nobody else takes

_STORED = "SELECT workspace_id, id FROM sessions WHERE (workspace_id, id) IN (SELECT workspace_id, id FROM import_staging)"
_UNCHANGED = f"""{_STORED} AND (workspace_id, id, CAST(document AS text)) IN (
  SELECT workspace_id, id, CAST(document AS text) FROM import_staging)"""  # noqa: S608 - constants
# In the order of the key, so that neighbours fall on the same pages and two writers cannot wait for each other. Without
# WHERE, SQLite takes the ON of ON CONFLICT for a join's.
_UPSERT = """
INSERT INTO sessions (workspace_id, id, document)
SELECT workspace_id, id, document FROM import_staging WHERE true ORDER BY workspace_id, id
ON CONFLICT (workspace_id, id) DO UPDATE SET document = excluded.document"""
_ADD_WORKSPACES = """
INSERT INTO workspaces (id) SELECT DISTINCT workspace_id FROM import_staging WHERE true ON CONFLICT (id) DO NOTHING"""
_REPLACED = "SELECT workspace_id FROM import_seen WHERE imported"
# Not NOT EXISTS: where sessions are distributed (Citus), a temporary table cannot be joined to them.
_REMOVE = f"""
DELETE FROM sessions WHERE workspace_id IN ({_REPLACED}) AND (workspace_id, id) IN (
  SELECT workspace_id, id FROM sessions WHERE workspace_id IN ({_REPLACED})
  EXCEPT SELECT workspace_id, id FROM import_seen)"""  # noqa: S608 - constants


class ImportFailed(Exception):
    """Nothing has been imported, because the database refused a session, or rejected documents could not be set aside."""


class Batch:
    """Documents that are written together: of those for one session, the last."""

    def __init__(self) -> None:
        self.read = 0
        self.size = 0
        self.sessions: dict[tuple[str, str], Document] = {}
        self.bad: list[BadDocument] = []
        self.counts = Counter[str]()

    def add(self, document: Document | BadDocument) -> None:
        self.read += 1
        if isinstance(document, BadDocument):
            self.bad.append(document)
            self.size += len(document.text or b"")
            return
        self.size += len(document.content)
        if document.dropped:
            self.counts.update(document.dropped)
        key = (document.workspace_id, document.id)
        if key in self.sessions:
            self.counts["unchanged" if self.sessions[key].content == document.content else "changed"] += 1
        self.sessions[key] = document


class Writer:
    """Writes the batches of one import, in the transaction of `connection`."""

    def __init__(self, connection: AsyncConnection, *, replace: bool) -> None:
        self._connection = connection
        self._postgresql = connection.dialect.name == "postgresql"
        self._replace = replace
        self.withheld = False
        self.counts = Counter[str]()

    async def begin(self) -> None:
        """Wait for other imports to end, and create the temporary tables."""
        if self._postgresql:
            await self._execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
            # A plan that is made while a table is tiny would read all of it for every batch, however large it becomes.
            await self._execute("SET LOCAL enable_seqscan = off")
        end = "ON COMMIT DROP" if self._postgresql else ""
        columns = "SELECT workspace_id, id, document FROM sessions WHERE false"
        await self._execute(f"CREATE TEMPORARY TABLE import_staging {end} AS {columns}")
        await self._execute(f"CREATE TEMPORARY TABLE import_seen (workspace_id text, id text, imported boolean) {end}")

    async def write(self, batch: Batch) -> None:
        """Write the documents of a batch, and remember what a replacing import must not remove."""
        if self._replace:
            named = [{"workspace_id": bad.workspace_id, "id": bad.session_id} for bad in batch.bad if bad.session_id]
            self.withheld |= len(named) < len(batch.bad)
            if named:
                seen = text("INSERT INTO import_seen (workspace_id, id) VALUES (:workspace_id, :id)")
                await self._connection.execute(seen, named)
        if not batch.sessions:
            return
        await self._stage(batch.sessions.values())
        if self._replace:
            await self._execute("INSERT INTO import_seen SELECT workspace_id, id, true FROM import_staging")
        stored = set(await self._execute(_STORED))
        # To propose a stored document again costs PostgreSQL half as much as to insert it, and locks its row.
        unchanged = set(await self._execute(_UNCHANGED)) if stored else set()
        if unchanged:
            await self._clear()
            await self._stage([document for key, document in batch.sessions.items() if key not in unchanged])
        try:
            await self._execute(_ADD_WORKSPACES)
            await self._execute(_UPSERT)
        except IntegrityError as error:
            first, *_, last = [*batch.sessions.values()] * 2
            message = f"the database refused a session of the documents from {first.place} to {last.place}: {error.orig}"
            raise ImportFailed(message) from error
        await self._clear()
        self.counts += Counter(
            new=len(batch.sessions) - len(stored),
            changed=len(stored) - len(unchanged),
            unchanged=len(unchanged),
        )
        self.counts += batch.counts

    async def end(self) -> int | None:
        """Remove the sessions that have to go, and the temporary tables; return how many went, None unless replacing."""
        removed = None
        if self._replace:
            removed = 0 if self.withheld else (await self._connection.exec_driver_sql(_REMOVE)).rowcount
        if not self._postgresql:  # SQLite has no ON COMMIT DROP
            for table in ("import_staging", "import_seen"):
                await self._execute(f"DROP TABLE {table}")
        return removed

    async def _stage(self, documents: Iterable[Document]) -> None:
        rows = [(document.workspace_id, document.id, document.content.decode()) for document in documents]
        if not rows:
            return
        if self._postgresql:
            stage = "INSERT INTO import_staging SELECT * FROM unnest($1::text[], $2::text[], $3::json[])"
            await self._connection.exec_driver_sql(stage, tuple(map(list, zip(*rows, strict=True))))
        else:
            await self._connection.exec_driver_sql("INSERT INTO import_staging VALUES (?, ?, ?)", rows)

    async def _clear(self) -> None:
        await self._execute("TRUNCATE import_staging" if self._postgresql else "DELETE FROM import_staging")

    async def _execute(self, statement: str) -> Sequence[Any]:
        result = await self._connection.exec_driver_sql(statement)
        return result.all() if result.returns_rows else ()
