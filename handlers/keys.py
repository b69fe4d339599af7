"""The keys that tokens are verified with: a shared secret, public keys, or a JWK set (RFC 7517)."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import PyJWK, get_algorithm_by_name
from jwt.exceptions import InvalidKeyError, PyJWTError

MIN_SECRET_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
"""A secret must be at least as long as the hash (RFC 7518, section 3.2)."""
MIN_SECRET_ENTROPY = 88
"""Bits by the frequency of each byte; 32 random hexadecimal digits have 92 and more."""
SYMMETRIC = tuple(MIN_SECRET_BYTES)
ASYMMETRIC = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")

_ADVICE = "Make one with: openssl rand -base64 48"

# The fingerprint of keys with CVE-2017-15361: modulo each small prime, the modulus is a power of 65537 (Nemec et al., "The
# Return of Coppersmith's Attack", CCS 2017, section 4.1). Fewer than one in 10^18 other keys have it.
_SMALL_PRIMES = [n for n in range(3, 168) if all(n % divisor for divisor in range(2, n))]
_POWERS = {prime: frozenset(pow(65537, exponent, prime) for exponent in range(prime)) for prime in _SMALL_PRIMES}


class KeysUnavailable(Exception):
    """The key server does not respond and no usable JWK set is cached, so tokens cannot be verified now."""


@dataclass(frozen=True, slots=True)
class Key:
    """A verification key, the algorithms that it may be used with, and its name in a JWK set."""

    material: Any = field(repr=False)
    algorithms: frozenset[str]
    kid: str | None = None

    def verifies(self, algorithm: str, message: bytes, signature: bytes) -> bool:
        """Whether a signature is that of this key; never if the key lacks the type, curve or length of the algorithm."""
        verifier = get_algorithm_by_name(algorithm)
        return _fits(self.material, algorithm) and verifier.verify(message, self.material, signature)


class KeySource(Protocol):
    """Finds the keys that may have signed a token."""

    async def candidates(self, header: Mapping[str, Any]) -> Sequence[Key]:
        """The keys that fit the header of a token, in which `alg` is a string, and `kid` too if present.

        Raises:
            KeysUnavailable: when the keys are not known now.
        """


@dataclass(frozen=True, slots=True)
class StaticKeys:
    """Keys that are read at start-up: a secret, public keys in PEM files, or a JWK set in a file."""

    keys: tuple[Key, ...]

    async def candidates(self, header: Mapping[str, Any]) -> Sequence[Key]:
        return candidates_among(self.keys, header)


def candidates_among(keys: Iterable[Key], header: Mapping[str, Any]) -> Sequence[Key]:
    """The keys for the `alg` of a token and, where both the token and the key have one, with the same `kid`.

    The `kid` only selects among known keys; it names no file, address or row (RFC 8725, section 3.10).
    """
    alg, kid = header["alg"], header.get("kid")
    return [key for key in keys if alg in key.algorithms and (kid is None or key.kid in (None, kid))]


def secret_key(secret: str, algorithms: frozenset[str] = frozenset(SYMMETRIC)) -> Key:
    """The key of a secret, for the algorithms that it is long enough for.

    Raises:
        ValueError: when the secret is too short, has too little entropy, or is a public key.
    """
    material = secret.encode(errors="surrogateescape")  # os.environ decodes bytes that are not UTF-8 this way
    fitting = frozenset(name for name in algorithms if len(material) >= MIN_SECRET_BYTES[name])
    if not fitting:
        minimum, name = min((MIN_SECRET_BYTES[name], name) for name in algorithms)
        raise ValueError(
            f"must be at least {minimum} bytes long for {name}; it has {len(material)} (RFC 7518, section 3.2). {_ADVICE}"
        )
    if _entropy(material) < MIN_SECRET_ENTROPY:
        raise ValueError(f"has too little entropy, so it can be guessed. {_ADVICE}")
    try:
        get_algorithm_by_name("HS256").prepare_key(material)
    except InvalidKeyError:
        # Everybody who has a public key could sign tokens with it.
        raise ValueError("is a certificate, or a key in PEM, SSH or JWK form, and not a secret") from None
    return Key(material, fitting)


def _entropy(material: bytes) -> float:
    """Bits by the frequency of each byte, in the shortest text of which the secret is a repetition."""
    period = next(length for length in range(1, len(material) + 1) if material[length:] == material[:-length])
    counts = Counter(material[:period]).values()
    return -sum(count * math.log2(count / period) for count in counts)


def public_key(file: Path, algorithms: frozenset[str]) -> Key:
    """The public key in a PEM file, for the algorithms that fit its type.

    Raises:
        ValueError: when the file cannot be used; the message is a predicate ("holds a private key").
    """
    text = _content(file)
    if b"PRIVATE KEY" in text:
        raise ValueError("holds a private key; this server needs the public one only")
    if text.count(b"-----BEGIN") > 1:
        raise ValueError("holds more than one key; give each a file of its own")
    try:
        material = load_pem_public_key(text)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("holds no public key in PEM (BEGIN PUBLIC KEY)") from None
    fitting = _fitting(material, algorithms)
    if not fitting:
        raise ValueError(
            f"holds a key that fits none of {', '.join(sorted(algorithms))} (RSA needs 2048 bits or more, and not"
            " the structure of CVE-2017-15361; ECDSA needs the curve of the algorithm)"
        )
    return Key(material, fitting)


def jwks_file(file: Path, algorithms: frozenset[str]) -> StaticKeys:
    """The keys of a JWK set in a file.

    Raises:
        ValueError: when the file cannot be used; the message is a predicate.
    """
    text = _content(file)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("is not JSON") from None
    keys = read_jwks(document, algorithms)
    if any(isinstance(entry, dict) and ("d" in entry or "k" in entry) for entry in document["keys"]):
        raise ValueError("holds a private or symmetric key; this server needs public ones only")
    if not keys:
        raise ValueError(f"holds no key that fits {', '.join(sorted(algorithms))}")
    return StaticKeys(keys)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None


def read_jwks(document: Any, algorithms: frozenset[str]) -> tuple[Key, ...]:
    """The usable keys of a JWK set. Others may be there for other uses (RFC 7517, section 5).

    Raises:
        ValueError: when the document is not a JWK set; the message is a predicate.
    """
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("is not a JWK set (RFC 7517, section 5)")  # noqa: TRY004 - an error of the document, not of our types
    keys = (jwk_key(entry, algorithms) for entry in entries if isinstance(entry, dict))
    return tuple(key for key in keys if key is not None)


def jwk_key(entry: Mapping[str, Any], algorithms: frozenset[str]) -> Key | None:
    """The key of one entry of a JWK set; None unless it is a public key that verifies signatures of these algorithms."""
    alg, kid, operations = entry.get("alg"), entry.get("kid"), entry.get("key_ops")
    if alg is not None:
        algorithms = algorithms.intersection([alg] if isinstance(alg, str) else [])
    if entry.get("kty") == "oct" or "d" in entry or entry.get("use") not in (None, "sig") or not algorithms:
        return None
    if operations is not None and not (isinstance(operations, list) and "verify" in operations):
        return None
    try:
        material = PyJWK(dict(entry)).key
    except (PyJWTError, UnsupportedAlgorithm):
        return None
    fitting = _fitting(material, algorithms)
    return Key(material, fitting, kid if isinstance(kid, str) else None) if fitting else None


def _fitting(material: Any, algorithms: frozenset[str]) -> frozenset[str]:
    """The algorithms that a public key has the type, the curve and the length for."""
    if isinstance(material, RSAPublicKey):
        modulus = material.public_numbers().n
        if all(modulus % prime in powers for prime, powers in _POWERS.items()):
            return frozenset()
    return frozenset(name for name in algorithms if _fits(material, name))


def _fits(material: Any, algorithm: str) -> bool:
    verifier = get_algorithm_by_name(algorithm)
    try:
        return verifier.check_key_length(verifier.prepare_key(material)) is None
    except (InvalidKeyError, TypeError):
        return False
