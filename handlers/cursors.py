"""Cursors: where the next page of a list begins.

A cursor is the position of the last session of a page, bound to the question that it was made for by a fingerprint of it. It
is not signed, since it grants nothing: whoever makes one up starts somewhere else in a list that their token covers anyway.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from hashlib import blake2b

from db.questions import Order, Position, SessionFilter
from openapi.errors import PageNotFound

_FORM = 1
"""The form of cursors that this version writes; another one is stale."""


def write_cursor(position: Position, workspace_id: str, wanted: SessionFilter, sort: str) -> str:
    """The cursor that continues behind a position."""
    content = json.dumps([_FORM, _fingerprint(workspace_id, wanted, sort), *position], separators=(",", ":"))
    return urlsafe_b64encode(content.encode()).decode().rstrip("=")


def read_cursor(cursor: str, workspace_id: str, wanted: SessionFilter, sort: str, order: Order) -> Position:
    """The position that a cursor holds.

    Raises:
        PageNotFound: when it is no cursor of this API, of an older form, or was made for another question.
    """
    try:
        content = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (NotBase64, ValueError, RecursionError):
        content = None
    if not isinstance(content, list) or len(content) < 2:
        raise _refused("is not one that this API made")
    form, fingerprint, *position = content
    if form != _FORM or not all(isinstance(value, str) and value.isascii() and value.isprintable() for value in position):
        raise _refused("was made by another version of this API")
    if fingerprint != _fingerprint(workspace_id, wanted, sort) or len(position) != len(order.columns):
        raise _refused("was made for other filters or another order")
    return tuple(position)


def _fingerprint(workspace_id: str, wanted: SessionFilter, sort: str) -> str:
    return blake2b(repr((workspace_id, wanted, sort)).encode(), digest_size=6).hexdigest()


def _refused(message: str) -> PageNotFound:
    return PageNotFound([{"location": "query", "name": "cursor", "message": message}])
