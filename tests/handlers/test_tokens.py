"""Tokens: which are accepted, and the claims of those."""

import asyncio
import contextlib
import hashlib
import hmac
import json
import re
import time
import tracemalloc
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from handlers.keys import ASYMMETRIC, SYMMETRIC, Key, KeysUnavailable, StaticKeys, secret_key
from handlers.rules import TokenRules
from handlers.tokens import (
    MAX_CACHED_VERIFICATIONS,
    MAX_SUBJECT_LENGTH,
    MAX_TOKEN_LENGTH,
    Claims,
    TokenRefused,
    Verify,
    token_verifier,
)
from tests.conftest import WORKSPACE, ClientOf
from tests.signers import b64, document, ec_key, ed448_key, ed25519_key, rsa_key

SECRET = "an0ther-secret-of-the-tests-that-is-long-enough-for-HS512-which-wants-64-bytes"
SECRET_KEYS = StaticKeys((secret_key(SECRET),))
NOW = int(time.time())
VALID: dict[str, Any] = {"sub": "u1", "exp": 4_102_444_800, "scope": "sessions.view", "workspaces": ["w1"]}
RULES = TokenRules(leeway=0)
STRICT_RULES = TokenRules(issuer="https://issuer.example", audiences=("sessions-api",))

MALFORMED = "The token is malformed."
BAD_SIGNATURE = "The signature of the token is not valid."
BAD_KEY = "The token is signed with a key or an algorithm that this server does not accept."
NO_EXTENSION = "The token needs an extension (crit, b64) that this server does not have."
BAD_TYPE = "The token is of a type (typ) that is not meant for access."
EXPIRED = "The token has expired."
TOO_EARLY = "The token is not valid yet."
OTHER_ISSUER = "The token comes from another issuer (iss)."
OTHER_AUDIENCE = "The token is meant for another audience (aud)."
NO_AUDIENCE = "The token is meant for an audience (aud), and this server is configured with none."


def signed(header: Any, payload: Any, key: bytes = SECRET.encode()) -> str:
    """A token with any header and payload, under a correct HMAC, so that only its content can be refused."""
    signing_input = f"{b64(document(header))}.{b64(document(payload))}"
    return f"{signing_input}.{hs256(signing_input, key)}"


def hs256(signing_input: str, key: bytes = SECRET.encode()) -> str:
    return b64(hmac.digest(key, signing_input.encode(), hashlib.sha256))


HS256 = {"alg": "HS256", "typ": "JWT"}
TOKEN = signed(HS256, VALID)
HEADER, PAYLOAD, SIGNATURE = TOKEN.split(".")


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in VALID.items() if name not in names}


def verify(token: str, rules: TokenRules = RULES, keys: StaticKeys = SECRET_KEYS) -> Claims:
    return asyncio.run(_verified(token, rules, keys))


async def _verified(token: str, rules: TokenRules, keys: StaticKeys) -> Claims:
    return await token_verifier(keys, rules)(token)


def refusal(token: str, rules: TokenRules = RULES, keys: StaticKeys = SECRET_KEYS) -> str:
    """Why a token is refused, which every refusal also says in a challenge of RFC 6750."""
    with pytest.raises(TokenRefused) as refused:
        verify(token, rules, keys)
    detail = refused.value.detail
    assert re.fullmatch(r"[ !#-\[\]-~]+", detail)  # the characters of error_description
    assert refused.value.challenge == f'Bearer realm="sessions", error="invalid_token", error_description="{detail}"'
    return detail


# What a payload says -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "claims"),
    [
        (VALID, Claims("u1", frozenset({"sessions.view"}), frozenset({"w1"}))),
        (without("sub"), Claims(None, frozenset({"sessions.view"}), frozenset({"w1"}))),
        ({"exp": NOW + 3600}, Claims(None, frozenset(), frozenset())),
        ({**VALID, "exp": NOW + 3600.5}, Claims("u1", frozenset({"sessions.view"}), frozenset({"w1"}))),
        ({**VALID, "exp": 253402300799}, Claims("u1", frozenset({"sessions.view"}), frozenset({"w1"}))),
        ({**VALID, "nbf": NOW - 1, "iat": NOW - 1.5}, Claims("u1", frozenset({"sessions.view"}), frozenset({"w1"}))),
        ({**VALID, "nbf": 0, "iat": 0}, Claims("u1", frozenset({"sessions.view"}), frozenset({"w1"}))),
        ({**VALID, "iss": "anyone"}, Claims("u1", frozenset({"sessions.view"}), frozenset({"w1"}))),
        ({**VALID, "jti": "1", "azp": 5, "nonce": None}, Claims("u1", frozenset({"sessions.view"}), frozenset({"w1"}))),
        ({**VALID, "jti": "\U0001f600"}, Claims("u1", frozenset({"sessions.view"}), frozenset({"w1"}))),
        ({**VALID, "sub": "سارة"}, Claims("سارة", frozenset({"sessions.view"}), frozenset({"w1"}))),
        (
            {**VALID, "sub": "s" * MAX_SUBJECT_LENGTH},
            Claims("s" * MAX_SUBJECT_LENGTH, frozenset({"sessions.view"}), frozenset({"w1"})),
        ),
        ({**VALID, "scope": "a b  sessions.view"}, Claims("u1", frozenset({"a", "b", "sessions.view"}), frozenset({"w1"}))),
        ({**VALID, "scope": ""}, Claims("u1", frozenset(), frozenset({"w1"}))),
        ({**VALID, "scope": " "}, Claims("u1", frozenset(), frozenset({"w1"}))),
        ({**VALID, "scope": None}, Claims("u1", frozenset(), frozenset({"w1"}))),
        ({**VALID, "scope": ["a", "b c"]}, Claims("u1", frozenset({"a", "b c"}), frozenset({"w1"}))),
        ({**VALID, "scope": "a\tsessions.view"}, Claims("u1", frozenset({"a\tsessions.view"}), frozenset({"w1"}))),
        ({**VALID, "scope": "a", "scp": "b c"}, Claims("u1", frozenset({"a", "b", "c"}), frozenset({"w1"}))),
        (
            {**VALID, "scope": "a b", "scp": ["c"], "permissions": ["d", "a"]},
            Claims("u1", frozenset({"a", "b", "c", "d"}), frozenset({"w1"})),
        ),
        ({**VALID, "permissions": []}, Claims("u1", frozenset({"sessions.view"}), frozenset({"w1"}))),
        ({**VALID, "workspaces": []}, Claims("u1", frozenset({"sessions.view"}), frozenset())),
        ({**VALID, "workspaces": ["", "w2"]}, Claims("u1", frozenset({"sessions.view"}), frozenset({"w2"}))),
        ({**VALID, "workspaces": "w1 w2"}, Claims("u1", frozenset({"sessions.view"}), frozenset({"w1 w2"}))),
        ({**VALID, "workspaces": ["*"]}, Claims("u1", frozenset({"sessions.view"}), frozenset({"*"}))),
        ({**VALID, "workspaceId": "w2"}, Claims("u1", frozenset({"sessions.view"}), frozenset({"w1", "w2"}))),
        (
            {**without("workspaces"), "workspaceId": ["w2", "w3"]},
            Claims("u1", frozenset({"sessions.view"}), frozenset({"w2", "w3"})),
        ),
        ({**without("workspaces"), "workspaceId": ""}, Claims("u1", frozenset({"sessions.view"}), frozenset())),
    ],
)
def test_a_valid_token_has_a_subject_scopes_and_workspaces(payload: dict[str, Any], claims: Claims) -> None:
    assert verify(signed(HS256, payload)) == claims


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"exp": NOW - 1}, EXPIRED),
        ({"exp": 0}, EXPIRED),
        ({"exp": -1}, "The claim exp of the token is not a time."),
        ({"exp": NOW - 0.5}, EXPIRED),
        ({"exp": None}, "The claim exp of the token is not a time."),
        ({"exp": ""}, "The claim exp of the token is not a time."),
        ({"exp": "tomorrow"}, "The claim exp of the token is not a time."),
        ({"exp": []}, "The claim exp of the token is not a time."),
        ({"exp": {}}, "The claim exp of the token is not a time."),
        ({"exp": [NOW + 3600]}, "The claim exp of the token is not a time."),
        ({"exp": str(NOW + 3600)}, "The claim exp of the token is not a time."),
        ({"exp": f"{NOW + 3600}\n"}, "The claim exp of the token is not a time."),
        ({"exp": "９９９９９９９９９９"}, "The claim exp of the token is not a time."),
        ({"exp": True}, "The claim exp of the token is not a time."),
        ({"exp": 253402300800}, "The claim exp of the token is not a time."),
        ({"exp": 2**63}, "The claim exp of the token is not a time."),
        ({"exp": 1e308}, "The claim exp of the token is not a time."),
        ({"exp": 10**400}, MALFORMED),
        ({"exp": float("inf")}, MALFORMED),
        ({"exp": float("-inf")}, MALFORMED),
        ({"exp": float("nan")}, MALFORMED),
        ({"nbf": NOW + 3600}, TOO_EARLY),
        ({"nbf": NOW + 3599, "iat": NOW}, TOO_EARLY),
        ({"nbf": None}, "The claim nbf of the token is not a time."),
        ({"nbf": "soon"}, "The claim nbf of the token is not a time."),
        ({"nbf": "0"}, "The claim nbf of the token is not a time."),
        ({"nbf": True}, "The claim nbf of the token is not a time."),
        ({"nbf": False}, "The claim nbf of the token is not a time."),
        ({"nbf": -1}, "The claim nbf of the token is not a time."),
        ({"nbf": -1e308}, "The claim nbf of the token is not a time."),
        ({"nbf": 1e308}, "The claim nbf of the token is not a time."),
        ({"iat": NOW + 3600}, TOO_EARLY),
        ({"iat": "0"}, "The claim iat of the token is not a time."),
        ({"iat": False}, "The claim iat of the token is not a time."),
        ({"iat": None}, "The claim iat of the token is not a time."),
        ({"iat": -0.5}, "The claim iat of the token is not a time."),
        ({"iat": -(10**400)}, MALFORMED),
        ({"sub": ""}, "The claim sub of the token is not a name."),
        ({"sub": "u\0"}, "The claim sub of the token is not a name."),
        ({"sub": "u1\nadmin"}, "The claim sub of the token is not a name."),
        ({"sub": "\x7f"}, "The claim sub of the token is not a name."),
        ({"sub": "u\ud800"}, MALFORMED),
        ({"sub": "\udfff"}, MALFORMED),
        ({"scope": "sessions.view \ud800"}, MALFORMED),
        ({"workspaces": ["w1", "\udfff"]}, MALFORMED),
        ({"jti": "\ud83d"}, MALFORMED),
        ({"\udc00": 1}, MALFORMED),
        ({"nested": [{"a": "\ud800\ud800"}]}, MALFORMED),
        ({"sub": "s" * (MAX_SUBJECT_LENGTH + 1)}, "The claim sub of the token is not a name."),
        ({"sub": 5}, "The claim sub of the token is not a name."),
        ({"sub": None}, "The claim sub of the token is not a name."),
        ({"sub": ["u1"]}, "The claim sub of the token is not a name."),
        ({"sub": {"id": "u1"}}, "The claim sub of the token is not a name."),
        ({"aud": "sessions-api"}, NO_AUDIENCE),
        ({"aud": ["a", "b"]}, NO_AUDIENCE),
        ({"aud": ""}, NO_AUDIENCE),
        ({"aud": []}, NO_AUDIENCE),
        ({"aud": None}, NO_AUDIENCE),
        ({"aud": False}, NO_AUDIENCE),
        ({"aud": 0}, NO_AUDIENCE),
        ({"scope": 5}, "The claim scope of the token is neither a text nor an array of texts."),
        ({"scope": True}, "The claim scope of the token is neither a text nor an array of texts."),
        ({"scope": {"sessions.view": True}}, "The claim scope of the token is neither a text nor an array of texts."),
        ({"scope": ["sessions.view", 5]}, "The claim scope of the token is neither a text nor an array of texts."),
        ({"scope": [["sessions.view"]]}, "The claim scope of the token is neither a text nor an array of texts."),
        ({"scp": 1.5}, "The claim scp of the token is neither a text nor an array of texts."),
        ({"permissions": [None]}, "The claim permissions of the token is neither a text nor an array of texts."),
        ({"permissions": {}}, "The claim permissions of the token is neither a text nor an array of texts."),
        ({"workspaces": 5}, "The claim workspaces of the token is neither a text nor an array of texts."),
        ({"workspaces": True}, "The claim workspaces of the token is neither a text nor an array of texts."),
        ({"workspaces": {"w1": "read"}}, "The claim workspaces of the token is neither a text nor an array of texts."),
        ({"workspaces": ["w1", None]}, "The claim workspaces of the token is neither a text nor an array of texts."),
        ({"workspaceId": 507}, "The claim workspaceId of the token is neither a text nor an array of texts."),
    ],
)
def test_a_correctly_signed_token_with_a_bad_claim_is_refused(changes: dict[str, Any], detail: str) -> None:
    assert refusal(signed(HS256, {**VALID, **changes})) == detail


def test_a_token_that_never_expires_is_refused() -> None:
    assert refusal(signed(HS256, without("exp"))) == "The token lacks the claim exp."


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({}, None),
        ({"aud": ["other", "sessions-api"]}, None),
        ({"iss": "https://issuer.example/"}, OTHER_ISSUER),
        ({"iss": "https://issuer.exampl"}, OTHER_ISSUER),
        ({"iss": "HTTPS://issuer.example"}, OTHER_ISSUER),
        ({"iss": "https://issuer.example.evil"}, OTHER_ISSUER),
        ({"iss": ""}, OTHER_ISSUER),
        ({"iss": ["https://issuer.example"]}, OTHER_ISSUER),
        ({"iss": None}, OTHER_ISSUER),
        ({"aud": "sessions"}, OTHER_AUDIENCE),
        ({"aud": "sessions-api2"}, OTHER_AUDIENCE),
        ({"aud": "other sessions-api"}, OTHER_AUDIENCE),
        ({"aud": ["other"]}, OTHER_AUDIENCE),
        ({"aud": ["sessions-api", 5]}, "The claim aud of the token is neither a text nor an array of texts."),
        ({"aud": {"sessions-api": True}}, "The claim aud of the token is neither a text nor an array of texts."),
        ({"aud": []}, OTHER_AUDIENCE),
        ({"aud": ""}, OTHER_AUDIENCE),
        ({"aud": None}, OTHER_AUDIENCE),
    ],
)
def test_a_configured_issuer_and_audience_are_required_to_the_letter(changes: dict[str, Any], detail: str | None) -> None:
    token = signed(HS256, {**VALID, "iss": "https://issuer.example", "aud": "sessions-api", **changes})
    if detail is None:
        assert verify(token, STRICT_RULES).subject == "u1"
    else:
        assert refusal(token, STRICT_RULES) == detail


@pytest.mark.parametrize("missing", ["iss", "aud"])
def test_a_configured_issuer_and_audience_must_be_there(missing: str) -> None:
    claims = {**VALID, "iss": "https://issuer.example", "aud": "sessions-api"}
    del claims[missing]
    assert refusal(signed(HS256, claims), STRICT_RULES) == f"The token lacks the claim {missing}."


@pytest.mark.parametrize(
    ("claim", "from_now", "detail"),
    [
        ("exp", -30, None),
        ("exp", -120, EXPIRED),
        ("nbf", 30, None),
        ("nbf", 240, TOO_EARLY),
        ("iat", 30, None),
        ("iat", 240, TOO_EARLY),
    ],
)
def test_clocks_may_differ_by_the_leeway_and_no_more(claim: str, from_now: int, detail: str | None) -> None:
    token = signed(HS256, {**VALID, claim: int(time.time()) + from_now})
    if detail is None:
        assert verify(token, TokenRules(leeway=90)).subject == "u1"
        assert refusal(token) in (EXPIRED, TOO_EARLY)
    else:
        assert refusal(token, TokenRules(leeway=90)) == detail


@pytest.mark.parametrize(
    ("audience", "passes"),
    [("a", True), ("b", True), (["c", "b"], True), ("a,b", False), ("c", False), (["c"], False), ([], False), (None, False)],
)
def test_of_several_audiences_one_is_enough(audience: Any, passes: bool) -> None:  # noqa: FBT001 - a column of the table
    token = signed(HS256, {**VALID, "aud": audience})
    rules = TokenRules(audiences=("a", "b"))
    if passes:
        assert verify(token, rules).subject == "u1"
    else:
        refusal(token, rules)


@pytest.mark.parametrize(("claim", "from_now"), [("iat", 2), ("nbf", 20), ("exp", -20)])
def test_clocks_may_differ_by_half_a_minute_by_default(claim: str, from_now: int) -> None:
    assert verify(signed(HS256, {**VALID, claim: int(time.time()) + from_now}), TokenRules()).subject == "u1"
    assert refusal(signed(HS256, {**VALID, claim: int(time.time()) + 3 * from_now}), TokenRules(leeway=0)) in (
        EXPIRED,
        TOO_EARLY,
    )


@pytest.mark.parametrize(
    ("name", "claims", "found"),
    [
        ("realm_access.roles", {"realm_access": {"roles": ["r"]}}, {"r"}),
        ("app_metadata.workspaces", {"app_metadata": {"workspaces": "r"}}, {"r"}),
        ("a.b.c", {"a": {"b": {"c": ["r"]}}}, {"r"}),
        ("resource_access.my.client.roles", {"resource_access": {"my.client": {"roles": ["r"]}}}, {"r"}),
        ("https://example.com/roles", {"https://example.com/roles": ["r"]}, {"r"}),
        ("https://example.com/meta.roles", {"https://example.com/meta": {"roles": ["r"]}}, {"r"}),
        ("a.b", {"a.b": ["r"], "a": {"b": ["other"]}}, {"r"}),
        ("a.b.c", {"a.b": {"c": ["r"]}, "a": {"b": {"c": ["other"]}}}, {"r"}),
        ("a.b", {"a": {"c": ["r"]}}, set()),
        ("a.b", {"a": ["b"]}, set()),
        ("a.b", {"a": "b"}, set()),
        ("a.b", {"a": None}, set()),
        ("a.b", {"b": ["r"]}, set()),
        ("a.", {"a": {"": ["r"]}}, {"r"}),
        (".", {}, set()),
    ],
)
def test_a_claim_is_found_by_its_name_or_by_the_path_to_it(name: str, claims: dict[str, Any], found: set[str]) -> None:
    rules = TokenRules(scope_claims=(name,), workspace_claims=("none", name))
    assert verify(signed(HS256, {"exp": VALID["exp"], **claims}), rules) == Claims(None, frozenset(found), frozenset(found))


def test_a_claim_within_another_is_read_as_strictly_as_any() -> None:
    rules = TokenRules(scope_claims=("realm_access.roles",))
    assert refusal(signed(HS256, {**VALID, "realm_access": {"roles": {"r": True}}}), rules) == (
        "The claim realm_access.roles of the token is neither a text nor an array of texts."
    )


def test_claims_can_have_other_names() -> None:
    rules = TokenRules(scope_claims=("https://example.com/may",), workspace_claims=("tenants",))
    token = signed(HS256, {**VALID, "https://example.com/may": ["read"], "tenants": ["w7"]})
    assert verify(token, rules) == Claims("u1", frozenset({"read"}), frozenset({"w7"}))


# What a header says --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "HS256"},
        {"alg": "HS256", "typ": "JWT"},
        {"alg": "HS256", "typ": "jwt"},
        {"alg": "HS256", "typ": "at+jwt"},
        {"alg": "HS256", "typ": "AT+JWT"},
        {"alg": "HS256", "typ": "application/at+jwt"},
        {"alg": "HS256", "kid": ""},
        {"alg": "HS256", "kid": "k1", "cty": "x", "x5t": "abc", "custom": {"a": [1]}},
        {"alg": "HS256", "b64": True},
    ],
)
def test_a_header_of_an_access_token_is_accepted(header: dict[str, Any]) -> None:
    assert verify(signed(header, VALID)).subject == "u1"


@pytest.mark.parametrize(
    ("header", "detail"),
    [
        ({}, MALFORMED),
        ({"typ": "JWT"}, MALFORMED),
        ({"alg": None}, MALFORMED),
        ({"alg": 256}, MALFORMED),
        ({"alg": True}, MALFORMED),
        ({"alg": ["HS256"]}, MALFORMED),
        ({"alg": {"HS256": 1}}, MALFORMED),
        ({"alg": ""}, BAD_KEY),
        ({"alg": "hs256"}, BAD_KEY),
        ({"alg": "HS256 "}, BAD_KEY),
        ({"alg": "HS256\0"}, BAD_KEY),
        ({"alg": "HS384"}, BAD_SIGNATURE),
        ({"alg": "HS512"}, BAD_SIGNATURE),
        ({"alg": "HS1"}, BAD_KEY),
        ({"alg": "A256KW"}, BAD_KEY),
        ({"alg": "\ud800"}, MALFORMED),
        ({"alg": "HS256", "kid": "\ud800"}, MALFORMED),
        ({"ALG": "HS256"}, MALFORMED),
        ({"alg": "HS256", "typ": "JWS"}, BAD_TYPE),
        ({"alg": "HS256", "typ": "JWE"}, BAD_TYPE),
        ({"alg": "HS256", "typ": "id_token"}, BAD_TYPE),
        ({"alg": "HS256", "typ": "logout+jwt"}, BAD_TYPE),
        ({"alg": "HS256", "typ": "dpop+jwt"}, BAD_TYPE),
        ({"alg": "HS256", "typ": "secevent+jwt"}, BAD_TYPE),
        ({"alg": "HS256", "typ": " JWT"}, BAD_TYPE),
        ({"alg": "HS256", "typ": "application/application/jwt"}, BAD_TYPE),
        ({"alg": "HS256", "typ": ""}, BAD_TYPE),
        ({"alg": "HS256", "typ": None}, BAD_TYPE),
        ({"alg": "HS256", "typ": 1}, BAD_TYPE),
        ({"alg": "HS256", "typ": ["JWT"]}, BAD_TYPE),
        ({"alg": "HS256", "kid": None}, MALFORMED),
        ({"alg": "HS256", "kid": 1}, MALFORMED),
        ({"alg": "HS256", "kid": ["k1"]}, MALFORMED),
        ({"alg": "HS256", "kid": {"k1": 1}}, MALFORMED),
        *(
            (
                {"alg": "HS256", "crit": crit, "exp": 1, "b64": True},
                NO_EXTENSION,
            )
            for crit in (["exp"], ["b64"], ["unknown"], ["alg"], [], None, "exp", {"exp": 1}, [1], ["exp", "exp"])
        ),
    ],
)
def test_a_correctly_signed_token_with_a_bad_header_is_refused(header: dict[str, Any], detail: str) -> None:
    assert refusal(signed(header, VALID)) == detail


def test_a_detached_payload_is_refused() -> None:
    header = b64(document({**HS256, "b64": False, "crit": ["b64"]}))
    signature = b64(hmac.digest(SECRET.encode(), f"{header}.".encode() + document(VALID), hashlib.sha256))
    assert refusal(f"{header}..{signature}") == MALFORMED
    assert refusal(signed({**HS256, "b64": False}, VALID)) == NO_EXTENSION


# How the documents are written ---------------------------------------------------------------------------------------------

EXP = b"4102444800"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b"5",
        b'"text"',
        b"{",
        b"{}{}",
        b"{'exp':1}",
        b'{"exp":' + EXP + b",}",
        b'{"exp":0' + EXP + b"}",
        b'{"exp":NaN}',
        b'{"exp":' + EXP + b',"x":Infinity}',
        b'{"exp":' + EXP + b',"x":[-Infinity]}',
        b'{"exp":' + EXP + b',"sub":"a\nb"}',
        b'{"exp":' + EXP + b',"sub":"\xff"}',
        b'{"exp":' + EXP + b',"sub":"\xed\xa0\x80"}',
        b'{"exp":' + EXP + b',"sub":"\xc0\x80"}',
        b'\xef\xbb\xbf{"exp":' + EXP + b"}",
        json.dumps(VALID).encode("utf-16"),
        json.dumps(VALID).encode("utf-16-le"),
        json.dumps(VALID).encode("utf-32"),
        b'{"exp":1,"exp":' + EXP + b"}",
        b'{"exp":' + EXP + b',"e\\u0078p":' + EXP + b"}",
        b'{"exp":' + EXP + b',"workspaces":["w1"],"workspaces":["*"]}',
        b'{"exp":' + EXP + b',"x":{"a":1,"a":1}}',
        b'{"exp":' + b"9" * 5_000 + b"}",
    ],
)
def test_a_payload_that_two_readers_could_read_differently_is_refused(payload: bytes) -> None:
    assert refusal(signed(HS256, payload)) == MALFORMED


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"null",
        b'["HS256"]',
        b'"HS256"',
        b'{"alg":"none","alg":"HS256"}',
        b'{"alg":"HS256","alg":"HS256"}',
        b'{"alg":"HS256","x":{"a":1,"a":2}}',
        b'{"alg":"HS256","typ":"secevent+jwt","t\\u0079p":"JWT"}',
        b'{"alg":"HS256","x":NaN}',
        b'\xef\xbb\xbf{"alg":"HS256"}',
        '{"alg":"HS256"}'.encode("utf-16"),
    ],
)
def test_a_header_that_two_readers_could_read_differently_is_refused(header: bytes) -> None:
    assert refusal(signed(header, VALID)) == MALFORMED


@pytest.mark.parametrize("place", ["header", "payload"])
def test_deep_nesting_is_refused_without_a_crash(place: str) -> None:
    # How deep is too deep is the matter of the Python that runs.
    deep = b',"x":' + b"[" * 5_000 + b"]" * 5_000 + b"}"
    in_header, in_payload = signed(b'{"alg":"HS256"' + deep, VALID), signed(HS256, b'{"exp":' + EXP + deep)
    with contextlib.suppress(TokenRefused):
        assert verify(in_header if place == "header" else in_payload).scopes <= {"sessions.view"}


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "a.b.c.d",
        "null",
        "undefined",
        "eyJ.eyJ.eyJ",
        HEADER,
        f"{HEADER}.{PAYLOAD}",
        f"{HEADER}.{PAYLOAD}.",
        f".{PAYLOAD}.{SIGNATURE}",
        f"{HEADER}..{SIGNATURE}",
        f"{TOKEN}.",
        f".{TOKEN}",
        f"{TOKEN}.{SIGNATURE}",
        f"{TOKEN}=",
        f"{TOKEN}==",
        f"{TOKEN}\n",
        f" {TOKEN}",
        f"{TOKEN}\0",
        f'"{TOKEN}"',
        f"{HEADER}=.{PAYLOAD}.{SIGNATURE}",
        f"{HEADER}.{PAYLOAD}=.{SIGNATURE}",
        f"{HEADER}.{PAYLOAD}.{SIGNATURE[:-1]}%3D",
        f"{HEADER}.{PAYLOAD[:10]}\n{PAYLOAD[10:]}.{SIGNATURE}",
        f"{HEADER}.{PAYLOAD[:10]} {PAYLOAD[10:]}.{SIGNATURE}",
        f"{HEADER}.{PAYLOAD[:10]}!{PAYLOAD[10:]}.{SIGNATURE}",
        f"{HEADER}.{PAYLOAD}.{SIGNATURE[:-1]}+",
        f"{HEADER}.{PAYLOAD}.{SIGNATURE[:-1]}/",
        f"{HEADER}.{PAYLOAD}.{SIGNATURE}é",
        f"{HEADER}．{PAYLOAD}．{SIGNATURE}",
        f"{HEADER}.{PAYLOAD}.{SIGNATURE}AA",
        b64encode(TOKEN.encode()).decode(),
        json.dumps({"protected": HEADER, "payload": PAYLOAD, "signature": SIGNATURE}),
        json.dumps({"payload": PAYLOAD, "signatures": [{"protected": HEADER, "signature": SIGNATURE}]}),
        # RFC 7516, appendix A.1: a JWE has five parts.
        ".".join(map(b64, [b'{"alg":"RSA-OAEP","enc":"A256GCM"}', b"k" * 256, b"i" * 12, b"c" * 60, b"t" * 16])),
        ".".join(map(b64, [b'{"alg":"dir","enc":"A256GCM"}', b"", b"i" * 12, b"c" * 60, b"t" * 16])),
    ],
)
def test_what_is_not_the_compact_form_of_a_signed_token_is_refused(token: str) -> None:
    assert refusal(token) in (MALFORMED, BAD_SIGNATURE)


@pytest.mark.parametrize("segment", [0, 1, 2])
def test_only_one_spelling_of_each_segment_is_accepted(segment: int) -> None:
    # The last character of a segment can hold bits that decode to nothing (RFC 4648, section 3.5).
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    payload = document(VALID)
    segments = [b64(b'{"alg":"HS256","x":12}'), b64(payload + b" " * ((1 - len(payload)) % 3))]
    respelled = [*segments, hs256(".".join(segments))]
    assert verify(".".join(respelled)).subject == "u1"
    assert len(respelled[segment]) % 4
    respelled[segment] = respelled[segment][:-1] + alphabet[alphabet.index(respelled[segment][-1]) + 1]
    if segment < 2:
        respelled[2] = hs256(".".join(respelled[:2]))
    assert refusal(".".join(respelled)) == MALFORMED


def test_a_token_of_the_greatest_length_passes_and_a_longer_one_does_not() -> None:
    pads = [(x, y) for x in range(3) for y in range(12_115, 12_128)]  # not every length can be met by the payload alone
    tokens = [signed({**HS256, "pad": "x" * x}, {**VALID, "pad": "y" * y}) for x, y in pads]
    assert {len(token) - MAX_TOKEN_LENGTH for token in tokens} >= {-1, 0, 1}
    for token in tokens:
        if len(token) <= MAX_TOKEN_LENGTH:
            assert verify(token).subject == "u1"
        else:
            assert refusal(token) == f"The token is longer than {MAX_TOKEN_LENGTH} characters."


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(
    header=st.dictionaries(st.sampled_from(["typ", "kid", "crit", "b64", "jku", "jwk", "x5c", "zip"]), JSON),
    payload=st.dictionaries(
        st.sampled_from(["exp", "nbf", "iat", "sub", "iss", "aud", "jti", "scope", "scp", "workspaces", "workspaceId"]), JSON
    ),
)
def test_any_signed_token_is_accepted_or_refused(header: dict[str, Any], payload: dict[str, Any]) -> None:
    try:
        assert isinstance(verify(signed({**HS256, **header}, {**VALID, **payload})), Claims)
    except TokenRefused as refused:
        refused.challenge.encode("ascii")


@given(st.text() | st.text("abcXYZ019-_.=") | st.binary().map(lambda data: f"{HEADER}.{b64(data)}.{SIGNATURE}"))
def test_a_text_that_is_not_a_token_is_refused(token: str) -> None:
    refusal(token)


# Who signed ----------------------------------------------------------------------------------------------------------------


SIGNERS: dict[str, Callable[[], Any]] = {
    "secret": lambda: SECRET,
    "RSA": rsa_key,
    "P-256": ec_key,
    "P-384": lambda: ec_key("P-384"),
    "P-521": lambda: ec_key("P-521"),
    "Ed25519": ed25519_key,
    "Ed448": ed448_key,
}
FITTING = {
    "secret": {"HS256", "HS384", "HS512"},
    "RSA": {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"},
    "P-256": {"ES256"},
    "P-384": {"ES384"},
    "P-521": {"ES512"},
    "Ed25519": {"EdDSA"},
    "Ed448": {"EdDSA"},
}
SIGNED_BY = [(signer, algorithm) for signer, algorithms in FITTING.items() for algorithm in sorted(algorithms)]


def server_keys(signer: str, algorithms: set[str] | None = None) -> StaticKeys:
    """What a server that trusts this signer is configured with."""
    if signer == "secret":
        return SECRET_KEYS
    return StaticKeys((Key(SIGNERS[signer]().public_key(), frozenset(algorithms or FITTING[signer])),))


@pytest.mark.parametrize("trusted", SIGNERS)
@pytest.mark.parametrize(("signer", "algorithm"), SIGNED_BY)
def test_a_token_passes_if_its_signer_is_the_trusted_one(trusted: str, signer: str, algorithm: str) -> None:
    token = jwt.encode(VALID, SIGNERS[signer](), algorithm)
    if signer == trusted:
        assert verify(token, keys=server_keys(trusted)).subject == "u1"
    else:
        both_edwards = {signer, trusted} == {"Ed25519", "Ed448"}
        assert refusal(token, keys=server_keys(trusted)) == (BAD_SIGNATURE if both_edwards else BAD_KEY)


@pytest.mark.parametrize("algorithm", [*SYMMETRIC, *ASYMMETRIC])
@pytest.mark.parametrize("trusted", SIGNERS)
def test_an_algorithm_that_a_token_only_claims_is_refused(trusted: str, algorithm: str) -> None:
    genuine = jwt.encode(VALID, SIGNERS[trusted](), min(FITTING[trusted]))
    renamed = f"{b64(document({'alg': algorithm}))}.{genuine.partition('.')[2]}"
    expected = BAD_SIGNATURE if algorithm in FITTING[trusted] else BAD_KEY
    assert refusal(renamed, keys=server_keys(trusted)) == expected


@pytest.mark.parametrize(("configured", "used"), [("RS256", "PS256"), ("PS256", "RS256")])
def test_a_key_is_used_with_the_configured_algorithm_only(configured: str, used: str) -> None:
    keys = server_keys("RSA", {configured})
    assert verify(jwt.encode(VALID, rsa_key(), configured), keys=keys).subject == "u1"
    assert refusal(jwt.encode(VALID, rsa_key(), used), keys=keys) == BAD_KEY


def test_a_secret_that_is_too_short_for_a_hash_verifies_nothing_by_it() -> None:
    short = SECRET[:40]
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        tokens = {algorithm: jwt.encode(VALID, short, algorithm) for algorithm in SYMMETRIC}
    keys = StaticKeys((secret_key(short),))
    assert verify(tokens["HS256"], keys=keys).subject == "u1"
    assert refusal(tokens["HS384"], keys=keys) == refusal(tokens["HS512"], keys=keys) == BAD_KEY


@pytest.mark.parametrize(("algorithm", "curve"), [("ES256", "P-384"), ("ES384", "P-521"), ("ES512", "P-256")])
def test_an_algorithm_of_another_curve_verifies_nothing_even_if_the_key_got_in(algorithm: str, curve: str) -> None:
    own = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}[algorithm]
    keys = StaticKeys((Key(ec_key(curve).public_key(), frozenset(ASYMMETRIC)),))
    assert refusal(jwt.encode(VALID, ec_key(own), algorithm), keys=keys) == BAD_SIGNATURE


def test_a_key_that_is_too_short_verifies_nothing_even_if_it_got_in() -> None:
    short = rsa_key(bits=1024)
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        token = jwt.encode(VALID, short, "RS256")
    assert refusal(token, keys=StaticKeys((Key(short.public_key(), frozenset({"RS256"})),))) == BAD_SIGNATURE


def test_during_a_rotation_tokens_of_the_old_and_of_the_new_key_pass() -> None:
    old, new = rsa_key("old"), rsa_key("new")
    keys = StaticKeys(tuple(Key(key.public_key(), frozenset({"RS256"})) for key in (old, new)))
    assert verify(jwt.encode(VALID, old, "RS256"), keys=keys).subject == "u1"
    assert verify(jwt.encode(VALID, new, "RS256"), keys=keys).subject == "u1"
    assert refusal(jwt.encode(VALID, rsa_key(), "RS256"), keys=keys) == BAD_SIGNATURE


def test_an_expired_token_of_the_second_key_is_refused_as_expired() -> None:
    keys = StaticKeys(tuple(Key(key.public_key(), frozenset({"RS256"})) for key in (rsa_key("old"), rsa_key("new"))))
    assert refusal(jwt.encode({**VALID, "exp": NOW - 60}, rsa_key("new"), "RS256"), keys=keys) == EXPIRED


def test_a_refusal_of_a_forged_token_says_nothing_of_its_claims() -> None:
    assert refusal(signed(HS256, {"exp": 1, "aud": "x"}, key=b"another secret of thirty-two bytes")) == BAD_SIGNATURE


@pytest.mark.parametrize("trusted", SIGNERS)
@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "none ", " none", "none\0", "ｎｏｎｅ", "nоne"])
def test_an_unsigned_token_is_refused_however_it_spells_none(trusted: str, alg: str) -> None:
    unsigned = f"{b64(document({'alg': alg}))}.{PAYLOAD}"
    assert refusal(f"{unsigned}.", keys=server_keys(trusted)) == MALFORMED
    assert refusal(f"{unsigned}.{SIGNATURE}", keys=server_keys(trusted)) == BAD_KEY


def public_spellings(key: Any) -> list[bytes]:
    """A public key in every form in which a server might hold it, and an attacker sign with it as if it were a secret."""
    public = key.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return [pem, pem.strip(), pem + b"\n", pem.replace(b"\n", b"\r\n"), b64encode(der), der, repr(public).encode(), b""]


@pytest.mark.parametrize("trusted", ["RSA", "P-256", "Ed25519", "Ed448"])
def test_a_public_key_does_not_pass_as_a_secret(trusted: str) -> None:
    for spelling in public_spellings(SIGNERS[trusted]()):
        assert refusal(signed(HS256, VALID, key=spelling), keys=server_keys(trusted)) == BAD_KEY


@pytest.mark.parametrize("secret", [b"", b"\0", b"secret", b"None", b"null", SECRET.encode()[:-1], SECRET.encode() + b" "])
def test_another_secret_does_not_pass(secret: bytes) -> None:
    assert refusal(signed(HS256, VALID, key=secret)) == BAD_SIGNATURE


@pytest.mark.parametrize(
    ("kid", "secret"),
    [
        ("/dev/null", b""),
        ("../../../../../../dev/null", b""),
        ("../../proc/sys/kernel/randomize_va_space", b"2\n"),
        ("x' UNION SELECT 'AA'; --", b"AA"),
        ("| /bin/true", b""),
        ("file:///etc/hostname", b"localhost\n"),
        ("key\0.pem", b""),
        ("k" * 5_000, b""),
    ],
)
def test_a_key_id_names_no_file_and_no_row(kid: str, secret: bytes) -> None:
    header = {**HS256, "kid": kid}
    assert refusal(signed(header, VALID, key=secret)) == BAD_SIGNATURE
    assert verify(signed(header, VALID)).subject == "u1"  # a secret has no name, so that of the token does not matter


@pytest.mark.parametrize(("signer", "algorithm"), SIGNED_BY)
def test_a_signature_that_was_tampered_with_is_refused(signer: str, algorithm: str) -> None:
    signing_input, _, signature = jwt.encode(VALID, SIGNERS[signer](), algorithm).rpartition(".")
    genuine = jwt.utils.base64url_decode(signature)
    keys = server_keys(signer)
    assert verify(f"{signing_input}.{b64(genuine)}", keys=keys).subject == "u1"
    tampered = [
        b"\0" * len(genuine),  # for ECDSA, r = s = 0: CVE-2022-21449
        b"\xff" * len(genuine),
        genuine[:-1],
        genuine[1:],
        genuine + b"\0",
        b"\0" + genuine,
        genuine[::-1],
        genuine * 2,
        bytes([genuine[0] ^ 1]) + genuine[1:],
        genuine[:-1] + bytes([genuine[-1] ^ 1]),
        b"\0",
    ]
    for bad in tampered:
        assert refusal(f"{signing_input}.{b64(bad)}", keys=keys) == BAD_SIGNATURE
    assert refusal(f"{signing_input}.", keys=keys) == MALFORMED
    assert refusal(signing_input, keys=keys) == MALFORMED


def test_an_ecdsa_signature_in_der_is_refused() -> None:
    # RFC 7518, section 3.4: the two numbers side by side, and nothing around them.
    signing_input = f"{b64(document({'alg': 'ES256'}))}.{PAYLOAD}"
    der = ec_key().sign(signing_input.encode(), ec.ECDSA(hashes.SHA256()))
    assert refusal(f"{signing_input}.{b64(der)}", keys=server_keys("P-256")) == BAD_SIGNATURE


def test_the_signature_of_one_token_does_not_fit_another() -> None:
    other = signed(HS256, {**VALID, "workspaces": ["*"]})
    assert refusal(f"{other.rpartition('.')[0]}.{SIGNATURE}") == BAD_SIGNATURE
    assert refusal(f"{b64(document({**HS256, 'kid': 'x'}))}.{PAYLOAD}.{SIGNATURE}") == BAD_SIGNATURE


# A token that comes again --------------------------------------------------------------------------------------------------


class ChangingKeys:
    """Keys that can be taken away and put back, as a JWK set's are."""

    def __init__(self, *keys: Key) -> None:
        self.keys = keys
        self.unavailable = False

    async def candidates(self, header: Mapping[str, Any]) -> Sequence[Key]:
        if self.unavailable:
            raise KeysUnavailable("the key server is down")
        return await StaticKeys(self.keys).candidates(header)


U1 = Claims("u1", frozenset({"sessions.view"}), frozenset({"w1"}))
SetClock: TypeAlias = Callable[[float], None]


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> SetClock:
    """Set the clock that tokens are verified by."""

    def set_to(moment: float) -> None:
        monkeypatch.setattr("handlers.tokens.time", lambda: moment)

    return set_to


def outcome_of(verify: Verify, token: str) -> Claims | str:
    try:
        return asyncio.run(_awaited(verify, token))
    except TokenRefused as refused:
        return refused.detail


async def _awaited(verify: Verify, token: str) -> Claims:
    return await verify(token)


@pytest.mark.parametrize("leeway", [0, 60])
def test_a_token_that_passed_is_refused_from_the_second_on_in_which_it_expires(set_clock: SetClock, leeway: int) -> None:
    verify = token_verifier(SECRET_KEYS, TokenRules(leeway=leeway))
    token = signed(HS256, {**VALID, "exp": 2_000_000_000.5})
    for moment in (1_999_999_000, 1_999_999_999.9 + leeway):
        set_clock(moment)
        assert isinstance(outcome_of(verify, token), Claims)
    for moment in (2_000_000_000 + leeway, 3_000_000_000):
        set_clock(moment)
        assert outcome_of(verify, token) == EXPIRED


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_a_token_that_passed_is_refused_when_the_clock_is_set_back_before_its_time(set_clock: SetClock, claim: str) -> None:
    verify = token_verifier(SECRET_KEYS, TokenRules(leeway=10))
    token = signed(HS256, {**VALID, claim: 2_000_000_000})
    for moment, passes in [(1_999_999_990, True), (1_999_999_989, False), (1_999_999_995, True), (1_000_000_000, False)]:
        set_clock(moment)
        assert outcome_of(verify, token) == (U1 if passes else TOO_EARLY)


def test_a_token_that_passed_is_refused_once_its_key_is_gone_and_passes_when_it_is_back() -> None:
    old, new = (Key(rsa_key(name).public_key(), frozenset({"RS256"}), name) for name in ("old", "new"))
    keys = ChangingKeys(old, new)
    verify = token_verifier(keys, RULES)
    token = jwt.encode(VALID, rsa_key("old"), "RS256", {"kid": "old"})
    for held, passes in [((old, new), True), ((new,), False), ((), False), ((new, old), True)]:
        keys.keys = held
        assert outcome_of(verify, token) == (U1 if passes else BAD_KEY)


def test_a_token_that_passed_is_verified_again_when_another_key_has_taken_the_name_of_its_own() -> None:
    keys = ChangingKeys(Key(rsa_key("old").public_key(), frozenset({"RS256"}), "k1"))
    verify = token_verifier(keys, RULES)
    token = jwt.encode(VALID, rsa_key("old"), "RS256", {"kid": "k1"})
    assert outcome_of(verify, token) == U1
    keys.keys = (Key(rsa_key("new").public_key(), frozenset({"RS256"}), "k1"),)
    assert outcome_of(verify, token) == BAD_SIGNATURE


def test_a_token_that_passed_is_refused_when_its_key_may_no_longer_be_used_with_its_algorithm() -> None:
    keys = ChangingKeys(Key(rsa_key().public_key(), frozenset({"RS256", "PS256"})))
    verify = token_verifier(keys, RULES)
    token = jwt.encode(VALID, rsa_key(), "RS256")
    assert outcome_of(verify, token) == U1
    keys.keys = (Key(rsa_key().public_key(), frozenset({"PS256"})),)
    assert outcome_of(verify, token) == BAD_KEY


def test_a_token_that_passed_cannot_be_verified_while_the_keys_are_unavailable() -> None:
    keys = ChangingKeys(*SECRET_KEYS.keys)
    verify = token_verifier(keys, RULES)
    assert outcome_of(verify, TOKEN) == U1
    keys.unavailable = True
    with pytest.raises(KeysUnavailable):
        outcome_of(verify, TOKEN)


def test_a_refusal_is_not_cached(set_clock: SetClock) -> None:
    verify = token_verifier(SECRET_KEYS, RULES)
    token = signed(HS256, {**VALID, "nbf": 2_000_000_000})
    set_clock(1_999_999_999)
    assert outcome_of(verify, token) == TOO_EARLY
    set_clock(2_000_000_000)
    assert outcome_of(verify, token) == U1


@pytest.mark.parametrize("forged", [TOKEN[:-1] + "A", TOKEN + "A", TOKEN.swapcase(), TOKEN[:-8]])
def test_a_token_that_resembles_one_that_passed_is_refused(forged: str) -> None:
    verify = token_verifier(SECRET_KEYS, RULES)
    assert outcome_of(verify, TOKEN) == U1
    assert outcome_of(verify, forged) in (BAD_SIGNATURE, MALFORMED)


def test_two_verifiers_share_no_cached_verifications() -> None:
    assert outcome_of(token_verifier(SECRET_KEYS, RULES), TOKEN) == U1
    assert outcome_of(token_verifier(SECRET_KEYS, STRICT_RULES), TOKEN) == "The token lacks the claim iss."


def test_more_tokens_than_the_cache_holds_each_get_their_own_claims() -> None:
    verify = token_verifier(SECRET_KEYS, RULES)
    tokens = {f"u{number}": signed(HS256, {**VALID, "sub": f"u{number}"}) for number in range(MAX_CACHED_VERIFICATIONS + 50)}

    async def subjects() -> list[str | None]:
        return [(await verify(token)).subject for _ in range(2) for token in tokens.values()]

    assert asyncio.run(subjects()) == [*tokens, *tokens]


def test_the_cache_of_verifications_is_bounded() -> None:
    verify = token_verifier(SECRET_KEYS, RULES)

    async def growth(first: int, count: int) -> int:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(first, first + count):
            await verify(signed(HS256, {**VALID, "jti": str(number)}))
            await verify(signed(HS256, {**VALID, "jti": "x" * 5_000 + str(number)}))  # longer than what is remembered
        return tracemalloc.get_traced_memory()[0] - before

    tracemalloc.start()
    try:
        filling = asyncio.run(growth(0, MAX_CACHED_VERIFICATIONS))
        assert asyncio.run(growth(MAX_CACHED_VERIFICATIONS, MAX_CACHED_VERIFICATIONS)) < filling / 4
        assert filling < MAX_CACHED_VERIFICATIONS * 4_096
    finally:
        tracemalloc.stop()


def test_claims_are_immutable() -> None:
    claims = verify(TOKEN)
    with pytest.raises(AttributeError):
        claims.workspaces = frozenset({"*"})  # type: ignore[misc]


@pytest.mark.parametrize("header", [{"alg": ["HS256"]}, {"alg": {}}, {"alg": None}, {}])
def test_a_hostile_header_is_a_401_and_never_a_500(client_of: ClientOf, database_url: str, header: dict[str, Any]) -> None:
    response = client_of(database_url).get(
        f"/v1/workspace/{WORKSPACE}/sessions", headers={"Authorization": f"Bearer {signed(header, VALID)}"}
    )
    assert response.status_code == 401
