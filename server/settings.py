"""What an operator can set: environment variables that begin with SESSIONS_, read once."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

from db.engine import async_url
from handlers.keys import (
    ASYMMETRIC,
    SYMMETRIC,
    JWKSServer,
    Key,
    KeySource,
    StaticKeys,
    jwks_file,
    public_key,
    secret_key,
)
from handlers.security import TokenRules

PREFIX = "SESSIONS_"
DEFAULT_DATABASE_URL = "sqlite:///sessions.sqlite3"
_LONGEST_LEEWAY = 300

T = TypeVar("T")


class SettingsError(Exception):
    """Settings are missing or wrong. `problems` names each, in words that an operator can act on."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set. Secrets are left out when it is shown."""

    keys: KeySource = field(repr=False)
    database_url: str = field(default=DEFAULT_DATABASE_URL, repr=False)
    tokens: TokenRules = field(default_factory=TokenRules)
    log_level: str = "info"


VARIABLES: Mapping[str, str] = {
    "DATABASE_URL": f"where the sessions are (default: {DEFAULT_DATABASE_URL})",
    "JWT_SECRET": "secret of at least 32 bytes that HS256 tokens are signed with",
    "JWT_PUBLIC_KEYS": "PEM files with public keys, separated by commas",
    "JWKS": "file or URL of a JWK set",
    "JWT_ALGORITHMS": "accepted algorithms, separated by commas (default: all that fit the keys)",
    "JWT_ISSUER": "required iss of tokens (default: any)",
    "JWT_AUDIENCE": "required aud of tokens (default: tokens must have none)",
    "JWT_LEEWAY": "seconds by which clocks may differ (default: 0)",
    "JWT_SCOPE_CLAIMS": "claims that hold permissions (default: scope,scp,permissions)",
    "JWT_WORKSPACE_CLAIMS": "claims that hold workspaces (default: workspaceId,workspaces)",
    "LOG_LEVEL": "debug, info, warning or error (default: info)",
}
"""Every setting, without the prefix, and what it is for."""


class _Reader:
    """Reads variables one by one and collects what is wrong with them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.problems: list[str] = []

    def text(self, name: str) -> str | None:
        return self._environment.get(PREFIX + name, "").strip() or None

    def parsed(self, name: str, parse: Callable[[str], T], default: T) -> T:
        text = self.text(name)
        if text is None:
            return default
        try:
            return parse(text)
        except ValueError as error:
            self.problem(name, str(error))
            return default

    def problem(self, name: str, what: str) -> None:
        self.problems.append(f"{PREFIX}{name} {what}")

    def unknown(self) -> None:
        for name in sorted(self._environment):
            if name.startswith(PREFIX) and name.removeprefix(PREFIX) not in VARIABLES:
                near = get_close_matches(name.removeprefix(PREFIX), VARIABLES, n=1)
                hint = f"; did you mean {PREFIX}{near[0]}?" if near else ""
                self.problem(name.removeprefix(PREFIX), f"is not a setting{hint}")


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from environment variables.

    Raises:
        SettingsError: naming everything that is missing or wrong.
    """
    reader = _Reader(environment)
    reader.unknown()
    defaults = TokenRules()
    tokens = TokenRules(
        issuer=reader.text("JWT_ISSUER"),
        audience=reader.text("JWT_AUDIENCE"),
        leeway=reader.parsed("JWT_LEEWAY", _leeway, defaults.leeway),
        scope_claims=reader.parsed("JWT_SCOPE_CLAIMS", _names, defaults.scope_claims),
        workspace_claims=reader.parsed("JWT_WORKSPACE_CLAIMS", _names, defaults.workspace_claims),
    )
    database_url = _read_database_url(reader)
    log_level = reader.parsed("LOG_LEVEL", _log_level, "info")
    keys = _read_keys(reader)
    if reader.problems or keys is None:
        raise SettingsError(reader.problems)
    return Settings(keys, database_url, tokens, log_level)


def database_url_from(environment: Mapping[str, str] = os.environ) -> str:
    """The database's URL alone, for commands that need no keys.

    Raises:
        SettingsError: when it is not usable.
    """
    reader = _Reader(environment)
    url = _read_database_url(reader)
    if reader.problems:
        raise SettingsError(reader.problems)
    return url


def secret_from(environment: Mapping[str, str] = os.environ) -> tuple[bytes, TokenRules]:
    """The secret that tokens are signed with, and the rules they must follow, for the command that mints tokens.

    Raises:
        SettingsError: when there is no secret: tokens are then issued by whoever holds the private key.
    """
    if not environment.get(PREFIX + "JWT_SECRET", "").strip():
        raise SettingsError([f"{PREFIX}JWT_SECRET is not set; tokens can be minted from an HS256 secret only"])
    settings = read_settings(environment)
    return environment[PREFIX + "JWT_SECRET"].strip().encode(), settings.tokens


def _read_database_url(reader: _Reader) -> str:
    def usable(url: str) -> str:
        async_url(url)
        return url

    return reader.parsed("DATABASE_URL", usable, DEFAULT_DATABASE_URL)


def _read_keys(reader: _Reader) -> KeySource | None:
    """The keys from the one source that is set. A secret beside public keys would let a public key act as a secret."""
    sources = [name for name in ("JWT_SECRET", "JWT_PUBLIC_KEYS", "JWKS") if reader.text(name)]
    if not sources:
        reader.problem(
            "JWT_SECRET",
            f"is not set, nor is {PREFIX}JWT_PUBLIC_KEYS or {PREFIX}JWKS: one of them must say which keys to trust",
        )
        return None
    if len(sources) > 1:
        reader.problem(sources[0], f"and {' and '.join(PREFIX + name for name in sources[1:])} are both set; keep one")
    (accepted, what) = (SYMMETRIC, "a secret") if sources[0] == "JWT_SECRET" else (ASYMMETRIC, "public keys")

    def parse_algorithms(text: str) -> frozenset[str]:
        names = frozenset(_names(text))
        if names - set(accepted):
            raise ValueError(
                f"names {', '.join(sorted(names - set(accepted)))}; with {what} it may name {', '.join(accepted)}"
            )
        return names

    algorithms = reader.parsed("JWT_ALGORITHMS", parse_algorithms, frozenset(accepted))

    def from_files(text: str) -> KeySource | None:
        keys: list[Key] = []
        for name in _names(text):
            try:
                keys.append(public_key(Path(name), algorithms))
            except ValueError as error:
                reader.problem("JWT_PUBLIC_KEYS", str(error))
        return StaticKeys(tuple(keys))

    def from_jwks(text: str) -> KeySource | None:
        if text.startswith(("https://", "http://")):
            return JWKSServer(text, algorithms)
        return jwks_file(Path(text), algorithms)

    parsers: dict[str, Callable[[str], KeySource | None]] = {
        "JWT_SECRET": lambda text: StaticKeys((secret_key(text),)),
        "JWT_PUBLIC_KEYS": from_files,
        "JWKS": from_jwks,
    }
    keys: KeySource | None = None
    for name in sources:
        keys = reader.parsed(name, parsers[name], None)
    return keys


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise ValueError("must hold at least one name")
    return names


def _leeway(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= _LONGEST_LEEWAY):
        raise ValueError(f"must be a whole number of seconds from 0 to {_LONGEST_LEEWAY}; it is {text!r}")
    return int(text)


def _log_level(text: str) -> str:
    if text.lower() not in ("debug", "info", "warning", "error"):
        raise ValueError(f"must be debug, info, warning or error; it is {text!r}")
    return text.lower()
