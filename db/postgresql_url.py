"""PostgreSQL URLs, as libpq documents them and as providers hand them out, turned into arguments of `asyncpg.connect`.

No message repeats a part of a URL: a password that is not percent-encoded may stand anywhere in it.
"""

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote, urlencode

from db.limits import CONNECT_TIMEOUT, HOST_TIMEOUT

_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[^:@/?#\[\],]*)(?::[0-9]+)?"
# One host or several (libpq, "Connection URIs"); ambiguous characters in them have to be percent-encoded.
_URL = re.compile(
    r"postgres(?:ql)?://(?:(?P<user>[^:@/?#]*)(?::(?P<password>[^:@/?#]*))?@)?"
    rf"(?P<hosts>{_HOST}(?:,{_HOST})*)(?:/(?P<database>[^/?#]*))?(?:\?(?P<query>[^#]*))?"
)
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_SSL_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
_SSL = (*_SSL_FILES, "sslmode", "sslpassword", "sslnegotiation", "ssl_min_protocol_version", "ssl_max_protocol_version")
_TLS_VERSIONS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_CHOICES: Mapping[str, Sequence[str]] = {
    "sslmode": _SSL_MODES,
    "ssl": ("true", "false", *_SSL_MODES),
    "sslnegotiation": ("postgres", "direct"),
    "ssl_min_protocol_version": _TLS_VERSIONS,
    "ssl_max_protocol_version": _TLS_VERSIONS,
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
    "load_balance_hosts": ("disable", "random"),
    "gsslib": ("gssapi", "sspi"),
    # asyncpg can do neither, so a URL must not demand it.
    "gssencmode": ("disable", "prefer"),
    "channel_binding": ("disable", "prefer"),
    "client_encoding": ("auto", "UTF8", "utf8", "UTF-8", "utf-8"),
}
_TAKEN = {
    *("host", "port", "dbname", "user", "password", "passfile", "krbsrvname"),
    *("connect_timeout", "application_name", "options"),
}
# What they ask for is done in any case (TCP keepalive, prepared statements behind PgBouncer), or means nothing here.
_IGNORED = {
    *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"),
    *("fallback_application_name", "sslcompression", "sslsni", "gssdelegation"),
    *("pgbouncer", "statement_cache_size", "prepared_statement_cache_size", "connection_limit", "pool_timeout"),
}
_KNOWN = {*_TAKEN, *_SSL, *_CHOICES, *_IGNORED}


class Host(NamedTuple):
    """Where a server listens: a host name, an address or the folder of a socket. None leaves it to asyncpg (PGHOST)."""

    name: str | None
    port: int | None


class Target(NamedTuple):
    """What a URL names."""

    hosts: tuple[Host, ...]
    session: str
    """Which of the hosts will do: libpq's `target_session_attrs`."""
    is_shuffled: bool
    """Whether connections are spread over the hosts, instead of going to the first one that will do."""
    timeout: int
    """Seconds in which each host must accept a connection."""
    arguments: Mapping[str, Any]
    """Further arguments of `asyncpg.connect`, the same for all hosts."""


def parse(url: str) -> Target:
    """Read a URL.

    Raises:
        ValueError: when it is not one, or asks for something that this program cannot do; the message repeats none of it.
    """
    found = _URL.fullmatch(url)
    if found is None or "%00" in url:
        raise ValueError(
            "is not a database URL such as postgresql://user@host:5432/database;"
            " write an @ in a password as %40, a : as %3A, and so on"
        )
    given = _parameters(found["query"] or "")
    hosts = _hosts(found["hosts"], given)
    timeout = _number("connect_timeout", given.get("connect_timeout", "0"))
    arguments = {
        "user": unquote(found["user"] or "") or given.get("user"),
        "password": unquote(found["password"] or "") or given.get("password"),
        "database": unquote(found["database"] or "") or given.get("dbname"),
        "passfile": given.get("passfile"),
        "krbsrvname": given.get("krbsrvname"),
        "gsslib": given.get("gsslib"),
        # All that a server is told while it accepts a connection: asyncpg and PgBouncer misread or refuse other settings.
        "server_settings": {
            "application_name": given.get("application_name", "sessions-api"),
            **{name: given[name] for name in ("options",) if name in given},
        },
        **_ssl_arguments(given),
    }
    return Target(
        hosts,
        given.get("target_session_attrs", "any"),
        given.get("load_balance_hosts") == "random",
        timeout or (HOST_TIMEOUT if len(hosts) > 1 else CONNECT_TIMEOUT),
        {name: value for name, value in arguments.items() if value is not None},
    )


def _parameters(query: str) -> dict[str, str]:
    given = {}
    for number, part in enumerate(query.split("&") if query else (), start=1):
        name, _, value = (unquote(piece) for piece in part.partition("="))
        if name not in _KNOWN:
            known = ", ".join(sorted(_KNOWN - _IGNORED))
            raise ValueError(f"has a parameter that this program does not know (number {number} of them); it knows {known}")
        if not value:
            continue
        if name in _CHOICES and value not in _CHOICES[name]:
            raise ValueError(f"has a value of {name} other than {', '.join(_CHOICES[name])}")
        given[name] = value
    for name in (*_SSL_FILES, "passfile"):
        if name in given and given[name] != "system" and not os.access(given[name], os.R_OK):
            raise ValueError(f"names a file as {name} that cannot be read")
    return given


def _number(name: str, text: str) -> int:
    if re.fullmatch("[0-9]{1,6}", text) is None:
        raise ValueError(f"has a value of {name} that is not a number")
    return int(text)


def _hosts(written: str, given: Mapping[str, str]) -> tuple[Host, ...]:
    """The hosts of a URL, from its authority or, when that is empty, from `host` and `port`."""
    names: list[str | None] = []
    ports = []
    for each in (written or given.get("host", "")).split(","):
        name, _, port = each.rpartition(":") if written and re.search(":[0-9]+$", each) else (each, "", "")
        names.append(unquote(name).removeprefix("[").removesuffix("]") or None)
        ports.append(port)
    if "port" in given:
        more = given["port"].split(",")
        if len(more) not in (1, len(names)):
            raise ValueError("names another number of ports than of hosts")
        ports = [port or more[number % len(more)] for number, port in enumerate(ports)]
    numbers = [_number("port", port) if port else None for port in ports]
    if not all(number is None or 0 < number < 65536 for number in numbers):
        raise ValueError("names a port that is not between 1 and 65535")
    return tuple(Host(name, number) for name, number in zip(names, numbers, strict=True))


def _ssl_arguments(given: Mapping[str, str]) -> dict[str, Any]:
    """asyncpg takes these from a URL only, so it gets one with nothing else in it."""
    wanted = {name: given[name] for name in _SSL if name in given}
    if "ssl" in given:  # as JDBC and libpq read it
        wanted.setdefault("sslmode", {"true": "require", "false": "disable"}.get(given["ssl"], given["ssl"]))
    if wanted.get("sslrootcert") != "system":
        return {"dsn": f"postgresql://?{urlencode(wanted)}"} if wanted else {}
    if wanted.keys() - {"sslrootcert", "sslmode"} or wanted.get("sslmode", "verify-full") != "verify-full":
        raise ValueError("has sslrootcert=system beside other parameters of TLS than sslmode=verify-full")
    return {"ssl": True}
