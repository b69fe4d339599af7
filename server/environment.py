"""Reads settings from environment variables and collects their problems, which never repeat a value: it may be a secret."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from limits import RateLimitItem
from limits import parse as parse_rate_limit

from db.engine import require_usable

PREFIX = "SESSIONS_"

# Kubernetes sets these in every container beside a service that is named "sessions".
_KUBERNETES = re.compile(r"SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?")

T = TypeVar("T")


class SettingsError(Exception):
    """Settings are missing or wrong; `problems` has a sentence for each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable. `parse` raises a ValueError whose arguments are predicates ("must be yes or no")."""

    purpose: str
    parse: Callable[[str], Any] = str
    default: Any = None
    default_text: str = ""
    """Describes the default in the help, if its value does not."""
    may_be_empty: bool = True
    """Whether an empty value means the default. It must not where that would silently drop a requirement."""

    def shown_default(self) -> str:
        if self.default_text or self.default is None:
            return self.default_text
        return ",".join(self.default) if isinstance(self.default, tuple) else str(self.default)


class Reader:
    """Reads settings from an environment, in which names that resemble one of the settings are problems too."""

    def __init__(self, environment: Mapping[str, str], settings: Mapping[str, Setting]) -> None:
        self._environment = environment
        self._settings = settings
        self._values: dict[str, Any] = {}
        self._problems: list[str] = []
        for name in sorted(environment):
            if (intended := _intended(name, environment[name], settings)) is not None:
                suggestion = f"; did you mean {PREFIX}{intended}?" if intended else ""
                self._problems.append(f"{name} is not a setting{suggestion}")

    def text(self, name: str) -> str | None:
        return self._environment.get(PREFIX + name, "").strip() or None

    def __getitem__(self, name: str) -> Any:
        """The parsed value of a setting, or its default."""
        if name not in self._values:
            setting = self._settings[name]
            if not setting.may_be_empty and PREFIX + name in self._environment and self.text(name) is None:
                self.add_problem(name, "is empty; give it a value, or leave it out if tokens need none")
            self._values[name] = self.parse(name, setting.parse, setting.default)
        return self._values[name]

    def parse(self, name: str, parse: Callable[[str], T], default: T) -> T:
        """The same with another parser, for a setting that depends on others."""
        text = self.text(name)
        if text is None:
            return default
        try:
            return parse(text)
        except ValueError as error:
            for problem in error.args:
                self.add_problem(name, problem)
            return default

    def add_problem(self, name: str, problem: str) -> None:
        self._problems.append(f"{PREFIX}{name} {problem}")

    def require_no_problems(self) -> None:
        if self._problems:
            raise SettingsError(self._problems)


def _intended(name: str, value: str, settings: Mapping[str, Setting]) -> str | None:
    """The setting whose misspelling a variable is; "" if it only has the prefix, None if it is no misspelling."""
    if name.startswith(PREFIX):
        rest = name.removeprefix(PREFIX)
        if rest in settings or (_KUBERNETES.fullmatch(rest) and (rest != "PORT" or "://" in value)):
            return None
        return next(iter(get_close_matches(rest.upper(), settings, n=1)), "")
    # A prefix is compared only in front of the exact name of a setting: variables of other programs are no misspellings.
    upper = name.upper()
    for setting in settings:
        if upper.endswith(setting) and get_close_matches(upper.removesuffix(setting), [PREFIX], cutoff=0.86):
            return setting
    return None


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


def yes_or_no(text: str) -> bool:
    return one_of(("yes", "no"), text) == "yes"


def one_of(choices: Sequence[str], text: str) -> str:
    if text.lower() not in choices:
        raise ValueError(f"must be {', '.join(choices[:-1])} or {choices[-1]}")
    return text.lower()
