"""Content codings: the choice among those that a client accepts (RFC 9110, section 12.5.3), and compression."""

import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import zstandard

_MAX_CODINGS = 50  # of an Accept-Encoding header that are read; clients send ten at most
MIN_SIZE = 1_000
"""Bytes of a body that is worth a coding: a shorter one fits a packet as it is."""


class Compressor(Protocol):
    """Writes one body, part by part."""

    def compress(self, text: bytes, /) -> bytes:
        """What there is of the coded body once this text is added to it."""

    def flush(self) -> bytes:
        """The end of the coded body."""


def _gzip() -> Compressor:
    return zlib.compressobj(level=3, wbits=16 + zlib.MAX_WBITS)  # above 3, each byte saved costs far more time


def _zstd() -> Compressor:
    return zstandard.ZstdCompressor(level=3).compressobj()


CODINGS: Mapping[str, Callable[[], Compressor]] = {"zstd": _zstd, "gzip": _gzip}
"""The codings that there are besides none, the preferred one first: zstd (RFC 8878) is smaller and several times faster."""


def choose_coding(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The coding for a client that sent these headers; None when it takes none of ours.

    Of equal weights, the order of `CODINGS` decides. `*` stands for gzip alone: proxies and clients send it without being
    able to read zstd. A client that refuses even the plain text gets it all the same, as RFC 9110 allows.
    """
    weights: dict[str, float] = {}
    for name, value in headers:
        if name == b"accept-encoding":
            for item in value.decode("latin-1").lower().split(",", _MAX_CODINGS)[:_MAX_CODINGS]:
                coding, _, parameter = item.partition(";")
                weights[coding.strip()] = _weight(parameter.strip())
    weights.setdefault("gzip", weights.get("*", 0.0))
    best = max(CODINGS, key=lambda coding: weights.get(coding, 0.0))
    weight = weights.get(best, 0.0)
    return best if weight > 0 and weight >= weights.get("identity", 0.0) else None


def _weight(parameter: str) -> float:
    """The weight that `q=0.5` gives a coding: 1 without it, 0 if it is no weight."""
    name, _, value = (parameter or "q=1").partition("=")
    try:
        weight = float(value) if name.strip() == "q" else 0.0
    except ValueError:
        return 0.0
    return weight if 0.0 <= weight <= 1.0 else 0.0


def compress(coding: str, body: bytes) -> bytes:
    """A whole body in a coding. It takes a millisecond for each few hundred kilobytes: not in the event loop."""
    compressor = CODINGS[coding]()
    return compressor.compress(body) + compressor.flush()
