"""What an operator can set: environment variables that begin with SESSIONS_, read once."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from limits import RateLimitItem

from db.database_url import require_usable
from db.pools import STATEMENT_TIMEOUT
from handlers.jwks import JWKSServer
from handlers.keys import ASYMMETRIC, SYMMETRIC, Key, KeySource, StaticKeys, jwks_file, public_key, secret_key
from handlers.rules import CACHE_BYTES, LEEWAY, STALL_TIMEOUT, AnswerRules, TokenRules
from server import environment as env
from server.environment import PREFIX, Reader, SettingsError, whole_number

__all__ = [
    "DEFAULT_DATABASE_URL",
    "PREFIX",
    "VARIABLES",
    "Settings",
    "SettingsError",
    "database_url_from",
    "read_settings",
    "secret_from",
    "writer_url_from",
]

DEFAULT_DATABASE_URL = "sqlite:///sessions.sqlite3"
REQUEST_TIMEOUT = 10
CONCURRENT_REQUESTS = 256
GRACE_PERIOD = 30
_MAX_LEEWAY = 300
_LOG_LEVELS = ("debug", "info", "warning", "error")
_timeout = partial(whole_number, first=1, last=3600)


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
    drain_delay: int = 0
    grace_period: int = GRACE_PERIOD


VARIABLES: Mapping[str, str] = {
    "DATABASE_URL": f"where the sessions are (default: {DEFAULT_DATABASE_URL})",
    "WRITER_DATABASE_URL": "where migrate, import and workspaces write (default: as above)",
    "JWT_SECRET": "secret that HS256 (32 bytes or more), HS384 (48) and HS512 (64) tokens are signed with",
    "JWT_PUBLIC_KEYS": "PEM files with public keys, separated by commas",
    "JWKS": "file or https URL of a JWK set, or https URL of an OIDC issuer",
    "JWT_ALGORITHMS": "accepted algorithms, separated by commas (default: all that fit the keys)",
    "JWT_ISSUER": "required iss of tokens (default: any)",
    "JWT_AUDIENCE": "accepted aud of tokens, separated by commas (default: tokens must have none)",
    "JWT_LEEWAY": f"seconds by which clocks may differ (default: {LEEWAY})",
    "JWT_SCOPE_CLAIMS": "claims that hold permissions, or paths to them (default: scope,scp,permissions)",
    "JWT_WORKSPACE_CLAIMS": "claims that hold workspaces, or paths to them (default: workspaceId,workspaces)",
    "STATEMENT_TIMEOUT": f"seconds for which PostgreSQL may work on one query (default: {STATEMENT_TIMEOUT})",
    "CACHE_BYTES": f"memory for answers that one process may repeat, 0 for none (default: {CACHE_BYTES})",
    "STALL_TIMEOUT": f"seconds for which a client may take nothing of an answer (default: {STALL_TIMEOUT})",
    "RATE_LIMIT": "requests that one token subject may send: 600/minute (default: as many as they like)",
    "RATE_LIMIT_REDIS": "redis or rediss URL where all processes count together (default: each counts for itself)",
    "CONCURRENT_REQUESTS": f"requests that one process answers at a time (default: {CONCURRENT_REQUESTS})",
    "REQUEST_TIMEOUT": f"seconds in which a request must have arrived (default: {REQUEST_TIMEOUT})",
    "CORS_ORIGINS": "origins whose pages may read answers, separated by commas (default: none)",
    "BEHIND_TLS": "yes where clients come by https, to tell browsers to keep to it (default: no)",
    "DRAIN_DELAY": "seconds from SIGTERM, when readiness turns 503, until the server stops listening (default: 0)",
    "GRACE_PERIOD": f"seconds for requests in flight when the server has stopped listening (default: {GRACE_PERIOD})",
    "LOG_LEVEL": "debug, info, warning or error (default: info)",
}
"""Every setting, without the prefix, and what it is for."""


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from environment variables.

    Raises:
        SettingsError: naming everything that is missing or wrong.
    """
    reader = Reader(environment, VARIABLES)
    database_url = _read_database_url(reader)
    reader.parsed("WRITER_DATABASE_URL", _usable_database_url, database_url)  # serving does not need it; better told now
    tokens = _read_token_rules(reader)
    log_level = reader.parsed("LOG_LEVEL", partial(env.one_of, _LOG_LEVELS), "info")
    statement_timeout = reader.parsed("STATEMENT_TIMEOUT", _timeout, STATEMENT_TIMEOUT)
    rate_limit = reader.parsed("RATE_LIMIT", env.rate_limit, None)
    rate_limit_redis = reader.parsed("RATE_LIMIT_REDIS", env.redis_url, None)
    if rate_limit_redis and not reader.text("RATE_LIMIT"):
        reader.problem("RATE_LIMIT_REDIS", f"is set, but {PREFIX}RATE_LIMIT is not, so nothing would be counted")
    concurrent_requests = reader.parsed(
        "CONCURRENT_REQUESTS", partial(whole_number, first=1, last=999_999, unit="requests"), CONCURRENT_REQUESTS
    )
    settings = Settings(
        database_url=database_url,
        tokens=tokens,
        log_level=log_level,
        statement_timeout=statement_timeout,
        rate_limit=rate_limit,
        answers=AnswerRules(
            cache_bytes=reader.parsed("CACHE_BYTES", partial(whole_number, first=0, last=10**12, unit="bytes"), CACHE_BYTES),
            stall_timeout=reader.parsed("STALL_TIMEOUT", _timeout, STALL_TIMEOUT),
        ),
        rate_limit_redis=rate_limit_redis,
        cors_origins=reader.parsed("CORS_ORIGINS", env.origins, ()),
        behind_tls=reader.parsed("BEHIND_TLS", env.yes_or_no, False),  # noqa: FBT003 - a default
        request_timeout=reader.parsed("REQUEST_TIMEOUT", _timeout, REQUEST_TIMEOUT),
        concurrent_requests=concurrent_requests,
        drain_delay=reader.parsed("DRAIN_DELAY", partial(whole_number, first=0, last=3600), 0),
        grace_period=reader.parsed("GRACE_PERIOD", _timeout, GRACE_PERIOD),
        keys=_read_keys(reader, max_waiting=max(1, concurrent_requests // 4)),
    )
    reader.finish()
    return settings


def database_url_from(environment: Mapping[str, str] = os.environ) -> str:
    """The database's URL alone, for commands that need no keys.

    Raises:
        SettingsError: when it is not usable, or another variable may be a misspelling of it.
    """
    reader = Reader(environment, VARIABLES)
    url = _read_database_url(reader)
    reader.finish()
    return url


def writer_url_from(environment: Mapping[str, str] = os.environ) -> str:
    """The URL of the database to write to, for the commands that do: the server's own may be that of a replica.

    Raises:
        SettingsError: when it is not usable, or another variable may be a misspelling of it.
    """
    reader = Reader(environment, VARIABLES)
    url = reader.parsed("WRITER_DATABASE_URL", _usable_database_url, _read_database_url(reader))
    reader.finish()
    return url


def secret_from(environment: Mapping[str, str] = os.environ) -> tuple[Key, TokenRules]:
    """The secret that tokens are signed with, and the rules they must follow, for the command that mints tokens.

    Raises:
        SettingsError: when there is no secret: tokens are then issued by whoever holds the private key.
    """
    reader = Reader(environment, VARIABLES)
    keys = _read_keys(reader) if reader.text("JWT_SECRET") else None
    if keys is None:
        reader.problem("JWT_SECRET", "is not set; tokens can be minted from a secret only")
    tokens = _read_token_rules(reader)
    reader.finish()
    assert isinstance(keys, StaticKeys)  # those of a secret
    return keys.keys[0], tokens


def _read_database_url(reader: Reader) -> str:
    return reader.parsed("DATABASE_URL", _usable_database_url, DEFAULT_DATABASE_URL)


def _usable_database_url(url: str) -> str:
    require_usable(url)
    return url


def _read_token_rules(reader: Reader) -> TokenRules:
    defaults = TokenRules()
    reader.required_value("JWT_AUDIENCE")
    return TokenRules(
        issuer=reader.required_value("JWT_ISSUER"),
        audiences=reader.parsed("JWT_AUDIENCE", env.names, defaults.audiences),
        leeway=reader.parsed("JWT_LEEWAY", partial(whole_number, first=0, last=_MAX_LEEWAY), defaults.leeway),
        scope_claims=reader.parsed("JWT_SCOPE_CLAIMS", env.claim_names, defaults.scope_claims),
        workspace_claims=reader.parsed("JWT_WORKSPACE_CLAIMS", env.claim_names, defaults.workspace_claims),
    )


_KEY_VARIABLES = {"JWT_SECRET": SYMMETRIC, "JWT_PUBLIC_KEYS": ASYMMETRIC, "JWKS": ASYMMETRIC}


def _read_keys(reader: Reader, max_waiting: int = 1) -> KeySource:
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
    possible = frozenset(algorithm for name in given or _KEY_VARIABLES for algorithm in _KEY_VARIABLES[name])
    algorithms = reader.parsed("JWT_ALGORITHMS", partial(env.algorithms, possible), possible)

    def from_secret(text: str) -> KeySource:
        return StaticKeys((secret_key(text, algorithms.intersection(SYMMETRIC) or frozenset(SYMMETRIC)),))

    def from_pem_files(text: str) -> KeySource:
        return StaticKeys(tuple(env.from_files(env.names(text), lambda file: public_key(file, algorithms))))

    def from_jwks(text: str) -> KeySource:
        if "://" in text and not env.is_key(text):
            return JWKSServer(text, algorithms, max_waiting=max_waiting)
        return env.from_files([text], lambda file: jwks_file(file, algorithms))[0]

    keys: KeySource = StaticKeys(())
    for name, read in (("JWT_SECRET", from_secret), ("JWT_PUBLIC_KEYS", from_pem_files), ("JWKS", from_jwks)):
        keys = reader.parsed(name, read, keys)
    return keys
