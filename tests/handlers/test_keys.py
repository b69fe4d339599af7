"""Where keys come from: a secret, PEM files, a JWK set in a file; and which are let in."""

import asyncio
import json
import random
import re
from base64 import b64encode, encodebytes
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from handlers.keys import (
    ASYMMETRIC,
    Key,
    KeySource,
    StaticKeys,
    jwk_key,
    jwks_file,
    public_key,
    secret_key,
)
from tests.handlers.unusable_keys import UNUSABLE, guessable_rsa_key
from tests.key_servers import jwk, pem
from tests.signers import ec_key, ed448_key, ed25519_key, rsa_key

ALL = frozenset(ASYMMETRIC)
RSA_ALGORITHMS = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
NAMES = "ES256, ES384, ES512, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512"


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
        "correct horse battery staple, and so on",
        "bytes-that-are-not-utf-8-\udcff\udcfe-as-in-os.environ",
    ],
)
def test_a_secret_of_32_bytes_or_more_is_a_key_of_hs256(secret: str) -> None:
    key = secret_key(secret)
    assert key.algorithms == {"HS256"}
    assert key.material == secret.encode(errors="surrogateescape")


SECRET_OF_64 = "5f0c9d1e4b7a8263915f3d2c1b0a9e8d7c6b5a493827160504f3e2d1c0b9a887"


@pytest.mark.parametrize(
    ("length", "algorithms"),
    [
        (32, {"HS256"}),
        (47, {"HS256"}),
        (48, {"HS256", "HS384"}),
        (63, {"HS256", "HS384"}),
        (64, {"HS256", "HS384", "HS512"}),
    ],
)
def test_a_secret_is_used_for_what_it_is_long_enough_for(length: int, algorithms: set[str]) -> None:
    assert secret_key(SECRET_OF_64[:length]).algorithms == algorithms
    if length < 64:
        with pytest.raises(ValueError, match=f"must be at least 64 bytes long for HS512; it has {length}"):
            secret_key(SECRET_OF_64[:length], frozenset({"HS512"}))


def test_a_secret_is_used_for_the_accepted_algorithms_only() -> None:
    assert secret_key(SECRET_OF_64, frozenset({"HS512"})).algorithms == {"HS512"}
    assert secret_key(SECRET_OF_64[:50], frozenset({"HS384", "HS512"})).algorithms == {"HS384"}


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("", "must be at least 32 bytes long for HS256; it has 0"),
        ("secret", "must be at least 32 bytes long for HS256; it has 6"),
        ("your-256-bit-secret", "must be at least 32 bytes long for HS256; it has 19"),
        ("0123456789abcdefghijklmnopqrstu", "must be at least 32 bytes long for HS256; it has 31"),
        ("ض" * 15, "must be at least 32 bytes long for HS256; it has 30"),
        ("your-256-bit-secret-your-256-bit-secret", "has too little entropy"),
        ("secretsecretsecretsecretsecretsecret", "has too little entropy"),
        ("12345678901234567890123456789012", "has too little entropy"),
        ("0123456789abcdef0123456789abcdef", "has too little entropy"),
        ("reallyreallyreallyreallyverysafe", "has too little entropy"),
        ("320wa6n6nq" + "0" * 154, "has too little entropy"),
        ("1231232131231231231231231231231231231231#$$", "has too little entropy"),
        ("abababababbbababababababaabababab", "has too little entropy"),
        ("********************************!", "has too little entropy"),
        ("a" * 64, "has too little entropy"),
        ("\0" * 32, "has too little entropy"),
    ],
)
def test_a_secret_that_is_short_or_has_little_entropy_is_refused(secret: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as refused:
        secret_key(secret)
    assert not secret or secret not in str(refused.value)


def test_random_secrets_of_every_common_form_pass() -> None:
    generator = random.Random(1)  # noqa: S311 - the same at every run
    for _ in range(1000):
        short, long = generator.randbytes(16), generator.randbytes(24)
        for secret in (short.hex(), long.hex(), b64encode(long).decode()):
            assert secret_key(secret).algorithms >= {"HS256"}


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
    with pytest.raises(ValueError, match="is a certificate, or a key in PEM, SSH or JWK form, and not a secret"):
        secret_key(text())


def test_a_key_does_not_show_its_secret() -> None:
    secret = "do-not-show-this-secret-to-anybody-please"
    key = secret_key(secret)
    assert secret not in f"{key!r} {key} {StaticKeys((key,))!r}"


# PEM files -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "algorithms"),
    [
        (lambda: pem(rsa_key()), RSA_ALGORITHMS),
        (lambda: rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1), RSA_ALGORITHMS),
        (lambda: pem(ec_key()), {"ES256"}),
        (lambda: pem(ec_key("P-384")), {"ES384"}),
        (lambda: pem(ec_key("P-521")), {"ES512"}),
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
        (lambda: pem(rsa_key(bits=1024)), f"fits none of {NAMES}"),
        (lambda: pem(ec_key("secp256k1")), f"fits none of {NAMES}"),
        (lambda: guessable_rsa_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), f"fits none of {NAMES}"),
        (lambda: pem(x25519.X25519PrivateKey.generate()), f"fits none of {NAMES}"),
    ],
)
def test_a_file_without_exactly_one_usable_public_key_is_refused(
    tmp_path: Path, written: Callable[[], bytes], reason: str
) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(written())
    with pytest.raises(ValueError, match=reason) as refused:
        public_key(file, ALL)
    assert str(file) not in str(refused.value)


@pytest.mark.parametrize("read", [public_key, jwks_file])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, read: Callable[[Path, frozenset[str]], Any]) -> None:
    with pytest.raises(ValueError, match=r"^cannot be read: No such file or directory$"):
        read(tmp_path / "absent.pem", ALL)
    with pytest.raises(ValueError, match=r"^cannot be read: Is a directory$"):
        read(tmp_path, ALL)


# The entries of a JWK set --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "algorithms"),
    [
        (lambda: jwk(rsa_key()), RSA_ALGORITHMS),
        (lambda: jwk(ec_key()), {"ES256"}),
        (lambda: jwk(ec_key("P-384")), {"ES384"}),
        (lambda: jwk(ec_key("P-521"), alg="ES512"), {"ES512"}),
        (lambda: jwk(ed25519_key()), {"EdDSA"}),
        (lambda: jwk(ed448_key(), alg="EdDSA"), {"EdDSA"}),
        (lambda: jwk(rsa_key(), alg="RS256"), {"RS256"}),
        (lambda: jwk(rsa_key(), alg="PS256"), {"PS256"}),
        (lambda: jwk(rsa_key(), use="sig", key_ops=["verify"], x5t="abc"), RSA_ALGORITHMS),
        (lambda: {**jwk(rsa_key()), "alg": None, "use": None, "key_ops": None, "kid": None}, RSA_ALGORITHMS),
        (lambda: jwk(rsa_key(), key_ops=["sign", "verify"]), RSA_ALGORITHMS),
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


@pytest.mark.parametrize("which", UNUSABLE)
def test_a_jwk_is_ignored_if_it_is(which: str) -> None:
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


def test_a_file_keeps_the_usable_keys_of_a_set_and_ignores_the_rest(tmp_path: Path) -> None:
    entries = [
        jwk(rsa_key(), kid="r"),
        jwk(ec_key(), kid="e"),
        jwk(rsa_key("enc"), kid="x", use="enc", alg="RSA-OAEP"),
        jwk(ec_key("secp256k1"), kid="p"),
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


NO_JSON, NO_SET = "is not JSON", "is not a JWK set (RFC 7517, section 5)"
SECRET_KEY = "holds a private or symmetric key; this server needs public ones only"


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"", NO_JSON),
        (b"\xff", NO_JSON),
        (b"[" * 100_000, NO_JSON),
        (b"{", NO_JSON),
        ([], NO_SET),
        (5, NO_SET),
        ({}, NO_SET),
        ({"keys": {}}, NO_SET),
        ({"keys": None}, NO_SET),
        ({"keys": []}, f"holds no key that fits {NAMES}"),
        ({"keys": ["x", None]}, f"holds no key that fits {NAMES}"),
        (lambda: jwk(rsa_key()), NO_SET),
        (lambda: pem(rsa_key()), NO_JSON),
        (lambda: {"keys": [jwk(rsa_key(bits=1024))]}, f"holds no key that fits {NAMES}"),
        (lambda: {"keys": [jwk(rsa_key()), UNUSABLE["symmetric"]()]}, SECRET_KEY),
        (lambda: {"keys": [jwk(rsa_key()), UNUSABLE["private EC"]()]}, SECRET_KEY),
    ],
)
def test_a_file_whose_set_cannot_be_used_is_refused(tmp_path: Path, document: Any, reason: str) -> None:
    file = written(tmp_path, document() if callable(document) else document)
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}"):
        jwks_file(file, ALL)
