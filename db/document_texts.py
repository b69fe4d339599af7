"""The texts of the documents in a stream, whichever of three shapes it has, without holding more than one of them.

The shapes are told apart by how the stream begins: `[` is a JSON array of documents; `{"sessions": [` is the body that this
API answers; anything else is NDJSON, one document a line. A byte order mark is skipped, and so is white space.
"""

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_CHUNK = 1024 * 1024
_WHITE = re.compile(rb"[ \t\r\n]*")
_BODY = re.compile(rb'\{[ \t\r\n]*"sessions"[ \t\r\n]*:[ \t\r\n]*\[')
# Up to and including the next bracket that stands outside of a string.
_BRACKET = re.compile(rb'[^"\[\]{}]*+(?:"(?:[^"\\]++|\\.)*+"[^"\[\]{}]*+)*+[\[\]{}]', re.DOTALL)


class Text(NamedTuple):
    """What may be a document, with the number of the line in which it begins."""

    line: int
    content: bytes


class Unreadable(Exception):
    """The rest of a stream cannot be read: from which line on, and why."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


def read_texts(stream: BinaryIO, limit: int) -> Iterator[Text]:
    """Read a stream to its end, document by document.

    Raises:
        Unreadable: when an array is broken, something follows it, a document has more bytes than `limit`, or reading fails.
    """
    source = _Source(stream, limit)
    try:
        yield from source.texts()
    except OSError as error:
        raise Unreadable(source.line, f"the file cannot be read on: {error.strerror or error}") from error


class _Source:
    """The bytes of a stream, a chunk at a time."""

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        self.line = 1  # in which `_held` begins
        self._held = bytearray()
        self._stream = stream
        self._ended = False
        self._limit = limit

    def texts(self) -> Iterator[Text]:
        self._hold_beginning()
        if self._held.startswith(codecs.BOM_UTF8):
            self._take(len(codecs.BOM_UTF8))
        first = self._next()
        self._hold_beginning()
        if first == b"[":
            self._take(1)
            yield from self._items()
        elif body := _BODY.match(self._held):
            self._take(body.end())
            yield from self._items()
            if self._next() != b"}":
                raise self._unexpected("the body must end with } here")
            self._take(1)
        else:
            yield from self._lines()
        if self._next():
            raise self._unexpected("the file must end here, after its sessions")

    def _lines(self) -> Iterator[Text]:
        while True:
            newline = self._held.find(b"\n")
            while newline < 0 and len(self._held) <= self._limit:
                searched = len(self._held)
                if not self._more():
                    break
                newline = self._held.find(b"\n", searched)
            length = len(self._held) if newline < 0 else newline + 1
            if not length:
                return
            if length > self._limit:
                raise self._too_large()
            text = Text(self.line, self._take(length).strip(b" \t\r\n"))
            if text.content:
                yield text

    def _items(self) -> Iterator[Text]:
        """The documents of an array whose opening bracket has been taken; takes the closing one."""
        more = self._next() != b"]"
        while more:
            if self._next() != b"{":
                raise self._unexpected("a document must begin with { here")
            yield Text(self.line, self._take(self._length()))
            more = self._next() == b","
            if more:
                self._take(1)
        if self._next() != b"]":
            raise self._unexpected("the array must go on with a comma or end with ] here")
        self._take(1)

    def _length(self) -> int:
        """The length of the object that begins here, told by its brackets alone: its text is looked at later."""
        position, opened = 0, bytearray()
        while position <= self._limit:
            if bracket := _BRACKET.match(self._held, position):
                position = bracket.end()
                kind = self._held[position - 1]
                if kind in b"[{":
                    opened.append(kind)
                elif opened.pop() != kind - 2:  # in ASCII a bracket stands two before the one that closes it
                    raise Unreadable(self.line, f"the document that begins here has a {chr(kind)} that closes nothing")
                if not opened and position <= self._limit:
                    return position
            elif len(self._held) > self._limit:
                break
            elif not self._more():
                raise Unreadable(self.line, "the document that begins here has no end: the file is cut off")
        raise self._too_large()

    def _next(self) -> bytes:
        """The next character that is not white space, or nothing at the end of the stream."""
        while True:
            self._take(_WHITE.match(self._held).end())  # type: ignore[union-attr] # it matches nothing, too
            if self._held or not self._more():
                return bytes(self._held[:1])

    def _take(self, length: int) -> bytes:
        taken = bytes(self._held[:length])
        del self._held[:length]
        self.line += taken.count(b"\n")
        return taken

    def _more(self) -> bool:
        """Read on; False at the end. A long document comes in ever larger pieces: each is searched from its start."""
        if not self._ended:
            chunk = self._stream.read(max(_CHUNK, len(self._held)))
            self._held += chunk
            self._ended = not chunk
        return not self._ended

    def _hold_beginning(self) -> None:
        while len(self._held) < 4096 and self._more():
            pass

    def _too_large(self) -> Unreadable:
        return Unreadable(self.line, f"the document that begins here is larger than {self._limit:,} bytes")

    def _unexpected(self, expected: str) -> Unreadable:
        found = repr(bytes(self._held[:20]).decode(errors="replace")) if self._held else "the end of the file"
        return Unreadable(self.line, f"{expected}, but there is {found}")
