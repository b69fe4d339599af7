"""Pages of a list: cursors, and the reference to the next page.

A cursor is the position of the last session of a page, bound to its query by a fingerprint. It is not signed, since it
grants nothing: a made-up cursor starts somewhere else in a list that the token covers anyway.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from urllib.parse import urlencode

from db.queries import Position, SessionQuery
from openapi.errors import PageNotFound
from openapi.parameters import decode, split_query

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
        form, fingerprint, position = None, None, []
    is_position = all(isinstance(value, str) and value.isascii() and value.isprintable() for value in position)
    if form != _FORM or fingerprint != _fingerprint(query) or not is_position or len(position) != len(query.order.members):
        message = "names no page of this list; start again without it"
        raise PageNotFound([{"location": "query", "name": "cursor", "message": message}])
    return tuple(position)


def _fingerprint(query: SessionQuery) -> str:
    return blake2b(repr(query).encode(), digest_size=6).hexdigest()


def next_page(query_string: bytes, cursor: str) -> bytes:
    """The value of `Link` for the next page (RFC 8288): the parameters of this request, with another cursor.

    The reference has no path, so it holds behind every proxy. It is encoded anew, so it is no longer than parameters can be.
    """
    # A repeated parameter means the same as one with commas.
    parameters = {name: ",".join(map(decode, values)) for name, values in split_query(query_string).items()}
    return f'<?{urlencode({**parameters, "cursor": cursor}, safe=":,")}>; rel="next"'.encode("ascii")
