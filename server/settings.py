"""The settings: environment variables with the prefix SESSIONS_, or lines of a file with the same names, read once."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import partial

from limits import RateLimitItem

from db.limits import STATEMENT_TIMEOUT
from handlers.jwks import JWKSServer
from handlers.keys import ASYMMETRIC, SYMMETRIC, Key, KeySource, StaticKeys, jwks_file, public_key, secret_key
from handlers.rules import ResponseRules, TokenRules
from server import setting_values as values
from server.environment import FILE, PREFIX, Reader, Setting, SettingsError

__all__ = ["PREFIX", "SettingsError"]  # and what is defined here

DEFAULT_DATABASE_URL = "sqlite:///sessions.sqlite3"
REQUEST_TIMEOUT = 10
CONCURRENT_REQUESTS = 256
GRACE_PERIOD = 30
_RESPONSES, _TOKENS = ResponseRules(), TokenRules()
_seconds = partial(values.whole_number, last=3600, unit="seconds")
_timeout = partial(_seconds, first=1)
_bytes = partial(values.whole_number, first=0, last=10**12, unit="bytes")
_requests = partial(values.whole_number, first=1, last=999_999, unit="requests")
_log_level = partial(values.one_of, ("debug", "info", "warning", "error"))

SETTINGS: Mapping[str, Setting] = {
    FILE: Setting("File with settings, one NAME=value a line; the environment wins"),
    "DATABASE_URL": Setting("Database of the sessions", values.database_url, DEFAULT_DATABASE_URL),
    "WRITER_DATABASE_URL": Setting(
        "Database that migrate, import and workspaces write to", values.database_url, None, f"{PREFIX}DATABASE_URL"
    ),
    "JWT_SECRET": Setting("Secret for tokens with HS256 (32 bytes or more), HS384 (48) or HS512 (64)"),
    "JWT_PUBLIC_KEYS": Setting("PEM files with public keys, separated by commas"),
    "JWKS": Setting("File or https URL of a JWK set, or https URL of an OIDC issuer"),
    "JWT_ALGORITHMS": Setting("Accepted algorithms, separated by commas", default_text="all that fit the keys"),
    "JWT_ISSUER": Setting("Required iss of tokens", default_text="any", may_be_empty=False),
    "JWT_AUDIENCE": Setting(
        "Accepted aud of tokens, separated by commas", values.names, (), "tokens must have none", may_be_empty=False
    ),
    "JWT_LEEWAY": Setting("Seconds by which clocks may differ", partial(_seconds, first=0, last=300), _TOKENS.leeway),
    "JWT_SCOPE_CLAIMS": Setting("Claims that hold permissions, or paths to them", values.claim_names, _TOKENS.scope_claims),
    "JWT_WORKSPACE_CLAIMS": Setting(
        "Claims that hold workspaces, or paths to them", values.claim_names, _TOKENS.workspace_claims
    ),
    "STATEMENT_TIMEOUT": Setting("Seconds that the database may work on one query", _timeout, STATEMENT_TIMEOUT),
    "CACHE_BYTES": Setting("Memory of one process for its response cache; 0 turns it off", _bytes, _RESPONSES.cache_bytes),
    "STALL_TIMEOUT": Setting(
        "Seconds for which a client may read nothing of a response", _timeout, _RESPONSES.stall_timeout
    ),
    "RATE_LIMIT": Setting(
        "Requests that one token subject may send, such as 600/minute", values.rate_limit, None, "no limit"
    ),
    "RATE_LIMIT_REDIS": Setting(
        "redis or rediss URL where all processes count requests", values.redis_url, None, "each counts for itself"
    ),
    "CONCURRENT_REQUESTS": Setting("Requests that one process handles at a time", _requests, CONCURRENT_REQUESTS),
    "REQUEST_TIMEOUT": Setting("Seconds in which a request must have arrived", _timeout, REQUEST_TIMEOUT),
    "CORS_ORIGINS": Setting("Origins whose pages may read responses, separated by commas", values.origins, (), "none"),
    "BEHIND_TLS": Setting("yes if clients use https, to tell browsers to keep to it", values.yes_or_no, False, "no"),  # noqa: FBT003 - a default
    "DRAIN_DELAY": Setting(
        "Seconds from SIGTERM, when readiness turns 503, until the server stops listening", partial(_seconds, first=0), 0
    ),
    "GRACE_PERIOD": Setting("Seconds for requests in flight when the server has stopped listening", _timeout, GRACE_PERIOD),
    "LOG_LEVEL": Setting("debug, info, warning or error", _log_level, "info"),
}
"""Every setting, by its name without the prefix."""

_TOKEN_SETTINGS = ("JWT_ISSUER", "JWT_AUDIENCE", "JWT_LEEWAY", "JWT_SCOPE_CLAIMS", "JWT_WORKSPACE_CLAIMS")


@dataclass(frozen=True, slots=True)
class Settings:
    """The parsed settings. Their representation leaves out secrets."""

    keys: KeySource = field(repr=False)
    database_url: str = field(default=DEFAULT_DATABASE_URL, repr=False)
    tokens: TokenRules = _TOKENS
    log_level: str = "info"
    statement_timeout: int = STATEMENT_TIMEOUT
    rate_limit: RateLimitItem | None = None
    responses: ResponseRules = _RESPONSES
    rate_limit_redis: str | None = field(default=None, repr=False)
    cors_origins: tuple[str, ...] = ()
    behind_tls: bool = False
    request_timeout: int = REQUEST_TIMEOUT
    concurrent_requests: int = CONCURRENT_REQUESTS
    drain_delay: int = 0
    grace_period: int = GRACE_PERIOD


# Each function below raises a SettingsError with all that is missing or wrong.


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings."""
    reader = Reader(environment, SETTINGS)
    read = {name.lower(): reader.read(name) for name in SETTINGS}
    if read["rate_limit_redis"] and not reader.text("RATE_LIMIT"):
        reader.add_problem("RATE_LIMIT_REDIS", f"is set, but {PREFIX}RATE_LIMIT is not, so nothing would be counted")
    settings = Settings(
        keys=_keys(reader, max_waiting=max(1, read["concurrent_requests"] // 4)),
        tokens=TokenRules(*(read[name.lower()] for name in _TOKEN_SETTINGS)),
        responses=ResponseRules(read["cache_bytes"], read["stall_timeout"]),
        **{field.name: read[field.name] for field in fields(Settings) if field.name in read},
    )
    reader.require_no_problems()
    return settings


def database_url_from(environment: Mapping[str, str] = os.environ, *, writer: bool = False) -> str:
    """Read the URL of the database for commands that need no keys, or of the one to write to: the other may be a replica."""
    reader = Reader(environment, SETTINGS)
    url: str = reader.read("DATABASE_URL")
    if writer:
        url = reader.read("WRITER_DATABASE_URL") or url
    reader.require_no_problems()
    return url


def secret_from(environment: Mapping[str, str] = os.environ) -> tuple[Key, TokenRules]:
    """Read the secret and the rules for the command that issues tokens."""
    reader = Reader(environment, SETTINGS)
    rules = TokenRules(*map(reader.read, _TOKEN_SETTINGS))
    if not reader.text("JWT_SECRET"):
        reader.add_problem("JWT_SECRET", "is not set; tokens can be minted from a secret only")
        reader.require_no_problems()
    keys = _keys(reader)
    reader.require_no_problems()
    assert isinstance(keys, StaticKeys)  # those of the secret
    return keys.keys[0], rules


_KEY_SETTINGS = {"JWT_SECRET": SYMMETRIC, "JWT_PUBLIC_KEYS": ASYMMETRIC, "JWKS": ASYMMETRIC}


def _keys(reader: Reader, max_waiting: int = 1) -> KeySource:
    """The keys of the one setting that names them: a public key beside a secret could be used as a secret."""
    given = [name for name in _KEY_SETTINGS if reader.text(name)]
    if not given:
        others = f"{PREFIX}JWT_PUBLIC_KEYS or {PREFIX}JWKS"
        reader.add_problem("JWT_SECRET", f"is not set, nor is {others}: one of them must say which keys to trust")
    if len(given) > 1:
        others = " and ".join(PREFIX + name for name in given[1:])
        reader.add_problem(given[0], f"is set beside {others}; keep one of them")
    possible = frozenset(algorithm for name in given or _KEY_SETTINGS for algorithm in _KEY_SETTINGS[name])
    algorithms = reader.parse("JWT_ALGORITHMS", partial(values.algorithms, possible), possible)

    def from_secret(text: str) -> KeySource:
        return StaticKeys((secret_key(text, algorithms.intersection(SYMMETRIC) or frozenset(SYMMETRIC)),))

    def from_pem_files(text: str) -> KeySource:
        return StaticKeys(values.each_file(lambda file: public_key(file, algorithms), values.names(text)))

    def from_jwks(text: str) -> KeySource:
        if "://" in text and not values.is_key(text):
            return JWKSServer(text, algorithms, max_waiting=max_waiting)
        return values.each_file(lambda file: jwks_file(file, algorithms), [text])[0]

    keys: KeySource = StaticKeys(())
    for name, parse in (("JWT_SECRET", from_secret), ("JWT_PUBLIC_KEYS", from_pem_files), ("JWKS", from_jwks)):
        keys = reader.parse(name, parse, keys)
    return keys
