"""Content codings: which one is chosen, and that compression is lossless."""

import gzip

import httpx
import pytest
import zstandard

from handlers.encodings import CODINGS, MIN_SIZE, choose_coding, compress


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        (None, None),
        ("", None),
        ("gzip", "gzip"),
        ("GZip", "gzip"),
        ("zstd", "zstd"),
        ("gzip, deflate, br", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip;q=1.0, zstd;q=0.5", "gzip"),
        ("gzip;q=0.5, zstd;q=0.9", "zstd"),
        ("gzip;q=0", None),
        ("gzip; q=0, zstd; q=0", None),
        ("*", "gzip"),
        ("*, zstd", "zstd"),
        ("zstd;q=0.5, *", "gzip"),
        ("gzip;q=0, *", None),
        ("identity, *;q=0.5", None),
        ("*;q=0.5, identity;q=0.2", "gzip"),
        ("br, " * 60 + "gzip", None),  # a client names ten at most
        ("*;q=0", None),
        ("zstd;q=0, *", "gzip"),
        ("identity", None),
        ("identity, gzip;q=0.5", None),
        ("identity;q=0.5, gzip", "gzip"),
        ("identity;q=0", None),
        ("br, compress", None),
        ("gzip;q=nonsense", None),
        ("gzip;q=7", None),
        ("gzip;q=nan", None),
        ("gzip;level=9", None),
        (",,gzip,,", "gzip"),
    ],
)
def test_the_coding_with_the_highest_weight_is_chosen(accepted: str | None, coding: str | None) -> None:
    headers = [] if accepted is None else [(b"accept-encoding", accepted.encode())]
    assert choose_coding(headers) == coding


def test_several_accept_encoding_headers_are_one_list() -> None:
    assert choose_coding([(b"accept-encoding", b"br"), (b"accept-encoding", b"gzip")]) == "gzip"


def decoded(coding: str, body: bytes) -> bytes:
    return gzip.decompress(body) if coding == "gzip" else zstandard.ZstdDecompressor().decompressobj().decompress(body)


@pytest.mark.parametrize("coding", CODINGS)
def test_a_coding_is_lossless(coding: str) -> None:
    body = b"abc" * 100_000
    assert decoded(coding, compress(coding, body)) == body
    assert len(compress(coding, body)) < len(body) / 100


def raw(client: httpx.Client, query: str, accepted: str) -> tuple[httpx.Headers, bytes]:
    """The headers and the bytes of the body, as they came."""
    with client.stream("GET", f"/v1/workspace/long/sessions{query}", headers={"Accept-Encoding": accepted}) as response:
        return response.headers, b"".join(response.iter_raw())


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("query", ["", "?limit=1000", "?limit=10"], ids=["streamed", "whole", "short"])
def test_a_compressed_body_decompresses_to_the_plain_one(long: httpx.Client, query: str, coding: str) -> None:
    plain_headers, plain = raw(long, query, "identity")
    for _ in range(2):  # the second is remembered
        headers, body = raw(long, query, coding)
        assert headers["content-encoding"] == coding
        assert decoded(coding, body) == plain
        assert len(body) < len(plain) / 5
        if query:
            assert headers["content-length"] == str(len(body))
        assert "Accept-Encoding" in headers["vary"]
        assert headers["etag"] == plain_headers["etag"]
    assert "content-encoding" not in plain_headers


def test_a_body_that_fits_a_packet_is_not_compressed(long: httpx.Client) -> None:
    headers, body = raw(long, "?limit=1&sort=-date", "gzip, zstd")
    assert len(body) < MIN_SIZE
    assert "content-encoding" not in headers


def test_a_head_request_gets_the_length_of_the_get(long: httpx.Client) -> None:
    headers, body = raw(long, "?limit=100", "gzip")
    head = long.head("/v1/workspace/long/sessions?limit=100", headers={"Accept-Encoding": "gzip"})
    assert head.headers["content-length"] == headers["content-length"] == str(len(body))
