"""Pages of a list: cursors, and the reference to the next page.

A cursor is the position of the last session of a page, bound to its query by a fingerprint. It is not signed, since it
grants nothing: a made-up cursor starts somewhere else in a list that the token covers anyway.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from urllib.parse import parse_qsl, quote

from db.queries import Position, SessionQuery
from openapi.errors import PageNotFound

_FORM = 2
"""The form of cursors that this version writes."""


def write_cursor(position: Position, query: SessionQuery) -> str:
    """The cursor of the page behind a position."""
    content = json.dumps([_FORM, _fingerprint(query), *position], separators=(",", ":"))
    return urlsafe_b64encode(content.encode()).decode().rstrip("=")


def read_cursor(cursor: str, query: SessionQuery) -> Position:
    """The position that a cursor holds.

    Raises:
        PageNotFound: when it was not made for this query, or by another version.
    """
    try:
        form, fingerprint, *position = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError, RecursionError):
        raise _not_found() from None
    is_position = all(isinstance(value, str) and value.isascii() and value.isprintable() for value in position)
    if form != _FORM or fingerprint != _fingerprint(query) or not is_position or len(position) != len(query.order.members):
        raise _not_found()
    return tuple(position)


def _fingerprint(query: SessionQuery) -> str:
    return blake2b(repr(query).encode(), digest_size=6).hexdigest()


def _not_found() -> PageNotFound:
    message = "names no page of this list; start again without it"
    return PageNotFound([{"location": "query", "name": "cursor", "message": message}])


def next_page(query_string: bytes, cursor: str) -> bytes:
    """The value of `Link` for the next page (RFC 8288): the parameters of this request, with another cursor.

    The reference has no path, so it holds behind every proxy. It is encoded anew, so it is no longer than parameters can be.
    """
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(query_string.decode("ascii"), keep_blank_values=True):
        # A repeated parameter means the same as one with commas.
        parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
    parameters["cursor"] = cursor
    pairs = "&".join(f"{name}={quote(value, safe=':,')}" for name, value in parameters.items())
    return f'<?{pairs}>; rel="next"'.encode("ascii")
