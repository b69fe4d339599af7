"""What an operator sets, and the problems that it gets when they are wrong."""

import asyncio
import dataclasses
import json
import os
import re
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jwt.algorithms import RSAAlgorithm

from handlers.jwks import JWKSServer
from handlers.keys import StaticKeys, secret_key
from handlers.rules import TokenRules
from handlers.tokens import Claims, TokenRefused, token_verifier
from server.settings import (
    DEFAULT_DATABASE_URL,
    PREFIX,
    SETTINGS,
    Settings,
    SettingsError,
    database_url_from,
    read_settings,
    secret_from,
)

SECRET = "a-secret-in-the-environment-that-is-long-enough"
WITH_SECRET = {"SESSIONS_JWT_SECRET": SECRET}
CLAIMS = {"sub": "u1", "exp": 4_102_444_800}
RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED25519 = ed25519.Ed25519PrivateKey.generate()


def pem(key: Any) -> bytes:
    encoded: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return encoded


def private_pem(key: Any) -> bytes:
    encoded: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return encoded


def problems(environment: Mapping[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as wrong:
        read_settings(environment)
    assert str(wrong.value) == "\n".join(wrong.value.problems)
    return list(wrong.value.problems)


def problem(**variables: str) -> str:
    """The one problem of an environment that is right apart from these variables."""
    (found,) = problems({**WITH_SECRET, **{PREFIX + name: value for name, value in variables.items()}})
    return found


def verify(settings: Settings, token: str) -> Claims:
    return asyncio.run(_verified(settings, token))


async def _verified(settings: Settings, token: str) -> Claims:
    return await token_verifier(settings.keys, settings.tokens)(token)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with key files of every kind, in which the test runs."""
    monkeypatch.chdir(tmp_path)
    for name, content in {
        "rsa.pem": pem(RSA),
        "ec.pem": pem(EC),
        "ed25519.pem": pem(ED25519),
        "private.pem": private_pem(EC),
        "garbage.pem": b"\0garbage",
        "jwks.json": json.dumps({"keys": [{**RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True), "kid": "a"}]}).encode(),
        "private.json": json.dumps({"keys": [RSAAlgorithm.to_jwk(RSA, as_dict=True)]}).encode(),
    }.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


# What is right -------------------------------------------------------------------------------------------------------------


def test_a_secret_alone_is_enough() -> None:
    settings = read_settings(WITH_SECRET)
    assert settings.database_url == DEFAULT_DATABASE_URL == "sqlite:///sessions.sqlite3"
    assert settings.tokens == TokenRules()
    assert settings.log_level == "info"
    assert verify(settings, jwt.encode(CLAIMS, SECRET, "HS256")).subject == "u1"


def test_everything_can_be_set() -> None:
    settings = read_settings(
        {
            "SESSIONS_DATABASE_URL": "sqlite:////var/lib/sessions.sqlite3",
            "SESSIONS_JWT_SECRET": f"  {SECRET}\n",
            "SESSIONS_JWT_ALGORITHMS": "HS256",
            "SESSIONS_JWT_ISSUER": "https://issuer.example/",
            "SESSIONS_JWT_AUDIENCE": "sessions-api, other",
            "SESSIONS_JWT_LEEWAY": "300",
            "SESSIONS_JWT_SCOPE_CLAIMS": "https://example.com/may , scope,",
            "SESSIONS_JWT_WORKSPACE_CLAIMS": "tenant",
            "SESSIONS_LOG_LEVEL": "Debug",
        }
    )
    assert settings.database_url == "sqlite:////var/lib/sessions.sqlite3"
    assert settings.tokens == TokenRules(
        issuer="https://issuer.example/",
        audiences=("sessions-api", "other"),
        leeway=300,
        scope_claims=("https://example.com/may", "scope"),
        workspace_claims=("tenant",),
    )
    assert settings.log_level == "debug"
    assert isinstance(settings.keys, StaticKeys)
    assert settings.keys.keys[0].material == SECRET.encode()


def test_other_variables_do_not_matter() -> None:
    others = ("PATH", "DATABASE_URL", "LOG_LEVEL", "JWT_SECRET", "MY_SESSIONS_JWT_SECRET", "sessions_x", "SESSION_MANAGER")
    read_settings({**WITH_SECRET, **dict.fromkeys(others, "x")})


@pytest.mark.parametrize(
    "name",
    [
        "SESSION_RATE_LIMIT",
        "sessions_rate_limit",
        "SESSIONS_rate_limit",
        "Sessions_Rate_Limit",
        "session_rate_limit",
        "SESIONS_RATE_LIMIT",
        "SESSSIONS_RATE_LIMIT",
        "SESSOINS_RATE_LIMIT",
        "SESSIONSRATE_LIMIT",
        "SESSIONS__RATE_LIMIT",
    ],
)
def test_a_name_that_is_nearly_that_of_a_setting_is_refused_with_the_right_one(name: str) -> None:
    assert problems({**WITH_SECRET, name: "1/day"}) == [f"{name} is not a setting; did you mean SESSIONS_RATE_LIMIT?"]


def test_what_kubernetes_says_of_a_service_named_sessions_does_not_matter() -> None:
    read_settings(
        {
            **WITH_SECRET,
            "SESSIONS_SERVICE_HOST": "10.0.0.11",
            "SESSIONS_SERVICE_PORT": "80",
            "SESSIONS_SERVICE_PORT_HTTP": "80",
            "SESSIONS_PORT": "tcp://10.0.0.11:80",
            "SESSIONS_PORT_80_TCP": "tcp://10.0.0.11:80",
            "SESSIONS_PORT_80_TCP_PROTO": "tcp",
            "SESSIONS_PORT_80_TCP_PORT": "80",
            "SESSIONS_PORT_80_TCP_ADDR": "10.0.0.11",
        }
    )


@pytest.mark.parametrize(
    "variables",
    [
        {"JWT_PUBLIC_KEYS": "rsa.pem"},
        {"JWT_PUBLIC_KEYS": " ed25519.pem , rsa.pem,ec.pem,"},
        {"JWT_PUBLIC_KEYS": "rsa.pem", "JWT_ALGORITHMS": "PS256,RS256"},
        {"JWKS": "jwks.json"},
    ],
)
@pytest.mark.usefixtures("folder")
def test_public_keys_come_from_files(variables: dict[str, str]) -> None:
    settings = read_settings({PREFIX + name: value for name, value in variables.items()})
    assert verify(settings, jwt.encode(CLAIMS, RSA, "RS256", {"kid": "a"})).subject == "u1"
    with pytest.raises(TokenRefused):
        verify(settings, jwt.encode(CLAIMS, SECRET, "HS256"))


@pytest.mark.usefixtures("folder")
def test_several_files_are_several_keys_for_a_rotation() -> None:
    settings = read_settings({"SESSIONS_JWT_PUBLIC_KEYS": "ed25519.pem,ec.pem"})
    assert verify(settings, jwt.encode(CLAIMS, EC, "ES256")).subject == "u1"
    assert verify(settings, jwt.encode(CLAIMS, ED25519, "EdDSA")).subject == "u1"
    with pytest.raises(TokenRefused):
        verify(settings, jwt.encode(CLAIMS, RSA, "RS256"))


@pytest.mark.parametrize("url", ["https://issuer.example/jwks.json", "http://127.0.0.1:9/jwks", "HTTPS://issuer.example/"])
def test_a_jwk_set_behind_a_url_is_not_asked_for_at_the_start(url: str) -> None:
    assert isinstance(read_settings({"SESSIONS_JWKS": url}).keys, JWKSServer)


def test_a_quarter_of_the_requests_that_are_answered_at_a_time_may_wait_for_a_jwk_set() -> None:
    for requests, waiting in (("1", 1), ("8", 2), ("1000", 250)):
        keys = read_settings({"SESSIONS_JWKS": "https://issuer.example", "SESSIONS_CONCURRENT_REQUESTS": requests}).keys
        assert isinstance(keys, JWKSServer)
        assert keys.max_waiting == waiting


@pytest.mark.usefixtures("folder")
def test_only_the_algorithms_that_are_named_are_accepted() -> None:
    settings = read_settings({"SESSIONS_JWT_PUBLIC_KEYS": "rsa.pem", "SESSIONS_JWT_ALGORITHMS": "PS256"})
    assert verify(settings, jwt.encode(CLAIMS, RSA, "PS256")).subject == "u1"
    with pytest.raises(TokenRefused):
        verify(settings, jwt.encode(CLAIMS, RSA, "RS256"))


def test_settings_are_read_from_the_process_environment_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SESSIONS_JWT_SECRET", SECRET)
    monkeypatch.setenv("SESSIONS_DATABASE_URL", "sqlite:///from-the-environment.sqlite3")
    assert read_settings().database_url == "sqlite:///from-the-environment.sqlite3"
    assert database_url_from() == "sqlite:///from-the-environment.sqlite3"
    assert secret_from()[0].material == SECRET.encode()


def test_every_setting_has_a_purpose() -> None:
    assert all(setting.purpose for setting in SETTINGS.values())


# What is wrong -------------------------------------------------------------------------------------------------------------


def test_without_keys_the_server_does_not_start() -> None:
    for environment in ({}, {"SESSIONS_JWT_SECRET": "", "SESSIONS_JWKS": " "}):
        (only,) = problems(environment)
        assert only == (
            "SESSIONS_JWT_SECRET is not set, nor is SESSIONS_JWT_PUBLIC_KEYS or SESSIONS_JWKS:"
            " one of them must say which keys to trust"
        )


WRONG_ALGORITHM = "JWT_ALGORITHMS must hold algorithms that these keys can have"
BAD_LEEWAYS = ("-1", "1.5", "301", "ten", "1m", "1e2", "٣", "9" * 5_000)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (
            {"JWT_SECRET": "short"},
            (
                "JWT_SECRET must be at least 32 bytes long for HS256; it has 5 (RFC 7518, section 3.2)."
                " Make one with: openssl rand -base64 48"
            ),
        ),
        (
            {"JWT_SECRET": "12345678901234567890123456789012"},
            "JWT_SECRET has too little entropy, so it can be guessed. Make one with: openssl rand -base64 48",
        ),
        (
            {"JWT_SECRET": pem(RSA).decode()},
            "JWT_SECRET is a certificate, or a key in PEM, SSH or JWK form, and not a secret",
        ),
        ({"JWKS": "https://issuer.example/"}, "JWT_SECRET is set beside SESSIONS_JWKS; keep one of them"),
        ({"JWT_PUBLIC_KEYS": "rsa.pem"}, "JWT_SECRET is set beside SESSIONS_JWT_PUBLIC_KEYS; keep one of them"),
        (
            {"JWT_PUBLIC_KEYS": "rsa.pem", "JWKS": "jwks.json"},
            "JWT_SECRET is set beside SESSIONS_JWT_PUBLIC_KEYS and SESSIONS_JWKS; keep one of them",
        ),
        (
            {"JWT_SECRET": "", "JWT_PUBLIC_KEYS": "rsa.pem", "JWKS": "jwks.json"},
            "JWT_PUBLIC_KEYS is set beside SESSIONS_JWKS; keep one of them",
        ),
        ({"JWT_SECRET": "", "JWT_PUBLIC_KEYS": ","}, "JWT_PUBLIC_KEYS must hold at least one name"),
        (
            {"JWT_SECRET": "", "JWT_PUBLIC_KEYS": "absent.pem"},
            "JWT_PUBLIC_KEYS names a file (number 1 of 1) that cannot be read: No such file or directory",
        ),
        (
            {"JWT_SECRET": "", "JWT_PUBLIC_KEYS": "garbage.pem"},
            "JWT_PUBLIC_KEYS names a file (number 1 of 1) that holds no public key in PEM (BEGIN PUBLIC KEY)",
        ),
        (
            {"JWT_SECRET": "", "JWT_PUBLIC_KEYS": "private.pem"},
            "JWT_PUBLIC_KEYS names a file (number 1 of 1) that holds a private key; this server needs the public one only",
        ),
        (
            {"JWT_SECRET": "", "JWT_PUBLIC_KEYS": "rsa.pem", "JWT_ALGORITHMS": "ES256"},
            (
                "JWT_PUBLIC_KEYS names a file (number 1 of 1) that holds a key that fits none of ES256"
                " (RSA needs 2048 bits or more, and not the structure of CVE-2017-15361;"
                " ECDSA needs the curve of the algorithm)"
            ),
        ),
        (
            {"JWT_SECRET": "", "JWKS": "absent.json"},
            "JWKS names a file (number 1 of 1) that cannot be read: No such file or directory",
        ),
        ({"JWT_SECRET": "", "JWKS": "rsa.pem"}, "JWKS names a file (number 1 of 1) that is not JSON"),
        (
            {"JWT_SECRET": "", "JWKS": "private.json"},
            "JWKS names a file (number 1 of 1) that holds a private or symmetric key; this server needs public ones only",
        ),
        (
            {"JWT_SECRET": "", "JWKS": "jwks.json", "JWT_ALGORITHMS": "EdDSA"},
            "JWKS names a file (number 1 of 1) that holds no key that fits EdDSA",
        ),
        (
            {"JWT_SECRET": "", "JWKS": "ftp://issuer.example/"},
            "JWKS is neither a file nor a URL such as https://issuer.example/jwks.json",
        ),
        (
            {"JWT_SECRET": "", "JWKS": "https://"},
            "JWKS is neither a file nor a URL such as https://issuer.example/jwks.json",
        ),
        (
            {"JWT_SECRET": "", "JWKS": "http://issuer.example/"},
            "JWKS must begin with https://: an attacker who can change the response could sign tokens",
        ),
        ({"JWT_ALGORITHMS": "RS256"}, f"{WRONG_ALGORITHM}: HS256, HS384, HS512"),
        (
            {"JWT_ALGORITHMS": "HS256,none"},
            f"{WRONG_ALGORITHM}: HS256, HS384, HS512",
        ),
        ({"JWT_ALGORITHMS": "hs256"}, f"{WRONG_ALGORITHM}: HS256, HS384, HS512"),
        (
            {"JWT_ALGORITHMS": "HS512"},
            (
                "JWT_SECRET must be at least 64 bytes long for HS512; it has 47 (RFC 7518, section 3.2)."
                " Make one with: openssl rand -base64 48"
            ),
        ),
        ({"JWT_AUDIENCE": ","}, "JWT_AUDIENCE must hold at least one name"),
        ({"JWT_ALGORITHMS": ","}, "JWT_ALGORITHMS must hold at least one name"),
        (
            {"JWT_SECRET": "", "JWKS": "jwks.json", "JWT_ALGORITHMS": "HS256,RS256"},
            (f"{WRONG_ALGORITHM}: ES256, ES384, ES512, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512"),
        ),
        ({"JWT_ISSUER": ""}, "JWT_ISSUER is empty; give it a value, or leave it out if tokens need none"),
        ({"JWT_AUDIENCE": "  "}, "JWT_AUDIENCE is empty; give it a value, or leave it out if tokens need none"),
        *(({"JWT_LEEWAY": text}, "JWT_LEEWAY must be a whole number of seconds from 0 to 300") for text in BAD_LEEWAYS),
        ({"JWT_SCOPE_CLAIMS": " , "}, "JWT_SCOPE_CLAIMS must hold at least one name"),
        ({"JWT_SCOPE_CLAIMS": 'a,"b"'}, "JWT_SCOPE_CLAIMS must hold names in ASCII without quotes or backslashes"),
        ({"JWT_WORKSPACE_CLAIMS": "مساحة"}, "JWT_WORKSPACE_CLAIMS must hold names in ASCII without quotes or backslashes"),
        ({"JWT_WORKSPACE_CLAIMS": "a\\b"}, "JWT_WORKSPACE_CLAIMS must hold names in ASCII without quotes or backslashes"),
        (
            {"JWT_WORKSPACE_CLAIMS": "a\r\nX: y"},
            "JWT_WORKSPACE_CLAIMS must hold names in ASCII without quotes or backslashes",
        ),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL must be debug, info, warning or error"),
        ({"JWT_SECRT": "x"}, "JWT_SECRT is not a setting; did you mean SESSIONS_JWT_SECRET?"),
        ({"JWT_PUBLIC_KEY": "x"}, "JWT_PUBLIC_KEY is not a setting; did you mean SESSIONS_JWT_PUBLIC_KEYS?"),
        ({"DB_URL": "x"}, "DB_URL is not a setting; did you mean SESSIONS_DATABASE_URL?"),
        ({"jwt_issuer": "x"}, "jwt_issuer is not a setting; did you mean SESSIONS_JWT_ISSUER?"),
        ({"COLOUR": "x"}, "COLOUR is not a setting"),
        ({"PORT": "8080"}, "PORT is not a setting"),
        ({"": "x"}, " is not a setting"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_problem_is_named_in_words_that_an_operator_can_act_on(variables: dict[str, str], expected: str) -> None:
    assert problem(**variables) == PREFIX + expected


@pytest.mark.usefixtures("folder")
def test_every_problem_is_named_at_once() -> None:
    environment = {
        "SESSIONS_DATABASE_URL": "sessions.sqlite3",
        "SESSIONS_JWT_PUBLIC_KEYS": "absent.pem,rsa.pem,private.pem,garbage.pem",
        "SESSIONS_JWT_ALGORITHMS": "HS256",
        "SESSIONS_JWT_ISSUER": "",
        "SESSIONS_JWT_LEEWAY": "soon",
        "SESSIONS_JWT_SCOPE_CLAIMS": ",",
        "SESSIONS_LOG_LEVEL": "loud",
        "SESSIONS_JWT_AUDIENSE": "x",
    }
    found = problems(environment)
    assert [text.split(" ")[0] for text in found] == [
        "SESSIONS_JWT_AUDIENSE",
        "SESSIONS_DATABASE_URL",
        "SESSIONS_JWT_ISSUER",
        "SESSIONS_JWT_LEEWAY",
        "SESSIONS_JWT_SCOPE_CLAIMS",
        "SESSIONS_LOG_LEVEL",
        "SESSIONS_JWT_ALGORITHMS",
        "SESSIONS_JWT_PUBLIC_KEYS",
        "SESSIONS_JWT_PUBLIC_KEYS",
        "SESSIONS_JWT_PUBLIC_KEYS",
    ]


@pytest.mark.usefixtures("folder")
def test_what_is_wrong_with_each_of_two_sources_is_named_too() -> None:
    found = problems({"SESSIONS_JWT_SECRET": "short", "SESSIONS_JWT_PUBLIC_KEYS": "absent.pem"})
    assert [text.split(" ")[1] for text in found] == ["is", "must", "names"]


# What is not shown ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "hunter2",
        "//user:hunter2@host/sessions",
        "oracle://user:hunter2@host/sessions",
        "postgresql://user:pa@hunter2:5432@host/sessions",
        "postgresql://user:pa@host:hunter2@host/sessions",
        "postgresql://user:pw@host:hunter2/sessions",
        "postgresql://user:hunter2@[::1/sessions",
        "sqlite+hunter://user:hunter2@/",
        "sqlite://user:hunter2@host/:memory:",
    ],
)
def test_a_database_url_that_cannot_be_used_is_not_repeated(url: str) -> None:
    for read in (read_settings, database_url_from, partial(database_url_from, writer=True)):
        with pytest.raises(SettingsError) as wrong:
            read({**WITH_SECRET, "SESSIONS_DATABASE_URL": url})
        assert wrong.value.problems[0].startswith("SESSIONS_DATABASE_URL ")
        assert "hunter2" not in "".join(traceback.format_exception(wrong.value))


@pytest.mark.parametrize(
    "variables",
    [
        {"JWT_SECRET": "hunter2"},
        {"JWT_SECRET": "hunter2" * 10},
        {"JWT_SECRET": '{"kty":"oct","k":"hunter2-and-some-more"}'},
        {"JWT_SECRET": "hunter2\udcff"},
        {"JWT_SECRET": "hunter2-hunter3-hunter4-hunter5-hunter6", "JWKS": "https://user:hunter2@issuer.example/"},
        {"JWKS": "https://user:hunter2@issuer.example/"},
        {"JWKS": "http://issuer.example/?key=hunter2"},
        {"JWKS": "https://issuer.example:hunter2/"},
        {"SECRET": "hunter2"},
        {"JWT_SECRET_KEY": "hunter2"},
    ],
)
def test_an_error_does_not_repeat_a_secret(variables: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as wrong:
        read_settings({PREFIX + name: value for name, value in variables.items()})
    shown = "".join(traceback.format_exception(wrong.value)) + repr(wrong.value)
    assert "hunter2" not in shown


def private_text() -> str:
    return private_pem(EC).decode()


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize(
    "value",
    [
        lambda: "hunter2",
        lambda: "hunter2-hunter3-hunter4-hunter5-hunter6",
        lambda: "hunter2,hunter2/x",
        lambda: f"https://user:hunter2@issuer.example/{private_text()}",
        private_text,
        lambda: private_text().replace("\n", ""),
        lambda: private_text().replace("\n", ","),
        lambda: json.dumps({"keys": [RSAAlgorithm.to_jwk(RSA, as_dict=True)]}),
        lambda: "x" * 100_000 + "hunter2",
    ],
)
@pytest.mark.usefixtures("folder")
def test_no_problem_repeats_the_value_of_a_setting(name: str, value: Callable[[], str]) -> None:
    written = value()
    try:
        read_settings({**(WITH_SECRET if name not in ("JWT_PUBLIC_KEYS", "JWKS") else {}), PREFIX + name: written})
    except SettingsError as wrong:
        shown = "".join(traceback.format_exception(wrong)) + repr(wrong)
        for secret in ("hunter2", *re.findall(r"[A-Za-z0-9+/_-]{20,}", written)):
            assert secret not in shown, name
        assert PREFIX + name in shown


@pytest.mark.parametrize("name", ["JWT_PUBLIC_KEYS", "JWKS"])
@pytest.mark.usefixtures("folder")
def test_a_key_in_the_place_of_a_file_is_refused(name: str) -> None:
    (found,) = problems({PREFIX + name: private_text()})
    assert found == f"{PREFIX}{name} holds a key; it must hold the name of a file with the key"


@pytest.mark.usefixtures("folder")
def test_of_several_files_the_one_that_is_not_there_is_named_by_its_number() -> None:
    (found,) = problems({"SESSIONS_JWT_PUBLIC_KEYS": "rsa.pem,absent.pem,ec.pem"})
    expected = "names a file (number 2 of 3) that cannot be read: No such file or directory"
    assert found == f"SESSIONS_JWT_PUBLIC_KEYS {expected}"


def test_the_length_of_a_secret_and_the_setting_decide_which_hashes_it_is_used_with() -> None:
    long = {"SESSIONS_JWT_SECRET": SECRET + SECRET[::-1]}
    for environment, algorithms in (
        (WITH_SECRET, {"HS256"}),
        (long, {"HS256", "HS384", "HS512"}),
        ({**long, "SESSIONS_JWT_ALGORITHMS": "HS512"}, {"HS512"}),
    ):
        assert secret_from(environment)[0].algorithms == algorithms


def test_settings_that_are_shown_show_no_secret() -> None:
    settings = read_settings({**WITH_SECRET, "SESSIONS_DATABASE_URL": "sqlite:///hunter2.sqlite3"})
    for shown in (repr(settings), str(settings), f"{settings}", repr(settings.keys), f"{vars(TokenRules)}"):
        assert SECRET not in shown
        assert "hunter2" not in shown
    assert repr(settings).startswith("Settings(tokens=TokenRules(")


def test_settings_cannot_be_changed() -> None:
    settings = read_settings(WITH_SECRET)
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.database_url = "x"  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.tokens.issuer = "x"  # type: ignore[misc]


# Parts of the settings -----------------------------------------------------------------------------------------------------


def test_a_command_that_needs_no_keys_reads_the_database_url_alone() -> None:
    assert database_url_from({}) == DEFAULT_DATABASE_URL
    assert database_url_from({}, writer=True) == DEFAULT_DATABASE_URL
    assert database_url_from({"SESSIONS_DATABASE_URL": "sqlite:///x.db"}, writer=True) == "sqlite:///x.db"
    two = {"SESSIONS_DATABASE_URL": "sqlite:///x.db", "SESSIONS_WRITER_DATABASE_URL": "sqlite:///y.db"}
    assert (database_url_from(two), database_url_from(two, writer=True)) == ("sqlite:///x.db", "sqlite:///y.db")
    assert database_url_from({"SESSIONS_DATABASE_URL": "sqlite:///x.db", "SESSIONS_JWT_SECRET": "short"}) == "sqlite:///x.db"


def test_a_misspelt_database_url_does_not_lead_to_the_default_database() -> None:
    with pytest.raises(SettingsError, match="SESSIONS_DATABSE_URL is not a setting; did you mean SESSIONS_DATABASE_URL"):
        database_url_from({"SESSIONS_DATABSE_URL": "sqlite:///x.db"})


def test_whoever_mints_tokens_gets_the_secret_and_the_rules() -> None:
    environment = {**WITH_SECRET, "SESSIONS_JWT_ISSUER": "me", "SESSIONS_JWT_AUDIENCE": "you"}
    assert secret_from(environment) == (secret_key(SECRET), TokenRules(issuer="me", audiences=("you",)))


@pytest.mark.parametrize("secret", [f" {SECRET}\n", "caffè-" + SECRET, "\udcff\udcfe-not-utf-8-" + SECRET])
def test_what_is_minted_with_the_secret_is_accepted_by_the_server(secret: str) -> None:
    environment = {"SESSIONS_JWT_SECRET": secret}
    token = jwt.encode(CLAIMS, secret_from(environment)[0].material, "HS256")
    assert verify(read_settings(environment), token).subject == "u1"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "SESSIONS_JWT_SECRET is not set; tokens can be minted from a secret only"),
        ({"SESSIONS_JWKS": "https://issuer.example/"}, "SESSIONS_JWT_SECRET is not set; tokens can be minted"),
        ({"SESSIONS_JWT_SECRET": "short"}, "SESSIONS_JWT_SECRET must be at least 32 bytes long for HS256"),
        ({**WITH_SECRET, "SESSIONS_JWKS": "https://issuer.example/"}, "SESSIONS_JWT_SECRET is set beside SESSIONS_JWKS"),
        ({**WITH_SECRET, "SESSIONS_JWT_ISSUER": ""}, "SESSIONS_JWT_ISSUER is empty"),
        ({**WITH_SECRET, "SESSIONS_JWT_ISUER": "me"}, "SESSIONS_JWT_ISUER is not a setting"),
    ],
)
def test_no_token_is_minted_that_the_server_would_refuse(environment: dict[str, str], expected: str) -> None:
    with pytest.raises(SettingsError) as wrong:
        secret_from(environment)
    (only,) = wrong.value.problems
    assert only.startswith(expected)


def test_tokens_can_be_minted_without_a_usable_database() -> None:
    assert secret_from({**WITH_SECRET, "SESSIONS_DATABASE_URL": "elsewhere"})[0].material == SECRET.encode()


# The file ------------------------------------------------------------------------------------------------------------------


def in_file(folder: Path, text: str, **variables: str) -> dict[str, str]:
    """An environment that names a file with this text, in the folder where the test runs."""
    (folder / "sessions.env").write_text(text, encoding="utf-8")
    return {"SESSIONS_SETTINGS": "sessions.env", **{PREFIX + name: value for name, value in variables.items()}}


def test_a_file_has_the_names_of_the_environment_with_quotes_and_comments(folder: Path) -> None:
    text = f"""
# Keys
SESSIONS_JWT_SECRET='{SECRET}'
export SESSIONS_JWT_ISSUER="https://issuer.example/#realm"   # as in its tokens
SESSIONS_JWT_AUDIENCE = one, two # and no more
SESSIONS_LOG_LEVEL=warning
OTHER=x
"""
    settings = read_settings(in_file(folder, text))
    assert settings.tokens == TokenRules(issuer="https://issuer.example/#realm", audiences=("one", "two"))
    assert settings.log_level == "warning"
    assert secret_from(in_file(folder, text))[0].material == SECRET.encode()


def test_the_environment_wins_over_the_file(folder: Path) -> None:
    text = f"SESSIONS_JWT_SECRET={SECRET}\nSESSIONS_DATABASE_URL=sqlite:///a.db\nSESSIONS_LOG_LEVEL=wrong\n"
    environment = in_file(folder, text, DATABASE_URL="sqlite:///b.db", LOG_LEVEL="debug")
    assert read_settings(environment).database_url == database_url_from(environment) == "sqlite:///b.db"


def test_a_problem_in_the_file_names_the_file_and_one_in_the_environment_does_not(folder: Path) -> None:
    text = "SESSIONS_JWT_SECRT=hunter2\nSESSIONS_JWT_LEEWAY=hunter2\nsession_log_level=x\n"
    assert problems(in_file(folder, text, GRACE_PERIOD="hunter2", JWT_SECRET=SECRET)) == [
        "sessions.env: SESSIONS_JWT_SECRT is not a setting; did you mean SESSIONS_JWT_SECRET?",
        "sessions.env: session_log_level is not a setting; did you mean SESSIONS_LOG_LEVEL?",
        "sessions.env: SESSIONS_JWT_LEEWAY must be a whole number of seconds from 0 to 300",
        "SESSIONS_GRACE_PERIOD must be a whole number of seconds from 1 to 3600",
    ]


@pytest.mark.parametrize("line", ["hunter2", "SESSIONS_JWT_SECRET", "SESSIONS_JWT_SECRET='hunter2", "NAME='a' hunter2"])
def test_a_line_that_is_no_setting_is_named_by_its_number(folder: Path, line: str) -> None:
    assert problems(in_file(folder, f"# one\n\n{line}\nSESSIONS_LOG_LEVEL=info\n", JWT_SECRET=SECRET)) == [
        "sessions.env: line 3 must be NAME=value"
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file or directory"), (b"SESSIONS_LOG_LEVEL=\xff", "it is not UTF-8")],
    ids=["absent", "not UTF-8"],
)
def test_a_file_that_cannot_be_read_is_the_only_problem(folder: Path, content: bytes | None, reason: str) -> None:
    if content is not None:
        (folder / "sessions.env").write_bytes(content)
    assert problems({"SESSIONS_SETTINGS": "sessions.env"}) == [
        f"SESSIONS_SETTINGS names a file that cannot be read: {reason}"
    ]
