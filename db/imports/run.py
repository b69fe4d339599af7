"""The import: documents become sessions in one transaction, all of them or none.

A document replaces the session with its workspace and id, so the later of two wins. A batch of documents is written while
the next batch is read, so memory holds two batches, however long the input is.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy.exc import IntegrityError

from db.engine import Database
from db.imports.documents import BadDocument, Document
from db.imports.writer import Writer

MAX_ERRORS = 20
"""The number of bad documents that a refusal describes."""

_BATCH_DOCUMENTS = 5_000
_BATCH_BYTES = 4 * 1024 * 1024


class ImportRefused(Exception):
    """Nothing was imported, because the input holds bad documents; `lines` describe the first ones and count the others."""

    def __init__(self, described: Sequence[BadDocument], count: int) -> None:
        more = [f"and {count - len(described):,} more"] if count > len(described) else []
        self.lines = [*map(str, described), *more]
        super().__init__("\n".join(self.lines))


class ImportFailed(Exception):
    """Nothing was imported, because the database refused a session, or a rejected document could not be saved."""


@dataclass(slots=True)
class ImportResult:
    """Counts of documents.

    `dropped` counts the bookkeeping members that were left out. A replacing import sets `removed`, and `withheld` if it
    removed nothing because a rejected document does not say which session it describes.
    """

    read: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    rejected: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    removed: int | None = None
    withheld: bool = False

    def __str__(self) -> str:
        """The closing line of an import."""
        counts = f"{self.new:,} new, {self.changed:,} changed, {self.unchanged:,} unchanged, {self.rejected:,} rejected"
        if self.removed is not None:
            counts += f", {self.removed:,} removed"
        if self.withheld:
            counts += " (since a rejected document does not say which session it is)"
        if self.dropped:
            counts += "; dropped " + ", ".join(f"{count:,} {name}" for name, count in sorted(self.dropped.items()))
        return f"read {self.read:,}: {counts}"


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
        replace: Remove the sessions that the input lacks, from each workspace with a good document. The session that a
            rejected document describes stays as it is. If one does not say which session it describes, nothing is removed.
        rejected: Called with each bad document; the others are imported. Without it, or when the rest of a stream cannot be
            read, a bad document refuses the import.
        max_errors: The number of bad documents that a refusal describes; the others are counted.

    Raises:
        ImportRefused: for bad documents, after all of the input has been read.
        ImportFailed: when the database refuses a session, or `rejected` raises OSError.
        DatabaseUnavailable: when the database cannot be reached or does not respond.
    """
    result = ImportResult(removed=0 if replace else None)
    described: list[BadDocument] = []
    refused = 0
    batches = _batches(documents)
    async with database.transaction() as connection:
        writer = Writer(connection, replace=replace)
        await writer.begin()
        batch = await asyncio.to_thread(next, batches, None)
        while batch:
            result.read += len(batch)
            good = [document for document in batch if isinstance(document, Document)]
            bad = [document for document in batch if isinstance(document, BadDocument)]
            for document in bad:
                if rejected is None or document.text is None:
                    refused += 1
                    described += [document] if len(described) < max_errors else []
                else:
                    result.rejected += 1
                    _save(document, rejected)
            writing = asyncio.create_task(_write(writer, good, bad, result)) if not refused else None
            try:
                batch = await asyncio.to_thread(next, batches, None)
            finally:
                if writing:
                    await writing
        if refused:
            raise ImportRefused(described, refused)
        if replace and not result.withheld:
            result.removed = await writer.remove_others()
        await writer.end()
    return result


async def _write(writer: Writer, good: list[Document], bad: list[BadDocument], result: ImportResult) -> None:
    try:
        written = await writer.write(good, bad)
    except IntegrityError as error:
        places = f"from {good[0].place} to {good[-1].place}"
        raise ImportFailed(f"the database refused a session of the documents {places}: {error.orig}") from error
    result.new += written.new
    result.changed += written.changed
    result.unchanged += written.unchanged
    result.dropped.update(name for document in good for name in document.dropped)
    result.withheld |= result.removed is not None and any(document.session_id is None for document in bad)


def _save(document: BadDocument, rejected: Callable[[BadDocument], None]) -> None:
    try:
        rejected(document)
    except OSError as error:  # the transaction would report it as an error of the database
        raise ImportFailed(f"{document.place} could not be saved: {error}") from error


def _batches(documents: Iterable[Document | BadDocument]) -> Iterator[list[Document | BadDocument]]:
    batch: list[Document | BadDocument] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document.content if isinstance(document, Document) else document.text or b"")
        if len(batch) >= _BATCH_DOCUMENTS or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
