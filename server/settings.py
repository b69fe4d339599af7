"""What an operator can set: environment variables that begin with SESSIONS_, read once."""

import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from limits import RateLimitItem
from limits import parse as parse_rate_limit

from db.connecting import STATEMENT_TIMEOUT, require_usable
from handlers.answers import CACHE_BYTES, STALL_TIMEOUT
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
_LOG_LEVELS = ("debug", "info", "warning", "error")

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
    statement_timeout: int = STATEMENT_TIMEOUT
    rate_limit: RateLimitItem | None = None
    cache_bytes: int = CACHE_BYTES
    stall_timeout: int = STALL_TIMEOUT


VARIABLES: Mapping[str, str] = {
    "DATABASE_URL": f"where the sessions are (default: {DEFAULT_DATABASE_URL})",
    "WRITER_DATABASE_URL": "where migrate, import and workspaces write (default: as above)",
    "JWT_SECRET": "secret of at least 32 bytes that HS256 tokens are signed with",
    "JWT_PUBLIC_KEYS": "PEM files with public keys, separated by commas",
    "JWKS": "file or https URL of a JWK set",
    "JWT_ALGORITHMS": "accepted algorithms, separated by commas (default: all that fit the keys)",
    "JWT_ISSUER": "required iss of tokens (default: any)",
    "JWT_AUDIENCE": "required aud of tokens (default: tokens must have none)",
    "JWT_LEEWAY": "seconds by which clocks may differ (default: 0)",
    "JWT_SCOPE_CLAIMS": "claims that hold permissions (default: scope,scp,permissions)",
    "JWT_WORKSPACE_CLAIMS": "claims that hold workspaces (default: workspaceId,workspaces)",
    "STATEMENT_TIMEOUT": f"seconds for which PostgreSQL may work on one query (default: {STATEMENT_TIMEOUT})",
    "RATE_LIMIT": "requests that one token subject may send to one process: 600/minute (default: as many as they like)",
    "CACHE_BYTES": f"memory for answers that one process may repeat, 0 for none (default: {CACHE_BYTES})",
    "STALL_TIMEOUT": f"seconds for which a client may take nothing of a long answer (default: {STALL_TIMEOUT})",
    "LOG_LEVEL": "debug, info, warning or error (default: info)",
}
"""Every setting, without the prefix, and what it is for."""

# What Kubernetes sets in every container beside a service that is named "sessions".
_KUBERNETES = re.compile(r"SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?")


class _Reader:
    """Reads variables one by one and collects what is wrong with them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.problems: list[str] = []
        for name in sorted(environment):
            if name.startswith(PREFIX):
                self._require_known(name.removeprefix(PREFIX), environment[name])

    def _require_known(self, name: str, value: str) -> None:
        if name in VARIABLES or (_KUBERNETES.fullmatch(name) and (name != "PORT" or "://" in value)):
            return
        near = get_close_matches(name.upper(), VARIABLES, n=1)
        self.problem(name, "is not a setting" + (f"; did you mean {PREFIX}{near[0]}?" if near else ""))

    def text(self, name: str) -> str | None:
        return self._environment.get(PREFIX + name, "").strip() or None

    def required_value(self, name: str) -> str | None:
        """What tokens must have, if that is set. Left empty by mistake, it would silently ask for nothing."""
        if PREFIX + name in self._environment and self.text(name) is None:
            self.problem(name, "is empty; give it a value, or leave it out if tokens need none")
        return self.text(name)

    def parsed(self, name: str, parse: Callable[[str], T], default: T) -> T:
        """The parsed value, or the default. Each argument of a ValueError is a problem that reads on from the name."""
        text = self.text(name)
        if text is None:
            return default
        try:
            return parse(text)
        except ValueError as error:
            for what in error.args:
                self.problem(name, what)
            return default

    def problem(self, name: str, what: str) -> None:
        self.problems.append(f"{PREFIX}{name} {what}")

    def finish(self) -> None:
        if self.problems:
            raise SettingsError(self.problems)


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from environment variables.

    Raises:
        SettingsError: naming everything that is missing or wrong.
    """
    reader = _Reader(environment)
    database_url = _read_database_url(reader)
    reader.parsed("WRITER_DATABASE_URL", _usable_database_url, database_url)  # serving does not need it; better told now
    tokens = _read_token_rules(reader)
    log_level = reader.parsed("LOG_LEVEL", _log_level, "info")
    statement_timeout = reader.parsed("STATEMENT_TIMEOUT", partial(_seconds, first=1, last=3600), STATEMENT_TIMEOUT)
    rate_limit = reader.parsed("RATE_LIMIT", _rate_limit, None)
    cache_bytes = reader.parsed("CACHE_BYTES", _bytes, CACHE_BYTES)
    stall_timeout = reader.parsed("STALL_TIMEOUT", partial(_seconds, first=1, last=3600), STALL_TIMEOUT)
    keys = _read_keys(reader)
    reader.finish()
    return Settings(
        keys,
        database_url,
        tokens,
        log_level,
        statement_timeout,
        rate_limit,
        cache_bytes=cache_bytes,
        stall_timeout=stall_timeout,
    )


def database_url_from(environment: Mapping[str, str] = os.environ) -> str:
    """The database's URL alone, for commands that need no keys.

    Raises:
        SettingsError: when it is not usable, or another variable may be a misspelling of it.
    """
    reader = _Reader(environment)
    url = _read_database_url(reader)
    reader.finish()
    return url


def writer_url_from(environment: Mapping[str, str] = os.environ) -> str:
    """The URL of the database to write to, for the commands that do: the server's own may be that of a replica.

    Raises:
        SettingsError: when it is not usable, or another variable may be a misspelling of it.
    """
    reader = _Reader(environment)
    url = reader.parsed("WRITER_DATABASE_URL", _usable_database_url, _read_database_url(reader))
    reader.finish()
    return url


def secret_from(environment: Mapping[str, str] = os.environ) -> tuple[bytes, TokenRules]:
    """The secret that tokens are signed with, and the rules they must follow, for the command that mints tokens.

    Raises:
        SettingsError: when there is no secret: tokens are then issued by whoever holds the private key.
    """
    reader = _Reader(environment)
    keys = _read_keys(reader) if reader.text("JWT_SECRET") else None
    if keys is None:
        reader.problem("JWT_SECRET", "is not set; tokens can be minted from an HS256 secret only")
    tokens = _read_token_rules(reader)
    reader.finish()
    assert isinstance(keys, StaticKeys)  # those of a secret
    return keys.keys[0].material, tokens


def _read_database_url(reader: _Reader) -> str:
    return reader.parsed("DATABASE_URL", _usable_database_url, DEFAULT_DATABASE_URL)


def _usable_database_url(url: str) -> str:
    require_usable(url)
    return url


def _read_token_rules(reader: _Reader) -> TokenRules:
    defaults = TokenRules()
    return TokenRules(
        issuer=reader.required_value("JWT_ISSUER"),
        audience=reader.required_value("JWT_AUDIENCE"),
        leeway=reader.parsed("JWT_LEEWAY", partial(_seconds, first=0, last=_LONGEST_LEEWAY), defaults.leeway),
        scope_claims=reader.parsed("JWT_SCOPE_CLAIMS", _claim_names, defaults.scope_claims),
        workspace_claims=reader.parsed("JWT_WORKSPACE_CLAIMS", _claim_names, defaults.workspace_claims),
    )


def _from_secret(_algorithms: frozenset[str], text: str) -> KeySource:
    return StaticKeys((secret_key(text),))


def _from_pem_files(algorithms: frozenset[str], text: str) -> KeySource:
    keys: list[Key] = []
    problems: list[str] = []
    for name in _names(text):
        try:
            keys.append(public_key(Path(name), algorithms))
        except ValueError as error:
            problems += error.args
    if problems:
        raise ValueError(*problems)
    return StaticKeys(tuple(keys))


def _from_jwks(algorithms: frozenset[str], text: str) -> KeySource:
    return JWKSServer(text, algorithms) if "://" in text else jwks_file(Path(text), algorithms)


class _KeyVariable(NamedTuple):
    algorithms: tuple[str, ...]
    read: Callable[[frozenset[str], str], KeySource]


_KEY_VARIABLES: Mapping[str, _KeyVariable] = {
    "JWT_SECRET": _KeyVariable(SYMMETRIC, _from_secret),
    "JWT_PUBLIC_KEYS": _KeyVariable(ASYMMETRIC, _from_pem_files),
    "JWKS": _KeyVariable(ASYMMETRIC, _from_jwks),
}


def _read_keys(reader: _Reader) -> KeySource:
    """The keys, from the one variable that is set. Beside a secret, a public key could be made to act as one."""
    given = [name for name in _KEY_VARIABLES if reader.text(name)]
    if not given:
        reader.problem(
            "JWT_SECRET",
            f"is not set, nor is {PREFIX}JWT_PUBLIC_KEYS or {PREFIX}JWKS: one of them must say which keys to trust",
        )
    if len(given) > 1:
        others = " and ".join(PREFIX + name for name in given[1:])
        reader.problem(given[0], f"is set beside {others}; keep one of them")
    possible = frozenset(name for variable in given or _KEY_VARIABLES for name in _KEY_VARIABLES[variable].algorithms)
    algorithms = reader.parsed("JWT_ALGORITHMS", partial(_algorithms, possible), possible)
    keys: KeySource = StaticKeys(())
    for name in given:
        keys = reader.parsed(name, partial(_KEY_VARIABLES[name].read, algorithms), keys)
    return keys


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise ValueError("must hold at least one name")
    return names


def _claim_names(text: str) -> tuple[str, ...]:
    names = _names(text)
    # A refusal names the claim in error_description, whose characters RFC 6750, section 3, limits to these.
    if not all(re.fullmatch(r"[ !#-\[\]-~]+", name) for name in names):
        raise ValueError("must hold names in ASCII without quotes or backslashes")
    return names


def _algorithms(possible: Collection[str], text: str) -> frozenset[str]:
    names = frozenset(_names(text))
    wrong = sorted(names.difference(possible))
    if wrong:
        raise ValueError(f"names {', '.join(wrong)}; with these keys it may name {', '.join(sorted(possible))}")
    return names


def _seconds(text: str, *, first: int, last: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(last)) and first <= int(text) <= last):
        raise ValueError(f"must be a whole number of seconds from {first} to {last}")
    return int(text)


def _bytes(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise ValueError("must be a whole number of bytes, such as 67108864, or 0")
    return int(text)


def _rate_limit(text: str) -> RateLimitItem | None:
    if not re.fullmatch(r"[1-9][0-9]{0,8}/(second|minute|hour|day)", text):
        raise ValueError("must be a number of requests in a time, such as 10/second, 600/minute, 5000/hour or 50000/day")
    return parse_rate_limit(text)


def _log_level(text: str) -> str:
    if text.lower() not in _LOG_LEVELS:
        raise ValueError(f"must be {', '.join(_LOG_LEVELS[:-1])} or {_LOG_LEVELS[-1]}")
    return text.lower()
