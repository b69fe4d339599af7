"""The well-known attacks on tokens, sent to the application with every kind of key that it can be configured with.

`tests/handlers/test_tokens.py` has the tables of claims, headers and spellings with the words of each refusal; here the
question is only who gets in.
"""

import hashlib
import hmac
import json
import time
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.conftest import SECRET, WORKSPACE
from tests.key_servers import KeyServer, jwk
from tests.security.conftest import KINDS, SIGNERS, ServerOf
from tests.signers import b64, document, ec_key, ed448_key, ed25519_key, rsa_key

PATH = f"/v1/workspace/{WORKSPACE}/sessions?limit=1"
CLAIMS = {"sub": "u1", "exp": 4_102_444_800, "scope": "sessions.view", "workspaces": [WORKSPACE]}
PAYLOAD = b64(document(CLAIMS))
ALGORITHMS = sorted(jwt.algorithms.get_default_algorithms())
"""Every algorithm that the JWT library would do, if it were told to."""
_RSA = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
FITS = {"RSA": _RSA, "P-256": {"ES256"}, "P-384": {"ES384"}, "P-521": {"ES512"}, "Ed25519": {"EdDSA"}, "Ed448": {"EdDSA"}}
ACCEPTED = {kind: set[str]().union(*(FITS[signer] for signer in signers)) for kind, signers in KINDS.items()} | {
    "secret": {"HS256", "HS384"}  # it is too short for HS512
}
CURVES = {"ES256": "P-256", "ES256K": "secp256k1", "ES384": "P-384", "ES512": "P-521", "ES521": "P-521"}


def status(server: Any, token: str) -> int:
    response = server.get(PATH, headers={"Authorization": f"Bearer {token}"})
    if response.status_code != 200:
        assert response.headers["content-type"] == "application/problem+json"
        assert response.headers["www-authenticate"].startswith('Bearer realm="sessions", error="invalid_')
    return int(response.status_code)


def who_lets_in(server_of: ServerOf, token: Callable[[str], str]) -> list[str]:
    """The kinds of keys with which a token gets in; every other answer is a 401 that keeps the contract."""
    answers = {kind: status(server_of(kind), token(kind)) for kind in KINDS}
    assert set(answers.values()) <= {200, 401}
    return [kind for kind, answer in answers.items() if answer == 200]


def by_hmac(header: dict[str, Any], key: bytes, digest: str = "sha256", payload: str = PAYLOAD) -> str:
    signing_input = f"{b64(document(header))}.{payload}"
    return f"{signing_input}.{b64(hmac.digest(key, signing_input.encode(), digest))}"


def public_pem(key: Any) -> bytes:
    encoded: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return encoded


def public_spellings(key: Any) -> list[bytes]:
    """A public key in the forms in which an attacker can get hold of it."""
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    text = public_pem(key)
    forms = [text, text.strip(), text.replace(b"\n", b"\r\n"), text.replace(b"\n", b""), der, b64encode(der)]
    forms += [document(jwk(key)), json.dumps(jwk(key), separators=(",", ":")).encode()]
    if not isinstance(key, type(ed448_key())):  # OpenSSH has no Ed448
        forms.append(key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH))
    return forms


def trusted(kind: str) -> Any:
    """The first key that a server of this kind trusts, or one of an attacker's where it has only a secret."""
    return SIGNERS[(KINDS[kind] or ("RSA",))[0]]()


def genuine(kind: str) -> str:
    if kind == "secret":
        return jwt.encode(CLAIMS, SECRET, "HS256")
    return jwt.encode(CLAIMS, trusted(kind), min(ACCEPTED[kind] & FITS[KINDS[kind][0]]))


def correctly_signed(algorithm: str, kind: str) -> str:
    """A token of this algorithm with a correct signature, by the trusted key wherever that can be made to sign so."""
    if algorithm == "none":
        return f"{b64(document({'alg': 'none'}))}.{PAYLOAD}."
    if algorithm.startswith("HS"):
        key = SECRET.encode() if kind == "secret" else public_pem(trusted(kind))
        return by_hmac({"alg": algorithm}, key, f"sha{algorithm[2:]}")
    if algorithm == "EdDSA":
        return jwt.encode(CLAIMS, ed448_key() if KINDS[kind] == ("Ed448",) else ed25519_key(), algorithm)
    return jwt.encode(CLAIMS, ec_key(CURVES[algorithm]) if algorithm in CURVES else rsa_key(), algorithm)


def test_the_matrix_has_every_algorithm_of_the_library() -> None:
    assert len(ALGORITHMS) == 16


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_only_the_algorithms_of_the_configured_keys_get_in(server_of: ServerOf, algorithm: str) -> None:
    assert {kind: status(server_of(kind), correctly_signed(algorithm, kind)) for kind in KINDS} == {
        kind: 200 if algorithm in ACCEPTED[kind] else 401 for kind in KINDS
    }


@pytest.mark.parametrize("claimed", ALGORITHMS)
def test_a_signature_is_not_taken_for_one_of_another_algorithm(server_of: ServerOf, claimed: str) -> None:
    renamed = b64(document({"alg": claimed}))
    assert who_lets_in(server_of, lambda kind: f"{renamed}.{genuine(kind).partition('.')[2]}") == []


# Encrypted tokens ----------------------------------------------------------------------------------------------------------


def encrypted(header: dict[str, Any], wrapped_key: bytes, content_key: bytes, content: bytes) -> str:
    """A JWE in compact form (RFC 7516, section 5.1) with A256GCM."""
    protected = b64(document({"enc": "A256GCM", **header}))
    nonce = b"n" * 12
    sealed = AESGCM(content_key).encrypt(nonce, content, protected.encode())
    return ".".join([protected, b64(wrapped_key), b64(nonce), b64(sealed[:-16]), b64(sealed[-16:])])


CONTENT_KEY = bytes(range(32))
PLAIN = f"{b64(document({'alg': 'none'}))}.{PAYLOAD}."


def by_rsa(kind: str, header: dict[str, Any], content: bytes) -> str:
    key = rsa_key() if "RSA" in KINDS[kind] else rsa_key("attacker")
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303 - RSA-OAEP is defined with it
    return encrypted({"alg": "RSA-OAEP", **header}, key.public_key().encrypt(CONTENT_KEY, oaep), CONTENT_KEY, content)


def by_password(count: int) -> str:
    salt = b"PBES2-HS256+A128KW\0salt1234"
    wrapping = PBKDF2HMAC(hashes.SHA256(), 16, salt, 1000).derive(SECRET.encode())
    header = {"alg": "PBES2-HS256+A128KW", "p2s": b64(b"salt1234"), "p2c": count}
    return encrypted(header, aes_key_wrap(wrapping, CONTENT_KEY), CONTENT_KEY, document(CLAIMS))


ENCRYPTED: dict[str, Callable[[str], str]] = {
    "an unsigned token encrypted with the public key": lambda kind: by_rsa(kind, {"cty": "JWT"}, PLAIN.encode()),
    "a genuine token encrypted with the public key": lambda kind: by_rsa(kind, {"cty": "JWT"}, genuine(kind).encode()),
    "claims encrypted with the public key": lambda kind: by_rsa(kind, {}, document(CLAIMS)),
    "claims encrypted and compressed": lambda kind: by_rsa(kind, {"zip": "DEF"}, zlib.compress(document(CLAIMS))[2:-4]),
    "claims that unfold to 50 MB": lambda kind: by_rsa(kind, {"zip": "DEF"}, zlib.compress(b" " * 50_000_000)[2:-4][:9_000]),
    "claims encrypted directly with the secret": lambda _: encrypted(
        {"alg": "dir"}, b"", SECRET.encode()[:32], document(CLAIMS)
    ),
    "claims under a wrapped key": lambda _: encrypted(
        {"alg": "A256KW"}, aes_key_wrap(SECRET.encode()[:32], CONTENT_KEY), CONTENT_KEY, document(CLAIMS)
    ),
    "claims under a password": lambda _: by_password(1000),
    "a password that takes hours to derive a key from": lambda _: by_password(2**31 - 1),
    "an ephemeral key on another curve": lambda _: encrypted(
        {"alg": "ECDH-ES", "epk": jwk(ec_key("P-384"))}, b"", CONTENT_KEY, document(CLAIMS)
    ),
    "an algorithm of signatures": lambda _: encrypted({"alg": "HS256"}, b"", SECRET.encode()[:32], document(CLAIMS)),
    "a token with two parts too many": lambda kind: f"{genuine(kind)}..",
}


@pytest.mark.parametrize("name", ENCRYPTED)
def test_an_encrypted_token_is_no_bearer_token(server_of: ServerOf, name: str) -> None:
    tokens = {kind: ENCRYPTED[name](kind) for kind in KINDS}
    assert {token.count(".") for token in tokens.values()} == {4}
    begun = time.process_time()
    assert who_lets_in(server_of, tokens.__getitem__) == []
    assert time.process_time() - begun < 5  # nothing is decrypted, derived or unpacked


# The well-known attacks ----------------------------------------------------------------------------------------------------


def with_header(kind: str, **members: Any) -> str:
    """A genuine token's claims and signature under another header."""
    header, payload, signature = genuine(kind).split(".")
    known = json.loads(jwt.utils.base64url_decode(header))
    return f"{b64(document({**known, **members}))}.{payload}.{signature}"


def with_signature(kind: str, signature: bytes, **members: Any) -> str:
    return f"{with_header(kind, **members).rpartition('.')[0]}.{b64(signature)}"


def with_claims(kind: str, **changes: Any) -> str:
    header, _, signature = genuine(kind).split(".")
    return f"{header}.{b64(document({**CLAIMS, **changes}))}.{signature}"


def es256(numbers: tuple[int, int]) -> bytes:
    return b"".join(number.to_bytes(32, "big") for number in numbers)


ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of the group of P-256


def ecdsa_der(kind: str) -> str:
    signing_input = f"{b64(document({'alg': 'ES256'}))}.{PAYLOAD}"
    return f"{signing_input}.{b64(ec_key().sign(signing_input.encode(), ec.ECDSA(hashes.SHA256())))}" + kind[:0]


def ecdsa_padded(kind: str) -> str:
    """The two numbers with a leading zero each, as a reader of ES512 would take them."""
    signing_input = f"{b64(document({'alg': 'ES256'}))}.{PAYLOAD}"
    r, s = utils.decode_dss_signature(ec_key().sign(signing_input.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signing_input}.{b64(r.to_bytes(33, 'big') + s.to_bytes(33, 'big'))}" + kind[:0]


def rsa_mislabelled(kind: str) -> str:
    """A signature of PKCS #1 v1.5 that calls itself PSS."""
    signing_input = f"{b64(document({'alg': 'PS256'}))}.{PAYLOAD}"
    return f"{signing_input}.{b64(rsa_key().sign(signing_input.encode(), padding.PKCS1v15(), hashes.SHA256()))}" + kind[:0]


def of_attacker(header: dict[str, Any], key: Any = None, algorithm: str = "RS256") -> str:
    return jwt.encode(CLAIMS, key or rsa_key("attacker"), algorithm, header)


def by_public_key(kind: str, number: int, alg: str) -> str:
    spellings = public_spellings(trusted(kind))
    return by_hmac({"alg": alg}, spellings[number % len(spellings)], f"sha{alg[2:]}")


def given(build: Callable[..., str], *values: Any) -> Callable[[str], str]:
    """A row of the table, from the values in it."""
    return lambda kind: build(kind, *values)


NONE = [
    "none",
    "None",
    "NONE",
    "nOnE",
    "NonE",
    "none ",
    " none",
    "none\0",
    "none\n",
    "",
    "null",
    "ｎｏｎｅ",
    "nоne",
    "noneHS256",
]
FLAT = {"payload": PAYLOAD, "protected": b64(b'{"alg":"none"}'), "signature": ""}

ATTACKS: dict[str, Callable[[str], str]] = {
    # An algorithm that needs no key (CVE-2015-9235, CVE-2020-28042)
    **{f"alg {alg!r}, no signature": given(lambda _, alg: f"{b64(document({'alg': alg}))}.{PAYLOAD}.", alg) for alg in NONE},
    **{f"alg {alg!r}, a genuine signature": given(lambda kind, alg: with_header(kind, alg=alg), alg) for alg in NONE},
    **{f"alg {alg!r}, an empty HMAC": given(lambda _, alg: by_hmac({"alg": alg}, b""), alg) for alg in NONE},
    # A signature that is missing or says nothing
    "no signature": lambda kind: genuine(kind).rpartition(".")[0] + ".",
    "no signature and no dot": lambda kind: genuine(kind).rpartition(".")[0],
    "a signature of one zero byte": lambda kind: with_signature(kind, b"\0"),
    "a signature of 32 zero bytes": lambda kind: with_signature(kind, b"\0" * 32),
    "a signature of 64 zero bytes (CVE-2022-21449)": lambda kind: with_signature(kind, b"\0" * 64),
    "a signature of 64 zero bytes, ES256": lambda kind: with_signature(kind, b"\0" * 64, alg="ES256"),
    "a signature of 114 zero bytes": lambda kind: with_signature(kind, b"\0" * 114),
    "a signature of 256 zero bytes": lambda kind: with_signature(kind, b"\0" * 256),
    "a signature of 256 zero bytes, RS256": lambda kind: with_signature(kind, b"\0" * 256, alg="RS256"),
    "an RSA signature of the number one": lambda kind: with_signature(kind, b"\0" * 255 + b"\1", alg="RS256"),
    "the text null": lambda kind: genuine(kind).rpartition(".")[0] + ".null",
    **{
        f"ECDSA with r, s = {name}": given(lambda kind, numbers: with_signature(kind, es256(numbers), alg="ES256"), numbers)
        for name, numbers in {
            "0, 0": (0, 0),
            "0, 1": (0, 1),
            "1, 0": (1, 0),
            "1, 1": (1, 1),
            "n, n": (ORDER, ORDER),
            "n, 0": (ORDER, 0),
            "n+1, 1": (ORDER + 1, 1),
            "n-1, n-1": (ORDER - 1, ORDER - 1),
            "the most": (2**256 - 1, 2**256 - 1),
        }.items()
    },
    "ECDSA in DER": ecdsa_der,
    "ECDSA padded": ecdsa_padded,
    "PKCS #1 v1.5 called PSS": rsa_mislabelled,
    # Claims that were changed under a genuine signature
    "another subject": lambda kind: with_claims(kind, sub="admin"),
    "more workspaces": lambda kind: with_claims(kind, workspaces=["*"]),
    "a later exp": lambda kind: with_claims(kind, exp=4_202_444_800),
    "a genuine token twice": lambda kind: f"{genuine(kind)}.{genuine(kind)}",
    "a genuine signature over a JSON object that hides another (CVE-2022-39227)": lambda kind: (
        '{"' + ".".join(genuine(kind).split(".")[:2]) + '":"x","protected":"' + genuine(kind)
    ),
    "flattened JSON": lambda _: json.dumps(FLAT),
    "flattened JSON in base64url": lambda _: b64(document(FLAT)),
    "JSON without spaces": lambda _: json.dumps(FLAT, separators=(",", ":")),
    # A secret that is no secret, from the lists that attackers try
    **{
        f"HMAC by {secret!r}": given(lambda _, secret: by_hmac({"alg": "HS256"}, secret), secret)
        for secret in [
            *(b"", b"\0", b" ", b"\n", b"a", b"1", b"null", b"None", b"undefined", b"false", b"{}", b"[]", b"key", b"jwt"),
            *(b"secret", b"Secret", b"secret1", b"secret123", b"secretkey", b"secret_key", b"mysecret", b"supersecret"),
            *(b"your-256-bit-secret", b"your_jwt_secret", b"jwt-secret", b"jwtsecret", b"password", b"changeme", b"test"),
            *(b"123456", b"12345678", b"admin", b"token", b"default", b"private", b"public", b"example", b"development"),
            b"a-string-secret-at-least-256-bits-long",
            b"09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
            b"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
            *(SECRET.encode()[:-1], SECRET.encode() + b" ", SECRET.encode() + b"\n", SECRET.upper().encode()),
            *(b64encode(SECRET.encode()), hashlib.sha256(SECRET.encode()).digest(), SECRET.encode()[::-1]),
        ]
    },
    # A public key as a secret (CVE-2016-5431, CVE-2022-29217, CVE-2024-33663)
    **{
        f"HMAC by the public key, spelling {number}, {alg}": given(by_public_key, number, alg)
        for number in range(9)
        for alg in ("HS256", "HS384", "HS512")
    },
    # A key that the token brings (CVE-2018-0114)
    "an embedded key": lambda _: of_attacker({"jwk": jwk(rsa_key("attacker"))}),
    "an embedded key of the trusted name": lambda kind: of_attacker(
        {"jwk": jwk(rsa_key("attacker")), "kid": (KINDS[kind] or ("k",))[0]}
    ),
    "an embedded private key": lambda _: of_attacker({"jwk": jwk(rsa_key("attacker"), d="AQ", use="sig")}),
    "an embedded P-256 key": lambda _: of_attacker({"jwk": jwk(ec_key(name="attacker"))}, ec_key(name="attacker"), "ES256"),
    "an embedded Ed25519 key": lambda _: of_attacker(
        {"jwk": jwk(ed25519_key("attacker"))}, ed25519_key("attacker"), "EdDSA"
    ),
    "an embedded secret": lambda _: by_hmac({"alg": "HS256", "jwk": {"kty": "oct", "k": b64(b"k" * 32)}}, b"k" * 32),
    "an embedded certificate": lambda _: of_attacker({"x5c": [b64encode(b"certificate").decode()]}),
    "a certificate's fingerprint": lambda _: of_attacker({"x5t": "abc", "x5t#S256": "abc"}),
    "the attacker's key by the trusted name": lambda kind: of_attacker({"kid": (KINDS[kind] or ("k",))[0]}),
    "the attacker's P-256 key": lambda _: of_attacker({}, ec_key(name="attacker"), "ES256"),
    "the attacker's Ed25519 key": lambda _: of_attacker({}, ed25519_key("attacker"), "EdDSA"),
    "no key": lambda _: of_attacker({"kid": "none"}),
    # A name of a key that is something else (CVE-2017-17405 and its kin), each with what it would lead to
    **{
        f"kid {kid!r}": given(lambda _, kid, key: by_hmac({"alg": "HS256", "kid": kid}, key), kid, key)
        for kid, key in {
            "/dev/null": b"",
            "../../../../../../../../dev/null": b"",
            "..\\..\\..\\..\\windows\\win.ini": b"; for 16-bit app support\r\n",
            "....//....//....//dev/null": b"",
            "%2e%2e%2f%2e%2e%2fdev%2fnull": b"",
            "/proc/sys/kernel/randomize_va_space": b"2\n",
            "file:///dev/null": b"",
            "/dev/null\0.pem": b"",
            "' UNION SELECT 'key": b"key",
            "x' UNION SELECT 'key' --": b"key",
            '" OR 1=1 --': b"1",
            "1; SELECT pg_sleep(5)": b"",
            "| sleep 5": b"",
            "; sleep 5 #": b"",
            "$(sleep 5)": b"",
            "`sleep 5`": b"",
            "{{7*7}}": b"49",
            "${jndi:ldap://127.0.0.1/a}": b"",
            "__proto__": b"",
            "constructor": b"",
            "0": b"",
            "*": b"",
            "": b"",
            "k" * 8_000: b"",
            "\ud800": b"",
        }.items()
    },
    # Extensions and nesting
    "b64 false": lambda kind: with_header(kind, b64=False, crit=["b64"]),
    "an unencoded payload": lambda _: (
        f"{b64(document({'alg': 'HS256', 'b64': False, 'crit': ['b64']}))}.{document(CLAIMS)!r}.x"
    ),
    "crit with an unknown name": lambda kind: with_header(kind, crit=["x"], x=1),
    "compressed claims": lambda _: by_hmac(
        {"alg": "HS256", "zip": "DEF"}, b"", payload=b64(zlib.compress(document(CLAIMS)))
    ),
    "a token within a token": lambda kind: by_hmac({"alg": "HS256", "cty": "JWT"}, b"", payload=b64(genuine(kind).encode())),
    # Another curve, another size
    "ES256 by a key of P-384": lambda _: _by_curve("P-384"),
    "ES256 by a key of P-521": lambda _: _by_curve("P-521"),
    "ES256 by a key of secp256k1": lambda _: _by_curve("secp256k1"),
}


def _by_curve(curve: str) -> str:
    """A token that says ES256 and is signed by a key of another curve, with the first 64 bytes of what that gives."""
    signing_input = f"{b64(document({'alg': 'ES256'}))}.{PAYLOAD}"
    der = ec_key(curve).sign(signing_input.encode(), ec.ECDSA(hashes.SHA256()))
    numbers = utils.decode_dss_signature(der)
    return f"{signing_input}.{b64(b''.join(number.to_bytes(66, 'big')[-32:] for number in numbers))}"


def test_a_genuine_token_gets_in(server_of: ServerOf) -> None:
    assert who_lets_in(server_of, genuine) == list(KINDS)


@pytest.mark.parametrize("name", ATTACKS)
def test_a_well_known_attack_does_not_get_in(server_of: ServerOf, name: str) -> None:
    assert who_lets_in(server_of, lambda kind: ATTACKS[name](kind).encode(errors="surrogateescape").decode("latin-1")) == []


# Addresses that a token names ----------------------------------------------------------------------------------------------


@pytest.fixture
def listener() -> Iterator[KeyServer]:
    """A key server of an attacker, which would verify the attacker's tokens if it were asked."""
    server = KeyServer()
    server.answer = {"keys": [jwk(rsa_key("attacker"), kid="attacker")]}
    yield server
    server.close()


@pytest.mark.parametrize("member", ["jku", "x5u", "iss", "kid", "url", "x5c"])
@pytest.mark.parametrize(
    "spelling",
    [
        "{origin}/jwks",
        "{origin}/.well-known/jwks.json",
        "//{host}/jwks",
        "http://trusted@{host}/jwks",
        "{origin}\\@trusted/",
    ],
)
def test_an_address_in_a_token_is_not_asked_for_anything(
    server_of: ServerOf, listener: KeyServer, member: str, spelling: str
) -> None:
    address = spelling.format(origin=listener.origin, host=listener.origin.partition("//")[2])
    claims = {**CLAIMS, "iss": address, "jku": address, "jwks_uri": address}
    header = {"kid": "attacker", member: address}
    token = jwt.encode(claims, rsa_key("attacker"), "RS256", header)
    assert who_lets_in(server_of, lambda _: token) == []
    assert listener.requests == []
