"""The import: documents become sessions in one transaction, all of them or none.

A document replaces the session with its workspace and id, so the later of two wins. Documents are written in batches, each
while the next is read. Memory holds two batches, however long the input.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from db.engine import Database
from db.imports.documents import BadDocument, Document
from db.imports.mongodb import BOOKKEEPING
from db.imports.writer import ImportFailed, Writer

MAX_ERRORS = 20
"""The most bad documents that are told in full."""

_BATCH_DOCUMENTS = 5_000
_BATCH_BYTES = 4 * 1024 * 1024
_READ_AHEAD = 25  # documents are read before the database is attended to


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import did, in documents.

    `dropped` counts the bookkeeping members that were no part of a session. `removed` and `withheld` belong to a replacing
    import; `withheld` says that nothing was removed, because a rejected document does not say which session it is.
    """

    read: int
    new: int
    changed: int
    unchanged: int
    rejected: int
    dropped: Mapping[str, int] = field(default_factory=dict)
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
            counts += "; dropped " + ", ".join(f"{count:,} {name}" for name, count in self.dropped.items())
        return f"read {self.read:,}: {counts}"


class ImportRefused(Exception):
    """Nothing has been imported, because of bad documents: the first of them, and how many there are."""

    def __init__(self, problems: Sequence[BadDocument], count: int) -> None:
        more = [f"and {count - len(problems):,} more"] if count > len(problems) else []
        self.lines = [*map(str, problems), *more]
        super().__init__("\n".join(self.lines))


async def import_documents(
    database: Database,
    documents: Iterable[Document | BadDocument],
    *,
    replace: bool = False,
    rejected: Callable[[BadDocument], None] | None = None,
    max_errors: int = MAX_ERRORS,
) -> ImportResult:
    """Import documents in one transaction.

    Args:
        replace: Make each workspace that occurs exactly the input: remove the sessions that it lacks. The session that a
            rejected document is about is left as it is. When one does not say which session it is about, nothing is removed.
        rejected: Is given the bad documents, and the others are imported. Without it, or when the rest of a stream cannot
            be read, a bad document refuses the import.
        max_errors: So many bad documents are told when the import is refused; the others are counted.

    Raises:
        ImportRefused: for bad documents; all have been read and counted.
        ImportFailed: when the database refuses a session, or `rejected` raises OSError.
        DatabaseUnavailable: when the database cannot be reached or does not answer.
    """
    read = refused = set_aside = 0
    problems: list[BadDocument] = []
    async with database.transaction() as connection:
        writer = Writer(connection, replace=replace)
        written = asyncio.create_task(writer.begin())
        try:
            async for batch in _batches(documents):
                read += len(batch)
                for document in batch:
                    if isinstance(document, Document):
                        continue
                    if rejected is None or document.text is None:
                        refused += 1
                        problems += [document] if len(problems) < max_errors else []
                    else:
                        set_aside += 1
                        _set_aside(document, rejected)
                await written
                if not refused:
                    written = asyncio.create_task(writer.write(batch))
        finally:
            await written
        if refused:
            raise ImportRefused(problems, refused)
        removed = await writer.end()
    counts = writer.counts
    dropped = {name: counts[name] for name in BOOKKEEPING if counts[name]}
    return ImportResult(
        read, counts["new"], counts["changed"], counts["unchanged"], set_aside, dropped, removed, writer.withheld
    )


def _set_aside(document: BadDocument, rejected: Callable[[BadDocument], None]) -> None:
    try:
        rejected(document)
    except OSError as error:  # which a transaction would take for one of the database
        raise ImportFailed(f"{document.place} could not be set aside: {error}") from error


async def _batches(documents: Iterable[Document | BadDocument]) -> AsyncIterator[list[Document | BadDocument]]:
    batch: list[Document | BadDocument] = []
    size = 0
    for number, document in enumerate(documents):
        batch.append(document)
        size += len(document.content if isinstance(document, Document) else document.text or b"")
        if len(batch) >= _BATCH_DOCUMENTS or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
        elif number % _READ_AHEAD == 0:
            await asyncio.sleep(0)  # let the batch before be written meanwhile
    if batch:
        yield batch
