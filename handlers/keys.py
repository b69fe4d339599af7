"""The keys that tokens are verified with: a shared secret, public keys, or a JWK set (RFC 7517)."""

import asyncio
import json
import logging
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from time import monotonic
from typing import Any, Protocol
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import PyJWK, PyJWKClient, get_algorithm_by_name
from jwt.exceptions import InvalidKeyError, PyJWTError

logger = logging.getLogger("sessions")

SHORTEST_SECRET = 32
"""Bytes; a key of HS256 must be at least as long as its hash (RFC 7518, section 3.2)."""
SHORTEST_RSA_KEY = 2048
"""Bits (RFC 7518, sections 3.3 and 3.5)."""
SYMMETRIC = ("HS256",)
ASYMMETRIC = ("RS256", "PS256", "ES256", "EdDSA")

# Secrets that are long enough and that everybody knows: from jwt.io, the documentation of frameworks, RFC 7515, tutorials.
_KNOWN_SECRETS = frozenset(
    {
        b"a-string-secret-at-least-256-bits-long",
        b"a-valid-string-secret-that-is-at-least-384-bits-long",
        b"a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
        b"09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
        b"0a6b944d-d2fb-46fc-a85e-0295c986cd9f",
        b"3cfa76ef14937c1c0ea519f8fc057a80fcd04a7420f8e8bcd0a7567c272e007b",
        b"%c*f-jandrgukxp2s5v8y/b?e(g+kbpeshvmyq3t6w9z$c&j@mcqftjwnzr4u7x!",
        b"404e635266556a586e3272357538782f413f4428472b4b6250645367566b5970",
        b"413f4428472b4b6250655368566d5970337336763979244226452948404d6351",
        b"aym1sysppbydfgzld3umj1qzkobwvmkoqq-estjqlr_t-1qs0gzh75aktmn3yj0ips4hcguutwjazzr1z9caow",
        b"my-32-character-ultra-secure-and-ultra-long-secret",
        b"r9imkoe5crmgvjbbtp4hrqn7qipputoj",
        b"your-super-secret-jwt-token-with-at-least-32-characters-long",
        b"your-secret-key-change-this-in-production",
    }
)


# What the placeholders in examples are made of, which the lists of attackers hold in every combination.
_EXAMPLE_WORDS = re.compile(
    "(?:256|384|512|at|be|bits?|bytes?|change|char(?:acter)?s?|default|do|dont|example|for|generate|here|i?n|is|it|jwt"
    "|keep|keys?|least|long|me|minimum|must|my|not|or|password|please|private|prod(?:uction)?|random(?:ly)?|real(?:ly)?"
    "|replace|safe|secrets?|secure|share|should|signing|some(?:thing)?|string|strong|super|th(?:at|e|is)|to|tokens?|ultra"
    "|use|value|very|with|your?|a|[^a-z])+"
)
_LEAST_ENTROPY = 88
"""Bits by the frequency of each byte; 32 random hexadecimal digits have 92 and more."""


class KeysUnavailable(Exception):
    """The key server gives no answer and none is cached, so no verdict on a token is possible."""


@dataclass(frozen=True, slots=True)
class Key:
    """A verification key and the algorithms that it may be used with, whatever a token says."""

    material: Any = field(repr=False)
    algorithms: frozenset[str]
    kid: str | None = None
    """Its name in a JWK set."""


class KeySource(Protocol):
    """Where keys come from."""

    async def candidates(self, header: Mapping[str, Any]) -> Sequence[Key]:
        """The keys that may have signed a token with this header, whose `alg` is a text, and `kid` too if it is there.

        There are none when no key fits.

        Raises:
            KeysUnavailable: when that cannot be told now.
        """


@dataclass(frozen=True, slots=True)
class StaticKeys:
    """Keys that were known when the server started: a secret, the public keys of a rotation, or a JWK set in a file."""

    keys: tuple[Key, ...]

    async def candidates(self, header: Mapping[str, Any]) -> Sequence[Key]:
        return _candidates(self.keys, header)


class JWKSServer:
    """A JWK set behind a URL: fetched when it is first needed, when it is old, and when a token names a key it lacks.

    While a fetch is under way, requests that can do with the set at hand do not wait for it. While the key server is down,
    the set at hand is used on for a time. A token is refused for an unknown key on the word of the key server only, and
    that is asked for once per cool-down, so that tokens with made-up key ids cannot be turned into requests to it.
    """

    def __init__(
        self,
        url: str,
        algorithms: frozenset[str],
        *,
        lifespan: float = 300,
        outage: float = 3600,
        cooldown: float = 30,
        retry: float = 5,
        timeout: float = 5,
    ) -> None:
        """Prepare for the URL; nothing is fetched before it is needed. All times are in seconds.

        Raises:
            ValueError: when the URL cannot be used.
        """
        _require_safe(url)
        self._client = PyJWKClient(url, cache_jwk_set=False, timeout=timeout)
        self._algorithms = algorithms
        self._lifespan, self._outage = lifespan, outage
        self._cooldown, self._retry, self._timeout = cooldown, retry, timeout
        self._keys: tuple[Key, ...] = ()
        self._fetched = self._next_fetch = -math.inf
        self._failure: str | None = None
        self._fetching = asyncio.Lock()

    async def candidates(self, header: Mapping[str, Any]) -> Sequence[Key]:
        if header["alg"] not in self._algorithms:
            return []
        outdated = monotonic() - self._fetched > self._lifespan
        if not self._can_judge(header) or (outdated and not self._fetching.locked()):
            await self._fetch()
            if self._failure is not None and not self._can_judge(header):
                raise KeysUnavailable(self._failure)
        return _candidates(self._keys, header)

    def _can_judge(self, header: Mapping[str, Any]) -> bool:
        """Whether the set at hand is not too old, and has the key that a token names."""
        usable = monotonic() - self._fetched <= self._lifespan + self._outage
        return usable and ("kid" not in header or any(key.kid in (None, header["kid"]) for key in self._keys))

    async def _fetch(self) -> None:
        """Fetch the set, for one request at a time, unless the last attempt was a moment ago."""
        async with self._fetching:
            if monotonic() < self._next_fetch:
                return
            try:
                async with asyncio.timeout(self._timeout):
                    entries = _entries(await asyncio.to_thread(self._client.fetch_data))
            except (PyJWTError, OSError, ValueError, RecursionError) as error:
                self._failure = f"the JWK set cannot be fetched: {str(error) or type(error).__name__}"
                self._next_fetch = monotonic() + self._retry
                logger.warning("%s", self._failure)
            else:
                self._keys = tuple(_usable(entries, self._algorithms))
                self._failure = None
                self._fetched = monotonic()
                self._next_fetch = self._fetched + self._cooldown
                if not self._keys:
                    logger.warning("no key of the JWK set fits %s", ", ".join(sorted(self._algorithms)))


def secret_key(secret: str) -> Key:
    """The key of HS256.

    Raises:
        ValueError: when it is too short, known to everybody, or not a secret at all.
    """
    material = secret.encode(errors="surrogateescape")  # how the environment holds bytes that are not UTF-8
    if len(material) < SHORTEST_SECRET:
        raise ValueError(
            f"must be at least {SHORTEST_SECRET} bytes long; it has {len(material)} (RFC 7518, section 3.2)."
            " Make one with: openssl rand -base64 48"
        )
    if _is_guessed(material):
        raise ValueError("is an example or easily guessed. Make one with: openssl rand -base64 48")
    try:
        get_algorithm_by_name("HS256").prepare_key(material)
    except InvalidKeyError:
        # Signed with as a secret, a public key would let everybody who has it sign tokens.
        raise ValueError("is a certificate, or a key in PEM, SSH or JWK form, and no secret of HS256") from None
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
    if text.count(b"-----BEGIN") > 1:
        raise ValueError(f"names {file}, which holds more than one key; give each a file of its own")
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


def jwks_file(file: Path, algorithms: frozenset[str]) -> StaticKeys:
    """The keys of a JWK set in a file.

    Raises:
        ValueError: when the file cannot be read, or its set cannot be used; each argument is one reason.
    """
    try:
        entries = _entries(json.loads(file.read_bytes()))
    except OSError as error:
        raise ValueError(f"names {file}, which cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise ValueError(f"names {file}, which holds no JWK set (RFC 7517, section 5)") from None
    problems: list[str] = []
    if any(entry.get("kty") == "oct" for entry in entries):
        problems.append(f"names {file}, which holds a symmetric key (kty oct); only public keys belong there")
    if any("d" in entry for entry in entries):
        problems.append(f"names {file}, which holds a private key; this server needs the public ones only")
    named = Counter(entry["kid"] for entry in entries if isinstance(entry.get("kid"), str))
    problems += [f"names {file}, which holds {count} keys with the kid {kid!r}" for kid, count in named.items() if count > 1]
    keys = tuple(_usable(entries, algorithms))
    if not keys and not problems:
        problems.append(f"names {file}, in which no key fits {', '.join(sorted(algorithms))}")
    if problems:
        raise ValueError(*problems)
    return StaticKeys(keys)


def jwk_key(entry: Mapping[str, Any], algorithms: frozenset[str]) -> Key | None:
    """The key of one entry of a JWK set; None when it is not a public key that verifies tokens of these algorithms."""
    if entry.get("kty") == "oct" or entry.get("use") not in (None, "sig"):
        return None
    operations = entry.get("key_ops")
    if operations is not None and not (isinstance(operations, list) and "verify" in operations):
        return None
    alg, kid = entry.get("alg"), entry.get("kid")
    allowed = algorithms if alg is None else algorithms.intersection([alg] if isinstance(alg, str) else [])
    if not allowed:
        return None
    try:
        material = PyJWK(dict(entry)).key
    except (PyJWTError, UnsupportedAlgorithm):
        return None
    fitting = _fitting(material, allowed)
    return Key(material, fitting, kid if isinstance(kid, str) else None) if fitting else None


def _candidates(keys: Iterable[Key], header: Mapping[str, Any]) -> Sequence[Key]:
    """The keys for the algorithm of a token and, where both the token and the key have one, of the same `kid`.

    The `kid` only chooses among keys that are known; it names no file, address or row (RFC 8725, section 3.10).
    """
    alg, kid = header["alg"], header.get("kid")
    return [key for key in keys if alg in key.algorithms and (kid is None or key.kid in (None, kid))]


def _entries(document: Any) -> list[Mapping[str, Any]]:
    """The members of a JWK set that are JWKs."""
    match document:
        case {"keys": list(entries)}:
            return [entry for entry in entries if isinstance(entry, dict)]
        case _:
            raise ValueError("it is no JWK set (RFC 7517, section 5)")


def _usable(entries: Iterable[Mapping[str, Any]], algorithms: frozenset[str]) -> Iterable[Key]:
    """The entries that can be used; the others are for other uses or other programs (RFC 7517, section 5)."""
    return (key for entry in entries if (key := jwk_key(entry, algorithms)) is not None)


def _fitting(material: Any, algorithms: frozenset[str]) -> frozenset[str]:
    match material:
        case RSAPublicKey() if material.key_size >= SHORTEST_RSA_KEY:
            return algorithms & {"RS256", "PS256"}
        case EllipticCurvePublicKey() if isinstance(material.curve, SECP256R1):
            return algorithms & {"ES256"}
        case Ed25519PublicKey() | Ed448PublicKey():
            return algorithms & {"EdDSA"}
        case _:  # a private key, too small a key, another curve
            return frozenset()


def _is_guessed(material: bytes) -> bool:
    """Whether a secret is in the lists that attackers try, or of a kind that these lists are full of."""
    text = material.decode("latin-1").lower()
    return (
        material.lower() in _KNOWN_SECRETS
        or _is_repetition(material)
        or _entropy(material) < _LEAST_ENTROPY
        or (any("a" <= letter <= "z" for letter in text) and _EXAMPLE_WORDS.fullmatch(text) is not None)
    )


def _entropy(material: bytes) -> float:
    counts = Counter(material).values()
    return -sum(count * math.log2(count / len(material)) for count in counts)


def _is_repetition(material: bytes) -> bool:
    """Whether it is one text of at most about half its length over and over: `secretsecretsecret…`, `12345678901234…`."""
    return any(material[length:] == material[:-length] for length in range(1, len(material) // 2 + 2))


def _require_safe(url: str) -> None:
    """Raise a ValueError that does not repeat the URL, which may hold a password, unless keys can be trusted from there."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError("is not a URL such as https://issuer.example/jwks.json") from None
    if parts.scheme not in ("https", "http") or not parts.hostname or not re.fullmatch(r"[!-~]+", url):
        raise ValueError("is neither a file nor a URL such as https://issuer.example/jwks.json")
    if parts.username is not None or parts.password is not None:
        raise ValueError("holds a user name or a password, which would not be sent")
    if parts.scheme == "http" and not _is_this_machine(parts.hostname):
        raise ValueError("must begin with https://: whoever can change an answer on its way could sign tokens")


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
