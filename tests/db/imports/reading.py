"""Documents to read, and what becomes of them."""

import io
import json
from collections.abc import Iterable
from typing import Any, BinaryIO, cast

from db.demo import DOCUMENTED_SESSION
from db.imports import BadDocument, Document, DocumentReader
from openapi.json import encode
from tests.conftest import SCHEMAS

READER = DocumentReader(SCHEMAS)


class Pieces(io.RawIOBase):
    """A stream that is made while it is read, and hands out what it gets."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._left = b""
        self.handed_out = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._left or next(self._pieces, b"")
        size = min(len(piece), len(buffer))
        buffer[:size], self._left = piece[:size], piece[size:]
        self.handed_out += size
        return size


def document(id_: str = DOCUMENTED_SESSION["id"], /, **changes: Any) -> dict[str, Any]:
    return DOCUMENTED_SESSION | {"id": id_} | changes


def lines(*documents: dict[str, Any]) -> bytes:
    return b"\n".join(map(encode, documents))


def with_notes(notes: str, base: bytes = encode(DOCUMENTED_SESSION)) -> bytes:
    """A document with this JSON text in its notes."""
    assert b'"notes":[]' in base
    return base.replace(b'"notes":[]', f'"notes":[{notes}]'.encode())


def read(content: bytes | Pieces, reader: DocumentReader = READER) -> list[Document | BadDocument]:
    stream = io.BytesIO(content) if isinstance(content, bytes) else cast("BinaryIO", content)
    return list(reader.read(stream, "input"))


def good(content: bytes | Pieces) -> list[Document]:
    items = read(content)
    assert [str(item) for item in items if isinstance(item, BadDocument)] == []
    return [item for item in items if isinstance(item, Document)]


def bad(content: bytes | Pieces, reader: DocumentReader = READER) -> BadDocument:
    item = read(content, reader)[-1]
    assert isinstance(item, BadDocument)
    return item


def value(item: Document) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(item.content)
    return decoded
