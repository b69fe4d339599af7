"""The cost of the verification of a token, for each algorithm: `make verification-cost`.

`first` is a token that is seen for the first time, `cached` a cached verification. The median of several rounds.
"""

import asyncio
import sys
import time
from collections.abc import Mapping
from statistics import median
from typing import Any

import jwt

from handlers.keys import Key, StaticKeys, secret_key
from handlers.rules import TokenRules
from handlers.tokens import token_verifier
from tests.conftest import SECRET, WORKSPACE
from tests.signers import ec_key, ed448_key, ed25519_key, rsa_key

ROUNDS, TOKENS = 9, 300


async def cost(algorithm: str, signer: Any) -> tuple[float, float]:
    """Microseconds for a first verification, and for a cached one."""
    key = secret_key(signer) if algorithm == "HS256" else Key(signer.public_key(), frozenset({algorithm}))
    rounds: list[tuple[float, float]] = []
    for turn in range(ROUNDS):
        verify = token_verifier(StaticKeys((key,)), TokenRules())
        claims = {"sub": "bench", "exp": 4_102_444_800, "scope": "sessions.view", "workspaces": [WORKSPACE]}
        tokens = [jwt.encode({**claims, "jti": f"{turn}-{number}"}, signer, algorithm) for number in range(TOKENS)]
        moments = [time.perf_counter()]
        for _ in ("first", "cached"):
            for token in tokens:
                await verify(token)
            moments.append(time.perf_counter())
        begin, between, end = moments
        rounds.append((between - begin, end - between))
    first, cached = (median(column) / TOKENS * 1e6 for column in zip(*rounds, strict=True))
    return first, cached


def main() -> None:
    signers: Mapping[str, tuple[str, Any]] = {
        "HS256": ("HS256", SECRET),
        "RS256": ("RS256", rsa_key()),
        "PS256": ("PS256", rsa_key()),
        "ES256": ("ES256", ec_key()),
        "EdDSA, Ed25519": ("EdDSA", ed25519_key()),
        "EdDSA, Ed448": ("EdDSA", ed448_key()),
    }
    sys.stdout.write(f"{'algorithm':<16}{'first':>10}{'cached':>10}   microseconds\n")
    for name, (algorithm, signer) in signers.items():
        first, cached = asyncio.run(cost(algorithm, signer))
        sys.stdout.write(f"{name:<16}{first:>10.1f}{cached:>10.1f}\n")


if __name__ == "__main__":
    main()
