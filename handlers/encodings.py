"""Content codings: the choice among those that a client accepts (RFC 9110, section 12.5.3), and compression."""

import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import zstandard

from openapi.parameters import Header

MIN_SIZE = 1_000
"""Bytes of a body that is worth a coding: a shorter one fits a packet as it is."""
CODINGS: Mapping[str, Callable[[], Any]] = {
    "zstd": lambda: zstandard.ZstdCompressor(level=3).compressobj(),
    "gzip": lambda: zlib.compressobj(level=3, wbits=16 + zlib.MAX_WBITS),  # above 3, each byte saved costs far more time
}
"""Makes a compressor for each coding, the preferred one first: zstd (RFC 8878) is smaller and several times faster."""
_MAX_ITEMS = 50  # of an Accept-Encoding header that are read; clients send ten at most
_ITEM = re.compile(r"\s*([a-z0-9*-]+)\s*(?:;\s*q\s*=\s*(0(?:\.[0-9]*)?|1(?:\.0*)?)\s*)?")


def choose_coding(headers: Iterable[Header]) -> str | None:
    """The coding for a client that sent these headers; None when it takes none of ours.

    Of equal weights, the order of `CODINGS` decides. `*` stands for gzip alone: proxies and clients send it without being
    able to read zstd. A client that refuses even the plain text gets it all the same, as RFC 9110 allows.
    """
    accepted = b",".join(value for name, value in headers if name == b"accept-encoding").decode("latin-1").lower()
    items = filter(None, map(_ITEM.fullmatch, accepted.split(",", _MAX_ITEMS)[:_MAX_ITEMS]))
    weights = {item[1]: float(item[2] or 1) for item in items}
    weights.setdefault("gzip", weights.get("*", 0.0))
    best = max(CODINGS, key=lambda coding: weights.get(coding, 0.0))
    weight = weights.get(best, 0.0)
    return best if weight > 0 and weight >= weights.get("identity", 0.0) else None


def compress(coding: str, body: bytes) -> bytes:
    """A whole body in a coding. It takes a millisecond for each few hundred kilobytes: not in the event loop."""
    compressor = CODINGS[coding]()
    compressed: bytes = compressor.compress(body) + compressor.flush()
    return compressed
