"""The application as it is deployed: configured by environment variables, with every kind of key."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest
from starlette.testclient import TestClient

from server.app import create_app
from server.settings import read_settings
from tests.conftest import SECRET
from tests.key_servers import KeyServer, jwk, pem
from tests.signers import ec_key, ed448_key, ed25519_key, rsa_key

SIGNERS: dict[str, Callable[[], Any]] = {
    "RSA": rsa_key,
    "P-256": ec_key,
    "P-384": partial(ec_key, "P-384"),
    "P-521": partial(ec_key, "P-521"),
    "Ed25519": ed25519_key,
    "Ed448": ed448_key,
}
KINDS = {
    "secret": (),
    "RSA in PEM": ("RSA",),
    "P-256 in PEM": ("P-256",),
    "P-384 in PEM": ("P-384",),
    "P-521 in PEM": ("P-521",),
    "Ed25519 in PEM": ("Ed25519",),
    "Ed448 in PEM": ("Ed448",),
    "all in PEM": ("RSA", "P-256", "P-384", "P-521", "Ed25519", "Ed448"),
    "JWK set in a file": ("RSA", "P-256", "P-384", "P-521", "Ed25519"),
    "JWK set at a URL": ("RSA", "P-256", "P-384", "P-521", "Ed25519"),
}
"""Every kind of key that a server can be configured with, and who signs for it."""

ServerOf: TypeAlias = Callable[[str], httpx.Client]
"""The application that trusts the keys of this kind."""


@pytest.fixture(scope="session")
def server_of(sqlite_demo_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerOf]:
    folder: Path = tmp_path_factory.mktemp("keys")
    opened: dict[str, TestClient] = {}
    key_server = KeyServer()

    def variables(kind: str) -> dict[str, str]:
        keys = {name: SIGNERS[name]() for name in KINDS[kind]}
        if kind == "secret":
            return {"SESSIONS_JWT_SECRET": SECRET}
        if kind.endswith("in PEM"):
            for name, key in keys.items():
                (folder / f"{name}.pem").write_bytes(pem(key))
            return {"SESSIONS_JWT_PUBLIC_KEYS": ",".join(str(folder / f"{name}.pem") for name in keys)}
        key_set = {"keys": [jwk(key, kid=name) for name, key in keys.items()]}
        if kind == "JWK set at a URL":
            key_server.answer = key_set
            return {"SESSIONS_JWKS": key_server.url}
        (folder / "jwks.json").write_text(json.dumps(key_set))
        return {"SESSIONS_JWKS": str(folder / "jwks.json")}

    def open_server(kind: str) -> httpx.Client:
        if kind not in opened:
            settings = read_settings({"SESSIONS_DATABASE_URL": sqlite_demo_url, **variables(kind)})
            opened[kind] = TestClient(create_app(settings), base_url="http://tests", follow_redirects=False)
            opened[kind].__enter__()
        return opened[kind]

    yield open_server
    for client in opened.values():
        client.__exit__(None, None, None)
    key_server.close()
