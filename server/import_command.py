"""The command `import`: reads files, and writes messages and a file of rejected documents."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from db.engine import Database
from db.imports import BadDocument, DocumentReader, ImportFailed, ImportRefused, ImportResult, import_documents
from db.schema import require_newest
from openapi import contract
from server.database_work import run
from server.garbage import tune_garbage_collector


class ImportStopped(Exception):
    """The import changed nothing; `problems` say why."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def import_files(url: str, files: Sequence[Path], *, replace: bool, reject: Path | None, max_errors: int) -> ImportResult:
    """Import files into a database; write bad documents to the new file `reject`, if it is given.

    Raises:
        ImportStopped: when a file cannot be read or written, or the import is refused or fails.
    """
    reader = DocumentReader(contract.load().schemas)
    tune_garbage_collector()
    with ExitStack() as opened:
        streams = [_open(file, opened) for file in files]
        rejected = _RejectedDocuments(reject, max_errors, opened) if reject else None
        bar = opened.enter_context(Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()))
        documents = chain.from_iterable(reader.read(_with_progress(bar, *each), each[0]) for each in streams)

        async def read_into(database: Database) -> ImportResult:
            await require_newest(database)
            add = rejected.add if rejected else None
            return await import_documents(database, documents, replace=replace, rejected=add, max_errors=max_errors)

        try:
            result = run(url, read_into)
        except ImportRefused as refused:
            raise ImportStopped(*refused.lines, "nothing was imported") from refused
        except ImportFailed as failed:
            raise ImportStopped(str(failed), "nothing was imported") from failed
        if rejected:
            rejected.keep()
    return result


def _open(file: Path, opened: ExitStack) -> tuple[str, BinaryIO, int | None]:
    """The name of a file, its stream, and its size if it is known."""
    if str(file) == "-":
        return "standard input", sys.stdin.buffer, None
    try:
        stream = opened.enter_context(file.open("rb"))
    except OSError as error:
        raise ImportStopped(f"{file} cannot be read: {error.strerror}") from error
    return str(file), stream, file.stat().st_size if file.is_file() else None


def _with_progress(bar: Progress, name: str, stream: BinaryIO, size: int | None) -> BinaryIO:
    """The stream, whose reading moves a progress bar."""
    if size:
        return bar.wrap_file(stream, size, description=escape(name))
    bar.add_task(escape(name), total=None)
    return stream


class _RejectedDocuments:
    """The file of rejected documents, which is deleted unless the import succeeds and rejects some."""

    def __init__(self, file: Path, max_errors: int, opened: ExitStack) -> None:
        try:
            self._stream = opened.enter_context(file.open("xb", buffering=0))
        except FileExistsError as error:
            raise ImportStopped(f"{file} is there already; name a new file for rejected documents") from error
        except OSError as error:
            raise ImportStopped(f"{file} cannot be written: {error.strerror}") from error
        self._max_errors = max_errors
        self._count = 0
        self._keep = False
        opened.callback(lambda: None if self._keep and self._count else file.unlink(missing_ok=True))

    def add(self, document: BadDocument) -> None:
        self._stream.write((document.text or b"") + b"\n")
        self._count += 1
        if self._count <= self._max_errors:
            typer.echo(f"rejected: {document}", err=True)

    def keep(self) -> None:
        self._keep = True
        if self._count > self._max_errors:
            typer.echo(f"rejected: and {self._count - self._max_errors:,} more", err=True)
