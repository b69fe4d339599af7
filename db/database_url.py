"""Which URLs name a database that this program can use."""

from pathlib import Path
from urllib.parse import quote

from sqlalchemy import exc, make_url

from db import postgresql_url

_SQLITE_OPTIONS = {"mode": ("ro", "rw"), "immutable": ("1",)}


def require_usable(url: str) -> None:
    """Make sure that a URL names a database that this program can use. Nothing is opened.

    Raises:
        ValueError: when it does not; the message says why, and never repeats the URL, which may hold a password.
    """
    if is_postgresql(url):
        postgresql_url.parse(url)
        return
    if not url.startswith("sqlite:"):
        raise ValueError("is not a database URL such as sqlite:///sessions.sqlite3 or postgresql://user@host/database")
    try:
        parsed = make_url(url)
    except (exc.ArgumentError, ValueError):
        raise ValueError("is not a database URL such as sqlite:///sessions.sqlite3") from None
    if parsed.database in (None, "", ":memory:"):
        raise ValueError("must name a file, such as sqlite:///sessions.sqlite3: every connection sees its own :memory:")
    for name, value in parsed.query.items():
        if value not in _SQLITE_OPTIONS.get(name, ()):
            raise ValueError("has an option other than ?mode=ro, ?mode=rw and ?immutable=1")


def is_postgresql(url: str) -> bool:
    return url.startswith(("postgresql:", "postgres:"))


def sqlite_file(url: str) -> Path:
    """The file that a usable SQLite URL names."""
    return Path(str(make_url(url).database))


def sqlite_uri(url: str) -> str:
    """The URI by which SQLite opens the file of a usable URL for reading (sqlite.org/uri.html). It creates no file."""
    options = {"mode": "rw", **make_url(url).query}
    return f"file:{quote(str(sqlite_file(url)))}?" + "&".join(f"{name}={value}" for name, value in options.items())
