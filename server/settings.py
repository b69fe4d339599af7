"""What an operator can set: environment variables that begin with SESSIONS_, read once."""

import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

from limits import RateLimitItem
from limits import parse as parse_rate_limit

from db.database_url import require_usable
from db.pools import STATEMENT_TIMEOUT
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
from handlers.rules import CACHE_BYTES, STALL_TIMEOUT, AnswerRules, TokenRules

PREFIX = "SESSIONS_"
DEFAULT_DATABASE_URL = "sqlite:///sessions.sqlite3"
REQUEST_TIMEOUT = 10
CONCURRENT_REQUESTS = 256
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
    answers: AnswerRules = field(default_factory=AnswerRules)
    rate_limit_redis: str | None = field(default=None, repr=False)
    cors_origins: tuple[str, ...] = ()
    behind_tls: bool = False
    request_timeout: int = REQUEST_TIMEOUT
    concurrent_requests: int = CONCURRENT_REQUESTS


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
    "CACHE_BYTES": f"memory for answers that one process may repeat, 0 for none (default: {CACHE_BYTES})",
    "STALL_TIMEOUT": f"seconds for which a client may take nothing of an answer (default: {STALL_TIMEOUT})",
    "RATE_LIMIT": "requests that one token subject may send: 600/minute (default: as many as they like)",
    "RATE_LIMIT_REDIS": "redis or rediss URL where all processes count together (default: each counts for itself)",
    "CONCURRENT_REQUESTS": f"requests that one process answers at a time (default: {CONCURRENT_REQUESTS})",
    "REQUEST_TIMEOUT": f"seconds in which a request must have arrived (default: {REQUEST_TIMEOUT})",
    "CORS_ORIGINS": "origins whose pages may read answers, separated by commas (default: none)",
    "BEHIND_TLS": "yes where clients come by https, to tell browsers to keep to it (default: no)",
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
    answers = AnswerRules(
        cache_bytes=reader.parsed("CACHE_BYTES", _bytes, CACHE_BYTES),
        stall_timeout=reader.parsed("STALL_TIMEOUT", partial(_seconds, first=1, last=3600), STALL_TIMEOUT),
    )
    rate_limit_redis = reader.parsed("RATE_LIMIT_REDIS", _redis_url, None)
    if rate_limit_redis and not reader.text("RATE_LIMIT"):
        reader.problem("RATE_LIMIT_REDIS", f"is set, but {PREFIX}RATE_LIMIT is not, so nothing would be counted")
    cors_origins = reader.parsed("CORS_ORIGINS", _origins, tuple[str, ...]())
    behind_tls = reader.parsed("BEHIND_TLS", _yes_or_no, False)  # noqa: FBT003 - a default
    request_timeout = reader.parsed("REQUEST_TIMEOUT", partial(_seconds, first=1, last=3600), REQUEST_TIMEOUT)
    concurrent_requests = reader.parsed("CONCURRENT_REQUESTS", _request_count, CONCURRENT_REQUESTS)
    keys = _read_keys(reader)
    reader.finish()
    return Settings(
        keys,
        database_url,
        tokens,
        log_level,
        statement_timeout,
        rate_limit,
        answers=answers,
        rate_limit_redis=rate_limit_redis,
        cors_origins=cors_origins,
        behind_tls=behind_tls,
        request_timeout=request_timeout,
        concurrent_requests=concurrent_requests,
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


def _redis_url(text: str) -> str:
    """The URL as it is. What is wrong is told without it, since it may hold a password."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("redis", "rediss") and parts.hostname and parts.port != 0
    except ValueError:  # the port
        usable = False
    if not usable or not re.fullmatch(r"/?|/[0-9]{1,4}", parts.path) or parts.query or parts.fragment:
        raise ValueError("must be a URL such as redis://host:6379/0, or rediss:// for TLS")
    return text


def _origins(text: str) -> tuple[str, ...]:
    origins = _names(text)
    problems = [f"names {origin!r}, which {wrong}" for origin in origins if (wrong := _wrong_with_origin(origin))]
    if problems:
        raise ValueError(*problems)
    return origins


def _wrong_with_origin(origin: str) -> str | None:
    """What keeps this from being an origin as browsers write it, with which it is compared byte for byte."""
    if origin in ("*", "null"):
        return "would let pages of strangers read answers; name each origin"
    written = re.fullmatch(r"(https?)://([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?", origin)
    if not written:
        return (
            "is not an origin such as https://app.example or http://localhost:3000: lower case, and nothing after the port"
        )
    if written[3] == {"http": "80", "https": "443"}[written[1]]:
        return "has the port that browsers leave out; leave it out"
    return None


def _yes_or_no(text: str) -> bool:
    if text.lower() not in ("yes", "no"):
        raise ValueError("must be yes or no")
    return text.lower() == "yes"


def _request_count(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,5}", text):
        raise ValueError("must be a whole number of requests from 1 to 999999")
    return int(text)


def _log_level(text: str) -> str:
    if text.lower() not in _LOG_LEVELS:
        raise ValueError(f"must be {', '.join(_LOG_LEVELS[:-1])} or {_LOG_LEVELS[-1]}")
    return text.lower()
