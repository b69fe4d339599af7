"""Splits a stream into documents, in whichever form it has, and holds one document at a time.

The content tells the form: gzip, BSON (mongodump), a JSON array, a response of this API (`{"sessions": […]}`), NDJSON, or
JSON documents one after the other, each over several lines or not. Text is UTF-8, with or without a byte order mark.
"""

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import orjson

CHUNK = 1024 * 1024

_WHITE = re.compile(rb"[ \t\r\n]*")
_ARRAY = re.compile(rb'\[|\{[ \t\r\n]*"sessions"[ \t\r\n]*:[ \t\r\n]*\[')
# Up to and including the next bracket that stands outside of a string.
_BRACKET = re.compile(rb'[^"\[\]{}]*+(?:"(?:[^"\\]++|\\.)*+"[^"\[\]{}]*+)*+[\[\]{}]', re.DOTALL)
# A length below 64 MiB, the type of the first member, and its name. No text has a NUL there, not even in UTF-16.
_BSON = re.compile(rb".{3}[\x00-\x03][\x01-\x13\x7f\xff][^\x00]", re.DOTALL)
_OTHERS = {
    rb"\xff\xfe|\xfe\xff|\x00[\[{]|[\[{]\x00": "UTF-16 text; convert it to UTF-8",
    rb"\x6d\xe2\x99\x81": "an archive of mongodump; dump without --archive, and import the .bson files",
    rb"PK\x03\x04": "a zip archive; unpack it",
    rb"\x28\xb5\x2f\xfd": "compressed by zstd; decompress it",
}


class Place(NamedTuple):
    """Where a document begins: a line of a text, or in BSON the number of the document."""

    source: str
    number: int
    is_bson: bool = False

    def __str__(self) -> str:
        """The beginning of a message."""
        return f"{self.source}: document {self.number}" if self.is_bson else f"{self.source}:{self.number}"


class Unreadable(Exception):
    """The rest of a stream cannot be read: from which place on, and why."""

    def __init__(self, place: Place, reason: str) -> None:
        super().__init__(reason)
        self.place = place


def split_documents(stream: BinaryIO, name: str, limit: int) -> Iterator[tuple[Place, bytes]]:
    """Split a stream into what may be documents, to its end; `name` is that of the stream.

    Raises:
        Unreadable: when the form is unknown or broken, a document has more bytes than `limit`, or reading fails.
    """
    source = _Source(stream, name, limit)
    try:
        yield from source.documents()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise source.unreadable(f"the gzip file is damaged or cut off: {error}") from error
    except OSError as error:
        raise source.unreadable(f"the file cannot be read on: {error.strerror or error}") from error


class _Source:
    """The bytes of a stream, a chunk at a time."""

    def __init__(self, stream: BinaryIO, name: str, limit: int) -> None:
        self._place = Place(name, 1)  # of the first byte that is held
        self._held = bytearray()
        self._stream: io.BufferedReader | gzip.GzipFile = io.BufferedReader(stream)  # type: ignore[arg-type]
        self._ended = False
        self._limit = limit

    def documents(self) -> Iterator[tuple[Place, bytes]]:
        if self._stream.peek(2).startswith(b"\x1f\x8b"):
            self._stream = gzip.GzipFile(fileobj=self._stream)
        self._hold(CHUNK)
        if _BSON.match(self._held):
            yield from self._bson()
            return
        for beginning, what in _OTHERS.items():
            if re.match(beginning, self._held):
                raise self.unreadable(f"the file is {what}")
        if self._held.startswith(codecs.BOM_UTF8):
            self._take(len(codecs.BOM_UTF8))
        self._next()
        self._hold(CHUNK)
        if array := _ARRAY.match(self._held):
            closing = b"]" if array[0] == b"[" else b"]}"
            self._take(array.end())
            yield from self._array(closing)
        elif self._is_ndjson():
            yield from self._lines()
        else:
            while self._next():
                yield self._object()

    def _is_ndjson(self) -> bool:
        """Whether a line is a whole document, or the first one is none, not even the beginning of one."""
        lines = bytes(self._held).split(b"\n")
        complete = lines if self._ended else lines[:-1]
        return not self._held.startswith(b"{") or any(line.startswith(b'{"') and _is_json(line) for line in complete)

    def _lines(self) -> Iterator[tuple[Place, bytes]]:
        while self._next():
            while (end := self._held.find(b"\n")) < 0 and len(self._held) <= self._limit and self._more():
                pass
            end = len(self._held) if end < 0 else end
            if end > self._limit:
                raise self._too_large()
            yield self._place, self._take(end).rstrip(b" \t\r")

    def _array(self, closing: bytes) -> Iterator[tuple[Place, bytes]]:
        if self._next() != b"]":
            yield self._object()
            while self._next() == b",":
                self._take(1)
                self._next()
                yield self._object()
        for bracket in closing:
            if self._next() != bytes([bracket]):
                raise self._unexpected(f"the array must go on with a comma or end with {closing.decode()} here")
            self._take(1)
        if self._next():
            raise self._unexpected("the file must end here, after its sessions")

    def _object(self) -> tuple[Place, bytes]:
        """The object that begins here, told by its brackets alone."""
        if not self._held.startswith(b"{"):
            raise self._unexpected("a document must begin with { here")
        position, opened = 0, bytearray()
        while position <= self._limit:
            if bracket := _BRACKET.match(self._held, position):
                position = bracket.end()
                kind = self._held[position - 1]
                if kind in b"[{":
                    opened.append(kind)
                elif opened.pop() != kind - 2:  # in ASCII a bracket stands two before the one that closes it
                    raise self.unreadable(f"the document that begins here has a {chr(kind)} that closes nothing")
                if not opened and position <= self._limit:
                    return self._place, self._take(position)
            elif len(self._held) > self._limit:
                break
            elif not self._more():
                raise self.unreadable("the document that begins here has no end: the file is cut off")
        raise self._too_large()

    def _bson(self) -> Iterator[tuple[Place, bytes]]:
        self._place = self._place._replace(is_bson=True)
        while self._hold(4):
            length = int.from_bytes(self._held[:4], "little")
            if not 5 <= length <= self._limit:
                raise self.unreadable(f"the length must be from 5 to {self._limit:,} bytes, not {length:,}")
            if self._hold(length) < length:
                raise self.unreadable("the document has no end: the file is cut off")
            yield self._place, self._take(length)

    def _next(self) -> bytes:
        """The next character that is not white space, or nothing at the end of the stream."""
        while True:
            self._take(_WHITE.match(self._held).end())  # type: ignore[union-attr] # it matches nothing, too
            if self._held or not self._more():
                return bytes(self._held[:1])

    def _take(self, length: int) -> bytes:
        taken = bytes(self._held[:length])
        del self._held[:length]
        passed = 1 if self._place.is_bson else taken.count(b"\n")
        if passed:
            self._place = self._place._replace(number=self._place.number + passed)
        return taken

    def _hold(self, size: int) -> int:
        """Hold at least so many bytes, or all that are left; return how many are held."""
        while len(self._held) < size and self._more():
            pass
        return len(self._held)

    def _more(self) -> bool:
        """Read on; False at the end. A long document comes in ever larger pieces: each is searched from its start."""
        if not self._ended:
            chunk = self._stream.read(max(CHUNK, len(self._held)))
            self._held += chunk
            self._ended = not chunk
        return not self._ended

    def unreadable(self, reason: str) -> Unreadable:
        return Unreadable(self._place, reason)

    def _too_large(self) -> Unreadable:
        return self.unreadable(f"the document that begins here is larger than {self._limit:,} bytes")

    def _unexpected(self, expected: str) -> Unreadable:
        found = repr(bytes(self._held[:20]).decode(errors="replace")) if self._held else "the end of the file"
        return self.unreadable(f"{expected}, but there is {found}")


def _is_json(line: bytes) -> bool:
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True
