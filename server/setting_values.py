"""Parsers for the values of settings. Each raises a ValueError whose arguments say what a value must be."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from limits import RateLimitItem
from limits import parse as parse_rate_limit

from db.engine import require_usable

T = TypeVar("T")


def database_url(text: str) -> str:
    require_usable(text)
    return text


def names(text: str) -> tuple[str, ...]:
    found = tuple(name.strip() for name in text.split(",") if name.strip())
    if not found:
        raise ValueError("must hold at least one name")
    return found


def claim_names(text: str) -> tuple[str, ...]:
    # error_description names the claim, and RFC 6750, section 3, limits its characters.
    if not all(re.fullmatch(r"[ !#-\[\]-~]+", name) for name in names(text)):
        raise ValueError("must hold names in ASCII without quotes or backslashes")
    return names(text)


def algorithms(possible: frozenset[str], text: str) -> frozenset[str]:
    named = frozenset(names(text))
    if not named <= possible:
        raise ValueError(f"must hold algorithms that these keys can have: {', '.join(sorted(possible))}")
    return named


def each(kind: str, parse: Callable[[str], T], values: Sequence[str]) -> tuple[T, ...]:
    """Parse each value of a list. A problem gives its number, and not the value."""
    parsed: list[T] = []
    problems: list[str] = []
    for number, value in enumerate(values, 1):
        try:
            parsed.append(parse(value))
        except ValueError as error:
            problems += [f"names {kind} (number {number} of {len(values)}) that {reason}" for reason in error.args]
    if problems:
        raise ValueError(*problems)
    return tuple(parsed)


def each_file(parse: Callable[[Path], T], files: Sequence[str]) -> tuple[T, ...]:
    if any(map(is_key, files)):
        raise ValueError("holds a key; it must hold the name of a file with the key")
    return each("a file", lambda name: parse(Path(name)), files)


def is_key(text: str) -> bool:
    return "-----BEGIN" in text or text.startswith("{")


def whole_number(text: str, *, first: int, last: int, unit: str = "seconds") -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(last)) and first <= int(text) <= last):
        raise ValueError(f"must be a whole number of {unit} from {first} to {last}")
    return int(text)


def rate_limit(text: str) -> RateLimitItem:
    if not re.fullmatch(r"[1-9][0-9]{0,8}/(second|minute|hour|day)", text):
        raise ValueError("must be a number of requests in a time, such as 10/second, 600/minute, 5000/hour or 50000/day")
    return parse_rate_limit(text)


def redis_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("redis", "rediss") and parts.hostname and parts.port != 0
    except ValueError:  # the port is no number
        usable = False
    if not usable or not re.fullmatch(r"/?|/[0-9]{1,4}", parts.path) or parts.query or parts.fragment:
        raise ValueError("must be a URL such as redis://host:6379/0, or rediss:// for TLS")
    return text


def origins(text: str) -> tuple[str, ...]:
    return each("an origin", _origin, names(text))


def _origin(text: str) -> str:
    """An origin as browsers send it, since the server compares origins byte for byte."""
    if text in ("*", "null"):
        raise ValueError("would let pages of strangers read responses; name each origin")
    parts = re.fullmatch(r"(https?)://([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?", text)
    if not parts:
        raise ValueError(
            "is not an origin such as https://app.example or http://localhost:3000: lower case, and nothing after the port"
        )
    if parts[3] == {"http": "80", "https": "443"}[parts[1]]:
        raise ValueError("has the port that browsers leave out; leave it out")
    return text


def one_of(choices: Sequence[str], text: str) -> str:
    if text.lower() not in choices:
        raise ValueError(f"must be {', '.join(choices[:-1])} or {choices[-1]}")
    return text.lower()


def yes_or_no(text: str) -> bool:
    return one_of(("yes", "no"), text) == "yes"
