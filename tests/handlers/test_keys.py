"""Where keys come from: a secret, PEM files, a JWK set in a file or behind a URL; and which are let in."""

import asyncio
import json
import threading
from base64 import encodebytes
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from functools import wraps
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from starlette.testclient import TestClient

from handlers.keys import (
    ASYMMETRIC,
    JWKSServer,
    Key,
    KeySource,
    KeysUnavailable,
    StaticKeys,
    jwk_key,
    jwks_file,
    public_key,
    secret_key,
)
from handlers.rules import TokenRules
from handlers.security import TokenRefused, token_verifier
from server.app import create_app
from server.settings import Settings
from tests.conftest import WORKSPACE, Mint
from tests.key_servers import KeyServer, jwk, pem
from tests.signers import ec_key, ed448_key, ed25519_key, rsa_key

ALL = frozenset(ASYMMETRIC)
CLAIMS = {"sub": "u1", "exp": 4_102_444_800}
RSA_HEADER = {"alg": "RS256"}


def private_pem(key: Any, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    encoded: bytes = key.private_bytes(Encoding.PEM, form, NoEncryption())
    return encoded


def certificate() -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, ec_key().public_key(), 1, moment, moment)
    return builder.sign(ec_key(), hashes.SHA256()).public_bytes(Encoding.PEM)


# A secret ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "secret",
    [
        "0123456789abcdefghijklmnopqrstuv",
        "ض" * 1 + "a-secret-of-thirty-bytes-in-all",
        "kJ3Nf1b0Qh6o4pTqCq0ZlT1m8JmE1QJ2l3yVtq2yq0wz7g1uXxB0sQ==",
        "5f0c9d1e4b7a8263915f3d2c1b0a9e8d7c6b5a493827160504f3e2d1c0b9a887",
        "correct horse battery staple, and so on",
        "bytes-that-are-not-utf-8-\udcff\udcfe-as-in-os.environ",
    ],
)
def test_a_secret_of_32_bytes_or_more_is_a_key_of_hs256(secret: str) -> None:
    key = secret_key(secret)
    assert key.algorithms == {"HS256"}
    assert key.material == secret.encode(errors="surrogateescape")


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("", "must be at least 32 bytes long; it has 0"),
        ("secret", "must be at least 32 bytes long; it has 6"),
        ("your-256-bit-secret", "must be at least 32 bytes long; it has 19"),
        ("0123456789abcdefghijklmnopqrstu", "must be at least 32 bytes long; it has 31"),
        ("ض" * 15, "must be at least 32 bytes long; it has 30"),
        ("a-string-secret-at-least-256-bits-long", "is an example or easily guessed"),
        ("A-String-Secret-At-Least-256-Bits-Long", "is an example or easily guessed"),
        ("09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7", "is an example or easily guessed"),
        ("404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970", "is an example or easily guessed"),
        (
            "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
            "is an example or easily guessed",
        ),
        ("your-256-bit-secret-your-256-bit-secret", "is an example or easily guessed"),
        ("secretsecretsecretsecretsecretsecret", "is an example or easily guessed"),
        ("12345678901234567890123456789012", "is an example or easily guessed"),
        ("0123456789abcdef0123456789abcdef", "is an example or easily guessed"),
        ("r9iMKoe5CRMgvJBBtp4HrqN7QiPpUToj", "is an example or easily guessed"),
        ("0a6b944d-d2fb-46fc-a85e-0295c986cd9f", "is an example or easily guessed"),
        ("%C*F-JaNdRgUkXp2s5v8y/B?E(G+KbPeShVmYq3t6w9z$C&J@McQfTjWnZr4u7x!", "is an example or easily guessed"),
        ("<random_string_at_least_32_characters_long>", "is an example or easily guessed"),
        ("reallyreallyreallyreallyverysafe", "is an example or easily guessed"),
        ("PleaseChangeThisSecretKeyInProduction123!", "is an example or easily guessed"),
        ("my_super_secret_jwt_key_2024_dont_share_it", "is an example or easily guessed"),
        ("CHANGE_THIS_TO_SOMETHING_RANDOM_", "is an example or easily guessed"),
        ("a very long secret key that must be at least 256 bits", "is an example or easily guessed"),
        ("supersecretpassword-supersecretkey-1", "is an example or easily guessed"),
        ("320wa6n6nq" + "0" * 154, "is an example or easily guessed"),
        ("1231232131231231231231231231231231231231#$$", "is an example or easily guessed"),
        ("abababababbbababababababaabababab", "is an example or easily guessed"),
        ("********************************!", "is an example or easily guessed"),
        ("a" * 64, "is an example or easily guessed"),
        ("\0" * 32, "is an example or easily guessed"),
    ],
)
def test_a_secret_that_is_short_or_known_to_everybody_is_refused(secret: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as refused:
        secret_key(secret)
    assert not secret or secret not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        lambda: pem(rsa_key()).decode(),
        lambda: pem(ed25519_key()).decode(),
        lambda: private_pem(ec_key()).decode(),
        lambda: certificate().decode(),
        lambda: json.dumps(jwk(rsa_key())),
        lambda: json.dumps({"keys": [jwk(ed25519_key())]}),
        lambda: rsa_key().public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode(),
    ],
)
def test_a_public_key_is_not_taken_for_a_secret(text: Callable[[], str]) -> None:
    with pytest.raises(ValueError, match="is a certificate, or a key in PEM, SSH or JWK form, and no secret"):
        secret_key(text())


def test_a_key_does_not_show_its_secret() -> None:
    secret = "do-not-show-this-secret-to-anybody-please"
    key = secret_key(secret)
    assert secret not in f"{key!r} {key} {StaticKeys((key,))!r}"


# PEM files -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "algorithms"),
    [
        (lambda: pem(rsa_key()), {"RS256", "PS256"}),
        (lambda: rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1), {"RS256", "PS256"}),
        (lambda: pem(ec_key()), {"ES256"}),
        (lambda: pem(ed25519_key()), {"EdDSA"}),
        (lambda: pem(ed448_key()), {"EdDSA"}),
        (lambda: b"Key of the issuer\n\n" + pem(ec_key()) + b"\n\n", {"ES256"}),
        (lambda: pem(ec_key()).replace(b"\n", b"\r\n"), {"ES256"}),
    ],
)
def test_a_public_key_in_pem_is_used_for_what_fits_its_type(
    tmp_path: Path, written: Callable[[], bytes], algorithms: set[str]
) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(written())
    assert public_key(file, ALL).algorithms == algorithms


def test_a_public_key_in_pem_is_used_for_the_accepted_algorithms_only(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(pem(rsa_key()))
    assert public_key(file, frozenset({"PS256", "ES256"})).algorithms == {"PS256"}


def pem_of_an_unknown_type() -> bytes:
    der = ed25519_key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    unknown = der.replace(b"\x06\x03\x2b\x65\x70", b"\x06\x03\x2b\x65\x63")  # the object identifier 1.3.101.99
    return b"-----BEGIN PUBLIC KEY-----\n" + encodebytes(unknown) + b"-----END PUBLIC KEY-----\n"


NO_KEY = "holds no public key in PEM"
PRIVATE = "holds a private key; this server needs the public one"


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (lambda: b"", NO_KEY),
        (lambda: b"\0\xff garbage", NO_KEY),
        (lambda: b"-----BEGIN PUBLIC KEY-----\n!!!!\n-----END PUBLIC KEY-----\n", NO_KEY),
        (lambda: pem(rsa_key())[:200], NO_KEY),
        (certificate, NO_KEY),
        (pem_of_an_unknown_type, NO_KEY),
        (lambda: json.dumps(jwk(rsa_key())).encode(), NO_KEY),
        (lambda: rsa_key().public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH), NO_KEY),
        (lambda: private_pem(rsa_key()), PRIVATE),
        (lambda: private_pem(rsa_key(), PrivateFormat.TraditionalOpenSSL), PRIVATE),
        (lambda: private_pem(ed25519_key()), PRIVATE),
        (lambda: private_pem(ec_key(), PrivateFormat.OpenSSH), PRIVATE),
        (lambda: pem(ec_key()) + private_pem(ec_key()), PRIVATE),
        (lambda: pem(ec_key()) + pem(rsa_key()), "holds more than one key; give each a file of its own"),
        (lambda: pem(rsa_key(bits=1024)), "fits none of ES256, EdDSA, PS256, RS256"),
        (lambda: pem(ec_key("P-384")), "fits none of ES256, EdDSA, PS256, RS256"),
        (lambda: pem(x25519.X25519PrivateKey.generate()), "fits none of ES256, EdDSA, PS256, RS256"),
    ],
)
def test_a_file_without_exactly_one_usable_public_key_is_refused(
    tmp_path: Path, written: Callable[[], bytes], reason: str
) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(written())
    with pytest.raises(ValueError, match=reason) as refused:
        public_key(file, ALL)
    assert str(refused.value).startswith(f"names {file}, wh")


@pytest.mark.parametrize("read", [public_key, jwks_file])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, read: Callable[[Path, frozenset[str]], Any]) -> None:
    with pytest.raises(ValueError, match=r"absent.pem, which cannot be read: No such file or directory"):
        read(tmp_path / "absent.pem", ALL)
    with pytest.raises(ValueError, match="which cannot be read: Is a directory"):
        read(tmp_path, ALL)


# The entries of a JWK set --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "algorithms"),
    [
        (lambda: jwk(rsa_key()), {"RS256", "PS256"}),
        (lambda: jwk(ec_key()), {"ES256"}),
        (lambda: jwk(ed25519_key()), {"EdDSA"}),
        (lambda: jwk(ed448_key(), alg="EdDSA"), {"EdDSA"}),
        (lambda: jwk(rsa_key(), alg="RS256"), {"RS256"}),
        (lambda: jwk(rsa_key(), alg="PS256"), {"PS256"}),
        (lambda: jwk(rsa_key(), use="sig", key_ops=["verify"], x5t="abc"), {"RS256", "PS256"}),
        (lambda: {**jwk(rsa_key()), "alg": None, "use": None, "key_ops": None, "kid": None}, {"RS256", "PS256"}),
        (lambda: jwk(rsa_key(), key_ops=["sign", "verify"]), {"RS256", "PS256"}),
    ],
)
def test_a_public_jwk_is_used_for_what_it_allows(entry: Callable[[], dict[str, Any]], algorithms: set[str]) -> None:
    key = jwk_key(entry(), ALL)
    assert key is not None
    assert key.algorithms == algorithms


@pytest.mark.parametrize(("written", "read"), [("a", "a"), ("", ""), (5, None), (["a"], None), (None, None)])
def test_a_name_of_a_jwk_is_a_text(written: Any, read: str | None) -> None:
    key = jwk_key({**jwk(rsa_key()), "kid": written}, ALL)
    assert key is not None
    assert key.kid == read


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
    "of an algorithm that is not accepted": lambda: jwk(rsa_key(), alg="RS512"),
    "of an algorithm for encryption": lambda: jwk(rsa_key(), alg="RSA-OAEP"),
    "of an algorithm of another type": lambda: jwk(rsa_key(), alg="ES256"),
    "of a symmetric algorithm": lambda: jwk(rsa_key(), alg="HS256"),
    "of no algorithm": lambda: jwk(rsa_key(), alg="none"),
    "whose alg is no text": lambda: jwk(rsa_key(), alg=["RS256"]),
    "too short": lambda: jwk(rsa_key(bits=1024)),
    "on another curve": lambda: jwk(ec_key("P-384")),
    "on another curve that claims to fit": lambda: jwk(ec_key("P-384"), alg="ES256"),
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


@pytest.mark.parametrize("which", UNUSABLE)
def test_a_jwk_is_passed_over_if_it_is(which: str) -> None:
    assert jwk_key(UNUSABLE[which](), ALL) is None


# A JWK set in a file -------------------------------------------------------------------------------------------------------


def written(tmp_path: Path, document: Any) -> Path:
    file = tmp_path / "jwks.json"
    file.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
    return file


def candidates(source: KeySource, **header: Any) -> list[Key]:
    return list(asyncio.run(_candidates(source, header)))


async def _candidates(source: KeySource, header: dict[str, Any]) -> Any:
    return await source.candidates(header)


def test_a_file_keeps_the_usable_keys_of_a_set_and_passes_over_the_rest(tmp_path: Path) -> None:
    entries = [
        jwk(rsa_key(), kid="r"),
        jwk(ec_key(), kid="e"),
        jwk(rsa_key("enc"), kid="x", use="enc", alg="RSA-OAEP"),
        jwk(ec_key("P-384"), kid="p"),
        {"kty": "AKP", "alg": "ML-DSA-44", "kid": "future"},
        "not a JWK",
        None,
    ]
    keys = jwks_file(written(tmp_path, {"keys": entries, "other": 1}), ALL).keys
    assert [key.kid for key in keys] == ["r", "e"]


def test_a_token_that_names_a_key_is_verified_with_that_key_or_one_without_a_name(tmp_path: Path) -> None:
    names = ["a", "b", None]
    entries = [jwk(rsa_key(str(name)), kid=name) for name in names]
    source = jwks_file(written(tmp_path, {"keys": [*entries, jwk(ec_key(), kid="c")]}), ALL)
    assert [key.kid for key in candidates(source, alg="RS256", kid="a")] == ["a", None]
    assert [key.kid for key in candidates(source, alg="RS256")] == ["a", "b", None]
    assert [key.kid for key in candidates(source, alg="RS256", kid="unknown")] == [None]
    assert [key.kid for key in candidates(source, alg="RS256", kid="c")] == [None]
    assert [key.kid for key in candidates(source, alg="ES256", kid="c")] == ["c"]
    assert candidates(source, alg="ES256", kid="a") == []
    assert candidates(source, alg="HS256", kid="a") == []


NO_SET = "which holds no JWK set"


@pytest.mark.parametrize(
    ("document", "reasons"),
    [
        (b"", [NO_SET]),
        (b"\xff", [NO_SET]),
        (b"[" * 100_000, [NO_SET]),
        (b"{", [NO_SET]),
        ([], [NO_SET]),
        (5, [NO_SET]),
        ({}, [NO_SET]),
        ({"keys": {}}, [NO_SET]),
        ({"keys": None}, [NO_SET]),
        ({"keys": []}, ["in which no key fits ES256, EdDSA, PS256, RS256"]),
        ({"keys": ["x", None]}, ["in which no key fits ES256, EdDSA, PS256, RS256"]),
        (lambda: jwk(rsa_key()), [NO_SET]),
        (lambda: pem(rsa_key()), [NO_SET]),
        (lambda: {"keys": [jwk(rsa_key(bits=1024))]}, ["in which no key fits ES256, EdDSA, PS256, RS256"]),
        (lambda: {"keys": [jwk(rsa_key()), UNUSABLE["symmetric"]()]}, ["which holds a symmetric key (kty oct)"]),
        (lambda: {"keys": [jwk(rsa_key()), UNUSABLE["private EC"]()]}, ["which holds a private key"]),
        (lambda: {"keys": [jwk(rsa_key(), kid="k"), jwk(ec_key(), kid="k")]}, ["which holds 2 keys with the kid 'k'"]),
        (
            lambda: {"keys": [{"kty": "oct", "kid": "k"}, {**UNUSABLE["private OKP"](), "kid": "k"}]},
            ["which holds a symmetric key (kty oct)", "which holds a private key", "which holds 2 keys with the kid 'k'"],
        ),
    ],
)
def test_a_file_whose_set_cannot_be_used_is_refused_with_every_reason(
    tmp_path: Path, document: Any, reasons: list[str]
) -> None:
    file = written(tmp_path, document() if callable(document) else document)
    with pytest.raises(ValueError, match="names") as refused:
        jwks_file(file, ALL)
    assert len(refused.value.args) == len(reasons)
    for problem, reason in zip(refused.value.args, reasons, strict=True):
        assert problem.startswith(f"names {file}, {reason}")


# A JWK set behind a URL ----------------------------------------------------------------------------------------------------


@pytest.fixture
def key_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyServer]:
    monkeypatch.setenv("no_proxy", "*")
    server = KeyServer()
    yield server
    server.close()


@pytest.fixture
def other_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyServer]:
    """A server that nobody should ask for anything."""
    monkeypatch.setenv("no_proxy", "*")
    server = KeyServer()
    yield server
    server.close()


def runs(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Let pytest run a coroutine."""

    @wraps(test)
    def run(**fixtures: Any) -> None:
        asyncio.run(test(**fixtures))

    return run


def at_once(awaitable: Any) -> Any:
    """The result of something that must not wait: not for a thread, nor for anything else."""
    with pytest.raises(StopIteration) as stopped:
        awaitable.send(None)
    return stopped.value.value


def status(code: int, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()

    return answer


@runs
async def test_nothing_is_fetched_before_it_is_needed(key_server: KeyServer) -> None:
    key_server.answer = {"keys": [jwk(rsa_key(), kid="a")]}
    source = JWKSServer(key_server.url, ALL)
    assert key_server.requests == []
    assert [key.kid for key in await source.candidates({"alg": "RS256", "kid": "a"})] == ["a"]
    assert key_server.requests == ["/jwks"]


@runs
async def test_the_set_is_fetched_once_for_all_who_ask_at_the_same_time(key_server: KeyServer) -> None:
    key_server.answer = {"keys": [jwk(rsa_key(), kid="a")]}
    source = JWKSServer(key_server.url, ALL)
    found = await asyncio.gather(*(source.candidates({"alg": "RS256", "kid": kid}) for kid in ["a", "b"] * 20))
    assert [len(keys) for keys in found] == [1, 0] * 20
    assert key_server.requests == ["/jwks"]


@runs
async def test_with_the_set_at_hand_nothing_is_waited_for(key_server: KeyServer) -> None:
    key_server.answer = {"keys": [jwk(rsa_key(), kid="a"), jwk(rsa_key("b"), kid="b")]}
    source = JWKSServer(key_server.url, ALL)
    await source.candidates(RSA_HEADER)
    assert len(at_once(source.candidates({"alg": "RS256", "kid": "b"}))) == 1
    assert len(at_once(source.candidates(RSA_HEADER))) == 2
    assert at_once(source.candidates({"alg": "ES256"})) == []


@runs
async def test_an_algorithm_that_is_not_accepted_is_refused_without_a_fetch(key_server: KeyServer) -> None:
    source = JWKSServer(key_server.url, frozenset({"RS256"}))
    for alg in ("HS256", "none", "PS256", "ES256", ""):
        assert at_once(source.candidates({"alg": alg, "kid": "a"})) == []
    assert key_server.requests == []


@runs
async def test_an_unknown_key_id_is_asked_for_once_per_cool_down(key_server: KeyServer) -> None:
    key_server.answer = {"keys": [jwk(rsa_key(), kid="a")]}
    source = JWKSServer(key_server.url, ALL)
    for kid in ("a", "x", "y", "x", "../jwks", "\ud800"):
        assert len(await source.candidates({"alg": "RS256", "kid": kid})) == (kid == "a")
    assert len(key_server.requests) == 1  # every successful fetch starts a cool-down, the first one too


@runs
async def test_a_new_key_is_found_as_soon_as_a_token_names_it(key_server: KeyServer) -> None:
    key_server.answer = {"keys": [jwk(rsa_key("old"), kid="old")]}
    source = JWKSServer(key_server.url, ALL, cooldown=0)
    await source.candidates({"alg": "RS256", "kid": "old"})
    key_server.answer = {"keys": [jwk(rsa_key("old"), kid="old"), jwk(rsa_key("new"), kid="new")]}
    (new,) = await source.candidates({"alg": "RS256", "kid": "new"})
    assert new.material.public_numbers() == rsa_key("new").public_key().public_numbers()
    assert len(key_server.requests) == 2


@runs
async def test_a_withdrawn_key_is_refused_once_the_set_is_old(key_server: KeyServer) -> None:
    key_server.answer = {"keys": [jwk(rsa_key("old"), kid="old"), jwk(rsa_key("new"), kid="new")]}
    source = JWKSServer(key_server.url, ALL, lifespan=0, cooldown=0)
    assert len(await source.candidates({"alg": "RS256", "kid": "old"})) == 1
    key_server.answer = {"keys": [jwk(rsa_key("new"), kid="new")]}
    assert await source.candidates({"alg": "RS256", "kid": "old"}) == []


@runs
async def test_a_token_that_has_passed_is_refused_once_its_key_is_withdrawn(key_server: KeyServer) -> None:
    key_server.answer = {"keys": [jwk(rsa_key("old"), kid="old"), jwk(rsa_key("new"), kid="new")]}
    verify = token_verifier(JWKSServer(key_server.url, ALL, lifespan=0, cooldown=0), TokenRules())
    token = jwt.encode(CLAIMS, rsa_key("old"), "RS256", {"kid": "old"})
    assert [(await verify(token)).subject for _ in range(2)] == ["u1", "u1"]
    key_server.answer = {"keys": [jwk(rsa_key("new"), kid="new")]}
    with pytest.raises(TokenRefused):
        await verify(token)


@runs
async def test_a_set_without_keys_is_believed(key_server: KeyServer) -> None:
    key_server.answer = {"keys": [jwk(rsa_key(), kid="a")]}
    source = JWKSServer(key_server.url, ALL, lifespan=0, cooldown=0)
    assert len(await source.candidates({"alg": "RS256", "kid": "a"})) == 1
    key_server.answer = {"keys": []}
    assert await source.candidates({"alg": "RS256", "kid": "a"}) == []
    assert await source.candidates(RSA_HEADER) == []


@runs
async def test_entries_that_cannot_be_used_are_passed_over(key_server: KeyServer) -> None:
    key_server.answer = {"keys": [*(entry() for entry in UNUSABLE.values()), "x", None, jwk(rsa_key(), kid="good")]}
    source = JWKSServer(key_server.url, ALL)
    assert [key.kid for key in await source.candidates(RSA_HEADER)] == ["good"]


@runs
async def test_a_set_in_which_nothing_fits_is_warned_about(key_server: KeyServer, caplog: pytest.LogCaptureFixture) -> None:
    key_server.answer = {"keys": [jwk(ec_key("P-384"))]}
    assert await JWKSServer(key_server.url, frozenset({"RS256"})).candidates(RSA_HEADER) == []
    assert caplog.messages == ["no key of the JWK set fits RS256"]


@runs
async def test_two_keys_of_one_name_are_both_tried(key_server: KeyServer) -> None:
    key_server.answer = {"keys": [jwk(rsa_key("one"), kid="a"), jwk(rsa_key("two"), kid="a")]}
    verify = token_verifier(JWKSServer(key_server.url, ALL), TokenRules())
    for signer in ("one", "two"):
        token = jwt.encode(CLAIMS, rsa_key(signer), "RS256", {"kid": "a"})
        assert (await verify(token)).subject == "u1"


def cut_off(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "1000")
    request.end_headers()
    request.wfile.write(b'{"keys": [')


def hang_up(request: BaseHTTPRequestHandler) -> None:
    request.close_connection = True


def babble(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"this is not HTTP\r\n\r\n")


BAD_ANSWERS: dict[str, Any] = {
    "500": status(500),
    "503": status(503),
    "404": status(404),
    "401": status(401),
    "204": status(204),
    "cut off": cut_off,
    "nothing at all": hang_up,
    "no HTTP": babble,
    "an empty body": b"",
    "HTML": b"<!DOCTYPE html><title>Sign in</title>",
    "UTF-8 that is none": b'{"keys": ["\xff"]}',
    "JSON that is too deep": b"[" * 100_000,
    "a JSON text": b'"keys"',
    "an array": [jwk(ed25519_key())],
    "a single key": jwk(ed25519_key()),
    "no keys member": {"error": "not today"},
    "keys that are no array": {"keys": jwk(ed25519_key())},
}


@pytest.mark.parametrize("which", BAD_ANSWERS)
def test_without_an_answer_and_without_a_set_there_is_no_verdict(key_server: KeyServer, which: str) -> None:
    key_server.answer = BAD_ANSWERS[which]
    source = JWKSServer(key_server.url, ALL, retry=0)
    for header in ({"alg": "EdDSA"}, {"alg": "EdDSA", "kid": "a"}):
        with pytest.raises(KeysUnavailable, match="the JWK set cannot be fetched"):
            candidates(source, **header)


@pytest.mark.parametrize("which", BAD_ANSWERS)
@runs
async def test_an_outage_is_survived_on_the_set_at_hand(key_server: KeyServer, which: str) -> None:
    key_server.answer = {"keys": [jwk(rsa_key(), kid="a")]}
    source = JWKSServer(key_server.url, ALL, lifespan=0, cooldown=0, retry=0)
    await source.candidates(RSA_HEADER)
    key_server.answer = BAD_ANSWERS[which]
    assert len(await source.candidates({"alg": "RS256", "kid": "a"})) == 1
    assert len(await source.candidates(RSA_HEADER)) == 1
    assert len(key_server.requests) == 3  # it did ask
    with pytest.raises(KeysUnavailable):  # whether this key exists is not known now
        await source.candidates({"alg": "RS256", "kid": "b"})


@runs
async def test_a_key_server_that_refuses_connections_is_survived_too(
    key_server: KeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    key_server.answer = {"keys": [jwk(rsa_key(), kid="a")]}
    source = JWKSServer(key_server.url, ALL, lifespan=0, cooldown=0)
    await source.candidates(RSA_HEADER)
    key_server.close()
    assert len(await source.candidates({"alg": "RS256", "kid": "a"})) == 1
    assert len(caplog.messages) == 1
    assert "Connection refused" in caplog.text
    with pytest.raises(KeysUnavailable):
        await JWKSServer(key_server.url, ALL).candidates(RSA_HEADER)


@runs
async def test_a_set_is_not_used_for_ever(key_server: KeyServer) -> None:
    key_server.answer = {"keys": [jwk(rsa_key(), kid="a")]}
    source = JWKSServer(key_server.url, ALL, lifespan=0, outage=0, cooldown=0)
    await source.candidates(RSA_HEADER)
    key_server.answer = status(500)
    with pytest.raises(KeysUnavailable):
        await source.candidates({"alg": "RS256", "kid": "a"})


@runs
async def test_a_key_server_that_is_back_is_noticed(key_server: KeyServer) -> None:
    key_server.answer = status(500)
    source = JWKSServer(key_server.url, ALL, retry=0)
    with pytest.raises(KeysUnavailable):
        await source.candidates(RSA_HEADER)
    key_server.answer = {"keys": [jwk(rsa_key(), kid="a")]}
    assert len(await source.candidates(RSA_HEADER)) == 1
    assert await source.candidates({"alg": "RS256", "kid": "b"}) == []  # and its word counts again


@runs
async def test_after_a_failure_the_key_server_is_left_in_peace_for_a_moment(key_server: KeyServer) -> None:
    key_server.answer = status(500)
    source = JWKSServer(key_server.url, ALL)
    for _ in range(3):
        with pytest.raises(KeysUnavailable):
            await source.candidates(RSA_HEADER)
    assert len(key_server.requests) == 1


@runs
async def test_a_key_server_that_does_not_answer_is_given_up(key_server: KeyServer) -> None:
    hung_up = threading.Event()

    def wait_for_the_client(request: BaseHTTPRequestHandler) -> None:
        if request.connection.recv(1) == b"":
            hung_up.set()

    key_server.answer = wait_for_the_client
    with pytest.raises(KeysUnavailable, match="the JWK set cannot be fetched"):
        await JWKSServer(key_server.url, ALL, timeout=0.05).candidates(RSA_HEADER)
    assert await asyncio.to_thread(hung_up.wait, 5)  # the thread that asked is free again too


@runs
async def test_a_key_server_that_answers_drop_by_drop_is_given_up(key_server: KeyServer) -> None:
    given_up = threading.Event()

    def drip(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        while not given_up.wait(0.01):
            request.wfile.write(b" ")

    key_server.answer = drip
    with pytest.raises(KeysUnavailable, match="the JWK set cannot be fetched: TimeoutError"):
        await JWKSServer(key_server.url, ALL, timeout=0.2).candidates(RSA_HEADER)
    given_up.set()


@runs
async def test_while_a_slow_key_server_is_asked_known_keys_are_answered_at_once(key_server: KeyServer) -> None:
    key_server.answer = {"keys": [jwk(rsa_key(), kid="a")]}
    source = JWKSServer(key_server.url, ALL, lifespan=0, cooldown=0)
    await source.candidates(RSA_HEADER)
    key_server.open.clear()
    renewal = asyncio.create_task(_candidates(source, RSA_HEADER))
    assert await asyncio.to_thread(key_server.asked.acquire, timeout=10)
    assert await asyncio.to_thread(key_server.asked.acquire, timeout=10)  # the second request has arrived, and waits
    assert len(at_once(source.candidates({"alg": "RS256", "kid": "a"}))) == 1
    assert len(at_once(source.candidates(RSA_HEADER))) == 1
    assert not renewal.done()
    key_server.open.set()
    assert len(await renewal) == 1


@runs
async def test_a_request_that_is_given_up_during_a_fetch_does_not_spoil_the_others(key_server: KeyServer) -> None:
    key_server.answer = {"keys": [jwk(rsa_key(), kid="a")]}
    key_server.open.clear()
    source = JWKSServer(key_server.url, ALL)
    given_up, waiting = (asyncio.create_task(_candidates(source, RSA_HEADER)) for _ in range(2))
    assert await asyncio.to_thread(key_server.asked.acquire, timeout=10)
    given_up.cancel()
    key_server.open.set()
    assert len(await waiting) == 1
    assert given_up.cancelled()


@runs
async def test_a_redirect_is_not_followed(key_server: KeyServer, other_server: KeyServer) -> None:
    other_server.answer = {"keys": [jwk(rsa_key())]}
    for code in (301, 302, 303, 307, 308):
        key_server.answer = status(code, Location=other_server.url)
        with pytest.raises(KeysUnavailable):
            await JWKSServer(key_server.url, ALL).candidates(RSA_HEADER)
    assert other_server.requests == []


@pytest.mark.parametrize("pointer", ["jku", "x5u", "jwk", "x5c", "kid"])
@runs
async def test_a_token_cannot_bring_or_name_its_own_key(
    key_server: KeyServer, other_server: KeyServer, tmp_path: Path, pointer: str
) -> None:
    attacker = rsa_key("attacker")
    other_server.answer = {"keys": [jwk(attacker, kid="a")]}
    key_server.answer = {"keys": [jwk(rsa_key(), kid="a")]}
    planted = tmp_path / "attacker.pem"
    planted.write_bytes(pem(attacker))
    headers: dict[str, dict[str, Any]] = {
        "jku": {"kid": "a", "jku": other_server.url},
        "x5u": {"kid": "a", "x5u": other_server.url},
        "jwk": {"kid": "a", "jwk": jwk(attacker, kid="a")},
        "x5c": {"kid": "a", "x5c": ["MIIB"]},
        "kid": {"kid": str(planted)},
    }
    token = jwt.encode(CLAIMS, attacker, "RS256", headers[pointer])
    static = StaticKeys((Key(rsa_key().public_key(), ALL),))
    for source in (JWKSServer(key_server.url, ALL), static):
        with pytest.raises(TokenRefused):
            await token_verifier(source, TokenRules())(token)
    assert other_server.requests == []
    assert set(key_server.requests) == {"/jwks"}


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "EdDSA"])
@runs
async def test_tokens_of_every_algorithm_pass_with_a_set_that_has_their_keys(key_server: KeyServer, alg: str) -> None:
    signers: dict[str, Any] = {"RS256": rsa_key(), "PS256": rsa_key("second"), "ES256": ec_key(), "EdDSA": ed25519_key()}
    key_server.answer = {"keys": [jwk(signer, kid=name, alg=name, use="sig") for name, signer in signers.items()]}
    verify = token_verifier(JWKSServer(key_server.url, ALL), TokenRules())
    assert (await verify(jwt.encode(CLAIMS, signers[alg], alg, {"kid": alg}))).subject == "u1"
    assert (await verify(jwt.encode(CLAIMS, signers[alg], alg))).subject == "u1"
    with pytest.raises(TokenRefused, match="signed with a key or an algorithm that this server does not accept"):
        await verify(jwt.encode(CLAIMS, signers[alg], alg, {"kid": "unknown"}))


@pytest.mark.parametrize(
    "url",
    [
        "https://issuer.example/jwks.json",
        "https://issuer.example:8443/a/b?c=d",
        "HTTPS://issuer.example",
        "https://192.0.2.1/jwks",
        "http://localhost:8080/jwks",
        "http://127.0.0.1/jwks",
        "http://127.9.9.9:1/jwks",
        "http://[::1]:8080/jwks",
    ],
)
def test_a_url_is_usable_when_nobody_on_the_way_can_change_the_answer(url: str) -> None:
    JWKSServer(url, ALL)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "is neither a file nor a URL"),
        ("issuer.example/jwks", "is neither a file nor a URL"),
        ("https://", "is neither a file nor a URL"),
        ("https:///jwks", "is neither a file nor a URL"),
        ("https://:443/jwks", "is neither a file nor a URL"),
        ("ftp://issuer.example/jwks", "is neither a file nor a URL"),
        ("file:///etc/passwd", "is neither a file nor a URL"),
        ("data://text/plain,{}", "is neither a file nor a URL"),
        ("https://issuer.example/a b", "is neither a file nor a URL"),
        ("https://issuer.example/\n", "is neither a file nor a URL"),
        ("https://issuer.example/é", "is neither a file nor a URL"),
        ("https://issuer.example:port/", "is not a URL"),
        ("https://issuer.example:99999/", "is not a URL"),
        ("https://[::1/", "is not a URL"),
        ("https://hunter2@issuer.example/", "holds a user name or a password"),
        ("https://user:hunter2@issuer.example/", "holds a user name or a password"),
        ("http://issuer.example/hunter2", "must begin with https://"),
        ("http://localhost.example/", "must begin with https://"),
        ("http://10.0.0.1/", "must begin with https://"),
        ("http://0.0.0.0/", "must begin with https://"),
        ("http://[2001:db8::1]/", "must begin with https://"),
    ],
)
def test_any_other_url_is_refused_and_not_repeated(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as refused:
        JWKSServer(url, ALL)
    assert "hunter2" not in str(refused.value)


# In the application --------------------------------------------------------------------------------------------------------


def test_while_the_keys_are_out_of_reach_a_request_gets_503_and_then_what_it_should(
    key_server: KeyServer, database_url: str, mint: Mint
) -> None:
    key_server.answer = status(500)
    app = create_app(Settings(JWKSServer(key_server.url, ALL, retry=0), database_url))
    with TestClient(app) as client:
        path = f"/v1/workspace/{WORKSPACE}/sessions"
        headers = {"Authorization": f"Bearer {mint(key=rsa_key(), algorithm='RS256', headers={'kid': 'a'})}"}
        down = client.get(path, headers=headers)
        assert (down.status_code, down.headers["content-type"]) == (503, "application/problem+json")
        assert int(down.headers["retry-after"]) > 0
        assert "www-authenticate" not in down.headers
        assert key_server.url not in down.text
        assert client.get(path).status_code == 401  # this much can be told without keys
        assert client.get(path, headers={"Authorization": f"Bearer {mint()}"}).status_code == 401  # and that HS256 is out
        key_server.answer = {"keys": [jwk(rsa_key(), kid="a")]}
        assert client.get(path, headers=headers).status_code == 404
        forged = {"Authorization": f"Bearer {mint(key=rsa_key('forger'), algorithm='RS256', headers={'kid': 'a'})}"}
        assert client.get(path, headers=forged).status_code == 401


def test_a_slow_key_server_does_not_hold_up_requests_that_need_no_key(
    key_server: KeyServer, database_url: str, mint: Mint
) -> None:
    key_server.open.clear()
    key_server.answer = {"keys": [jwk(rsa_key(), kid="a")]}
    with TestClient(create_app(Settings(JWKSServer(key_server.url, ALL), database_url))) as client:
        path = f"/v1/workspace/{WORKSPACE}/sessions"
        headers = {"Authorization": f"Bearer {mint(key=rsa_key(), algorithm='RS256', headers={'kid': 'a'})}"}
        answers: list[int] = []
        waiting = threading.Thread(target=lambda: answers.append(client.get(path, headers=headers).status_code))
        waiting.start()
        assert key_server.asked.acquire(timeout=10)
        assert client.get("/healthz").status_code == 200
        assert client.get(path).status_code == 401
        assert answers == []  # neither had to wait for the end of the fetch
        key_server.open.set()
        waiting.join()
    assert answers == [404]
