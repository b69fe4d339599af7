"""Private keys to sign tokens with, made once a run since that costs more than most tests; and the segments of tokens."""

import json
from base64 import urlsafe_b64encode
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

_CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1(), "secp256k1": ec.SECP256K1()}


@cache
def rsa_key(name: str = "first", bits: int = 2048) -> rsa.RSAPrivateKey:
    del name  # tells keys of one size apart
    return rsa.generate_private_key(65537, bits)


def ec_key(curve: str = "P-256", name: str = "first") -> ec.EllipticCurvePrivateKey:
    return _ec_key(curve, name)


@cache
def _ec_key(curve: str, name: str) -> ec.EllipticCurvePrivateKey:
    del name
    return ec.generate_private_key(_CURVES[curve])


@cache
def ed25519_key(name: str = "first") -> ed25519.Ed25519PrivateKey:
    del name
    return ed25519.Ed25519PrivateKey.generate()


@cache
def ed448_key() -> ed448.Ed448PrivateKey:
    return ed448.Ed448PrivateKey.generate()


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def document(value: Any) -> bytes:
    """A JSON document; bytes are one already, as they are."""
    return value if isinstance(value, bytes) else json.dumps(value).encode()
