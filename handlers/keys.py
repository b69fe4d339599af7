"""The keys that tokens are verified with: a shared secret, public keys, or a JWK set (RFC 7517)."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import PyJWK, PyJWKClient, PyJWKSet
from jwt.exceptions import PyJWKClientConnectionError, PyJWKClientError, PyJWKSetError

SHORTEST_SECRET = 32
"""Bytes; a key of HS256 must be at least as long as its hash (RFC 7518, section 3.2)."""
SHORTEST_RSA_KEY = 2048
"""Bits (RFC 7518, sections 3.3 and 3.5)."""
SYMMETRIC = ("HS256",)
ASYMMETRIC = ("RS256", "PS256", "ES256", "EdDSA")
_JWKS_LIFESPAN = 300  # seconds for which a fetched set is used before it is fetched again
_JWKS_TIMEOUT = 5  # seconds for one fetch


class KeysUnavailable(Exception):
    """The key server gives no answer and none is cached, so no verdict on a token is possible."""


@dataclass(frozen=True, slots=True)
class Key:
    """A verification key and the algorithms that it may be used with, whatever a token says."""

    material: Any = field(repr=False)
    algorithms: frozenset[str]


class KeySource(Protocol):
    """Where keys come from."""

    async def candidates(self, header: Mapping[str, Any]) -> Sequence[Key]:
        """The keys that may have signed a token with this header; none when no key fits.

        Raises:
            KeysUnavailable: when that cannot be told now.
        """


@dataclass(frozen=True, slots=True)
class StaticKeys:
    """Keys that were known when the server started: a secret, or the public keys of a rotation."""

    keys: tuple[Key, ...]

    async def candidates(self, header: Mapping[str, Any]) -> Sequence[Key]:
        return [key for key in self.keys if header.get("alg") in key.algorithms]


class JWKSServer:
    """A JWK set behind a URL, fetched off the event loop and cached by PyJWT's client."""

    def __init__(self, url: str, algorithms: frozenset[str]) -> None:
        self._client = PyJWKClient(url, lifespan=_JWKS_LIFESPAN, timeout=_JWKS_TIMEOUT)
        self._algorithms = algorithms

    async def candidates(self, header: Mapping[str, Any]) -> Sequence[Key]:
        kid = header.get("kid")
        try:
            if isinstance(kid, str):
                found = [await asyncio.to_thread(self._client.get_signing_key, kid)]
            else:
                found = await asyncio.to_thread(self._client.get_signing_keys)
        except PyJWKClientConnectionError as error:
            raise KeysUnavailable(str(error)) from error
        except (PyJWKClientError, PyJWKSetError):
            return []
        keys = (jwk_key(jwk, self._algorithms) for jwk in found)
        return [key for key in keys if key is not None and header.get("alg") in key.algorithms]


def secret_key(secret: str) -> Key:
    """The key of HS256.

    Raises:
        ValueError: when it is too short.
    """
    material = secret.encode()
    if len(material) < SHORTEST_SECRET:
        raise ValueError(
            f"must be at least {SHORTEST_SECRET} bytes long; it has {len(material)} (RFC 7518, section 3.2)."
            " Make one with: openssl rand -base64 48"
        )
    return Key(material, frozenset(SYMMETRIC))


def public_key(file: Path, algorithms: frozenset[str]) -> Key:
    """The public key in a PEM file, for those of the algorithms that fit its type.

    Raises:
        ValueError: when the file cannot be read, or holds no public key that can be used.
    """
    try:
        text = file.read_bytes()
    except OSError as error:
        raise ValueError(f"names {file}, which cannot be read: {error.strerror}") from None
    if b"PRIVATE KEY" in text:
        raise ValueError(f"names {file}, which holds a private key; this server needs the public one only")
    try:
        material = load_pem_public_key(text)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"names {file}, which holds no public key in PEM (BEGIN PUBLIC KEY)") from None
    fitting = _fitting(material, algorithms)
    if not fitting:
        raise ValueError(
            f"names {file}, whose key fits none of {', '.join(sorted(algorithms))}"
            f" (RSA needs {SHORTEST_RSA_KEY} bits or more, ECDSA the curve P-256)"
        )
    return Key(material, fitting)


def jwk_key(jwk: PyJWK, algorithms: frozenset[str]) -> Key | None:
    """The key of one entry of a JWK set; None when it is not one that signs tokens with these algorithms."""
    if jwk.public_key_use not in (None, "sig"):
        return None
    fitting = _fitting(jwk.key, algorithms)
    if jwk._jwk_data.get("alg") is not None:  # noqa: SLF001 - PyJWT guesses algorithm_name where there is no alg
        fitting &= {jwk.algorithm_name}
    return Key(jwk.key, fitting) if fitting else None


def jwks_file(file: Path, algorithms: frozenset[str]) -> StaticKeys:
    """The keys of a JWK set in a file.

    Raises:
        ValueError: when the file cannot be read, or holds no key that can be used.
    """
    try:
        found = PyJWKSet.from_json(file.read_text())
    except OSError as error:
        raise ValueError(f"names {file}, which cannot be read: {error.strerror}") from None
    except (ValueError, AttributeError, PyJWKSetError):
        raise ValueError(f"names {file}, which holds no JWK set (RFC 7517, section 5)") from None
    keys = tuple(key for jwk in found.keys if (key := jwk_key(jwk, algorithms)) is not None)
    if not keys:
        raise ValueError(f"names {file}, in which no key fits {', '.join(sorted(algorithms))}")
    return StaticKeys(keys)


def _fitting(material: Any, algorithms: frozenset[str]) -> frozenset[str]:
    match material:
        case RSAPublicKey() if material.key_size >= SHORTEST_RSA_KEY:
            return algorithms & {"RS256", "PS256"}
        case EllipticCurvePublicKey() if isinstance(material.curve, SECP256R1):
            return algorithms & {"ES256"}
        case Ed25519PublicKey() | Ed448PublicKey():
            return algorithms & {"EdDSA"}
        case _:
            return frozenset()
