"""Keys that verify no signature: the entries of a JWK set that are passed over."""

import math
import random
from collections.abc import Callable
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from tests.key_servers import jwk
from tests.signers import ec_key, ed25519_key, rsa_key


@cache
def guessable_rsa_key() -> Any:
    """A key whose primes are k · M + (65537^a mod M), as those of CVE-2017-15361 are; M is a product of small primes."""
    generator = random.Random(1)  # noqa: S311 - the same key at every run
    product = math.prod(n for n in range(3, 168) if all(n % divisor for divisor in range(2, n)))

    def prime() -> int:
        while True:
            multiple = generator.randrange((3 << 1022) // product, (1 << 1024) // product)
            candidate = multiple * product + pow(65537, generator.getrandbits(64), product)
            if pow(2, candidate - 1, candidate) == 1:
                return candidate

    return rsa.RSAPublicNumbers(65537, prime() * prime()).public_key()


UNUSABLE: dict[str, Callable[[], dict[str, Any]]] = {
    "empty": dict,
    "without kty": lambda: jwk(rsa_key(), kty=None),
    "of an unknown kty": lambda: jwk(rsa_key(), kty="AKP"),
    "whose kty is no text": lambda: {**jwk(rsa_key()), "kty": ["RSA"]},
    "for encryption": lambda: jwk(rsa_key(), use="enc"),
    "of an unknown use": lambda: jwk(rsa_key(), use="SIG"),
    "whose use is no text": lambda: jwk(rsa_key(), use=["sig"]),
    "for signing": lambda: jwk(rsa_key(), key_ops=["sign"]),
    "for nothing": lambda: jwk(rsa_key(), key_ops=[]),
    "whose key_ops is a text": lambda: jwk(rsa_key(), key_ops="verify"),
    "whose key_ops is a number": lambda: jwk(rsa_key(), key_ops=5),
    "of an algorithm that is not accepted": lambda: jwk(rsa_key(), alg="RS1"),
    "of an algorithm for encryption": lambda: jwk(rsa_key(), alg="RSA-OAEP"),
    "of an algorithm of another type": lambda: jwk(rsa_key(), alg="ES256"),
    "of a symmetric algorithm": lambda: jwk(rsa_key(), alg="HS256"),
    "of no algorithm": lambda: jwk(rsa_key(), alg="none"),
    "whose alg is no text": lambda: jwk(rsa_key(), alg=["RS256"]),
    "too short": lambda: jwk(rsa_key(bits=1024)),
    "on another curve": lambda: jwk(ec_key("secp256k1")),
    "on the curve of another algorithm": lambda: jwk(ec_key("P-384"), alg="ES256"),
    "of the structure of CVE-2017-15361": lambda: jwk(guessable_rsa_key()),
    "with a point that is not on the curve": lambda: jwk(ec_key(), y=jwk(ec_key())["x"]),
    "with half a point": lambda: jwk(ec_key(), y=None),
    "with a modulus that is a number": lambda: {**jwk(rsa_key()), "n": 5},
    "with an even exponent": lambda: jwk(rsa_key(), e="BA"),
    "with garbage": lambda: {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"},
    "private RSA": lambda: RSAAlgorithm.to_jwk(rsa_key(), as_dict=True),
    "private EC": lambda: ECAlgorithm.to_jwk(ec_key(), as_dict=True),
    "private OKP": lambda: OKPAlgorithm.to_jwk(ed25519_key(), as_dict=True),
    "symmetric": lambda: {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"},
    "symmetric and without a key": lambda: {"kty": "oct"},
    "symmetric of an asymmetric algorithm": lambda: {"kty": "oct", "k": "c2VjcmV0", "alg": "RS256"},
}
