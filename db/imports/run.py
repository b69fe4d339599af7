"""The import: documents become sessions in one transaction, all of them or none.

A document replaces the session with its workspace and id, so the later of two wins. Documents go in batches into a staging
table, and from there into `sessions`, while the next batch is read. Memory holds two batches, however long the input.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import Database
from db.imports.documents import BadDocument, Document

MAX_ERRORS = 20
"""The most bad documents that are told in full."""

_BATCH_DOCUMENTS = 5_000
_BATCH_BYTES = 4 * 1024 * 1024
_READ_AHEAD = 25  # documents are read before the database is attended to
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


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import did, in documents.

    A document that a later one of its batch supersedes counts as unchanged if the two are equal, and as changed if not.
    `dropped` counts the bookkeeping members that were no part of a session. `removed` and `withheld` belong to a replacing
    import; `withheld` says that nothing was removed, because a rejected document does not say which session it is.
    """

    read: int
    new: int
    changed: int
    unchanged: int
    rejected: int
    dropped: Counter[str] = field(default_factory=Counter)
    removed: int | None = None
    withheld: bool = False

    def __str__(self) -> str:
        """The line that closes an import."""
        counts = f"{self.new:,} new, {self.changed:,} changed, {self.unchanged:,} unchanged, {self.rejected:,} rejected"
        if self.removed is not None:
            counts += f", {self.removed:,} removed"
        if self.withheld:
            counts += " (since a rejected document does not say which session it is)"
        if self.dropped:
            counts += "; dropped " + ", ".join(f"{count:,} {name}" for name, count in sorted(self.dropped.items()))
        return f"read {self.read:,}: {counts}"


class ImportRefused(Exception):
    """Nothing has been imported, because of bad documents: the first of them, and how many there are."""

    def __init__(self, problems: Sequence[BadDocument], count: int) -> None:
        more = [f"and {count - len(problems):,} more"] if count > len(problems) else []
        self.lines = [*map(str, problems), *more]
        super().__init__("\n".join(self.lines))


class ImportFailed(Exception):
    """Nothing has been imported, because the database refused a session, or rejected documents could not be set aside."""


async def import_documents(
    database: Database,
    documents: Iterable[Document | BadDocument],
    *,
    replace: bool = False,
    rejected: Callable[[BadDocument], None] | None = None,
    progress: Callable[[int], None] | None = None,
    max_errors: int = MAX_ERRORS,
) -> ImportResult:
    """Import documents in one transaction.

    Args:
        replace: Make each workspace that occurs exactly the input: remove the sessions that it lacks. The session that a
            rejected document is about is left as it is. When one does not say which session it is about, nothing is removed.
        rejected: Is given the bad documents, and the others are imported. Without it, or when the rest of a stream cannot
            be read, a bad document refuses the import.
        progress: Is told now and then how many documents have been read so far.
        max_errors: So many bad documents are told when the import is refused; the others are counted.

    Raises:
        ImportRefused: for bad documents; all have been read and counted.
        ImportFailed: when the database refuses a session, or `rejected` raises OSError.
        DatabaseUnavailable: when the database cannot be reached or does not answer.
    """
    read = refused = set_aside = 0
    problems: list[BadDocument] = []
    async with database.transaction() as connection:
        work = _Import(connection, replace=replace)
        written = asyncio.create_task(work.begin())
        try:
            async for batch in _batches(documents):
                read += batch.read
                for document in batch.bad:
                    if rejected is None or document.text is None:
                        refused += 1
                        problems += [document] if len(problems) < max_errors else []
                    else:
                        set_aside += 1
                        _set_aside(document, rejected)
                await written
                if not refused:
                    written = asyncio.create_task(work.write(batch))
                if progress is not None:
                    progress(read)
        finally:
            await written
        if refused:
            raise ImportRefused(problems, refused)
        return await work.end(read=read, rejected=set_aside)


def _set_aside(document: BadDocument, rejected: Callable[[BadDocument], None]) -> None:
    try:
        rejected(document)
    except OSError as error:  # which a transaction would take for one of the database
        raise ImportFailed(f"{document.place} could not be set aside: {error}") from error


class _Batch:
    """Documents that are written together: of those for one session, the last."""

    def __init__(self) -> None:
        self.read = 0
        self.size = 0
        self.sessions: dict[tuple[str, str], Document] = {}
        self.bad: list[BadDocument] = []
        self.counts = Counter[str]()
        self.dropped = Counter[str]()

    def add(self, document: Document | BadDocument) -> None:
        self.read += 1
        if isinstance(document, BadDocument):
            self.bad.append(document)
            self.size += len(document.text or b"")
            return
        self.size += len(document.content)
        if document.dropped:
            self.dropped.update(document.dropped)
        key = (document.workspace_id, document.id)
        if key in self.sessions:
            self.counts["unchanged" if self.sessions[key].content == document.content else "changed"] += 1
        self.sessions[key] = document


async def _batches(documents: Iterable[Document | BadDocument]) -> AsyncIterator[_Batch]:
    batch = _Batch()
    for number, document in enumerate(documents):
        batch.add(document)
        if batch.read >= _BATCH_DOCUMENTS or batch.size >= _BATCH_BYTES:
            yield batch
            batch = _Batch()
        elif number % _READ_AHEAD == 0:
            await asyncio.sleep(0)  # let the batch before be written meanwhile
    if batch.read:
        yield batch


class _Import:
    """One import, in the transaction of `connection`."""

    def __init__(self, connection: AsyncConnection, *, replace: bool) -> None:
        self._connection = connection
        self._postgresql = connection.dialect.name == "postgresql"
        self._replace = replace
        self._withheld = False
        self._counts = Counter[str]()
        self._dropped = Counter[str]()

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

    async def write(self, batch: _Batch) -> None:
        """Write the documents of a batch, and remember what a replacing import must not remove."""
        if self._replace:
            named = [{"workspace_id": bad.workspace_id, "id": bad.session_id} for bad in batch.bad if bad.session_id]
            self._withheld |= len(named) < len(batch.bad)
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
        self._counts += Counter(
            new=len(batch.sessions) - len(stored),
            changed=len(stored) - len(unchanged),
            unchanged=len(unchanged),
        )
        self._counts += batch.counts
        self._dropped += batch.dropped

    async def end(self, *, read: int, rejected: int) -> ImportResult:
        """Remove what has to go, and count."""
        removed = None
        if self._replace:
            removed = 0 if self._withheld else (await self._connection.exec_driver_sql(_REMOVE)).rowcount
        if not self._postgresql:  # SQLite has no ON COMMIT DROP
            for table in ("import_staging", "import_seen"):
                await self._execute(f"DROP TABLE {table}")
        counts = {name: self._counts[name] for name in ("new", "changed", "unchanged")}
        return ImportResult(
            read=read, **counts, rejected=rejected, dropped=self._dropped, removed=removed, withheld=self._withheld
        )

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
