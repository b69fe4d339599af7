"""Reads environment variables, and collects what is wrong with them. No problem repeats a value: it may be a secret that was
put into the wrong variable."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from limits import RateLimitItem
from limits import parse as parse_rate_limit

PREFIX = "SESSIONS_"

# What Kubernetes sets in every container beside a service that is named "sessions".
_KUBERNETES = re.compile(r"SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?")

T = TypeVar("T")


class SettingsError(Exception):
    """Settings are missing or wrong. `problems` names each, in words that an operator can act on."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class Reader:
    """Reads variables one by one. Each name that is likely to be a misspelt one of `known` is a problem."""

    def __init__(self, environment: Mapping[str, str], known: Collection[str]) -> None:
        self._environment = environment
        self.problems: list[str] = []
        for name in sorted(environment):
            if meant := _misspelling(name, environment[name], known):
                suggestion = f"; did you mean {PREFIX}{meant[0]}?" if meant[0] else ""
                self.problems.append(f"{name} is not a setting{suggestion}")

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


def _misspelling(name: str, value: str, known: Collection[str]) -> tuple[str] | None:
    """The setting that is likely to be meant by a name that is not one, or "" for a name that only has the prefix."""
    if name.startswith(PREFIX):
        rest = name.removeprefix(PREFIX)
        if rest in known or (_KUBERNETES.fullmatch(rest) and (rest != "PORT" or "://" in value)):
            return None
        return (next(iter(get_close_matches(rest.upper(), known, n=1)), ""),)
    # Another prefix is near only in front of the name of a setting, so that variables of other programs may be there.
    upper = name.upper()
    for setting in known:
        if upper.endswith(setting) and get_close_matches(upper.removesuffix(setting), [PREFIX], cutoff=0.86):
            return (setting,)
    return None


def names(text: str) -> tuple[str, ...]:
    found = tuple(name.strip() for name in text.split(",") if name.strip())
    if not found:
        raise ValueError("must hold at least one name")
    return found


def claim_names(text: str) -> tuple[str, ...]:
    # A refusal names the claim in error_description, whose characters RFC 6750, section 3, limits to these.
    if not all(re.fullmatch(r"[ !#-\[\]-~]+", name) for name in names(text)):
        raise ValueError("must hold names in ASCII without quotes or backslashes")
    return names(text)


def algorithms(possible: frozenset[str], text: str) -> frozenset[str]:
    named = frozenset(names(text))
    if not named <= possible:
        raise ValueError(f"must hold algorithms that these keys can have: {', '.join(sorted(possible))}")
    return named


def is_key(text: str) -> bool:
    """Whether a key itself stands where the name of a file with it should."""
    return "-----BEGIN" in text or text.startswith("{")


def from_files(files: Sequence[str], read: Callable[[Path], T]) -> list[T]:
    """What is read from each of these files. A name is repeated only where there is such a file."""
    if any(map(is_key, files)):
        raise ValueError("holds a key; it must hold the name of a file with the key")
    found: list[T] = []
    problems: list[str] = []
    for number, name in enumerate(files, 1):
        try:
            found.append(read(Path(name)))
        except ValueError as error:
            shown = name if _exists(name) else f"a file (number {number} of {len(files)})"
            problems += [f"names {shown}, which {reason}" for reason in error.args]
    if problems:
        raise ValueError(*problems)
    return found


def _exists(name: str) -> bool:
    try:
        return Path(name).exists()
    except OSError:  # too long for a name, or in a folder that must not be read
        return False


def whole_number(text: str, *, first: int, last: int, unit: str = "seconds") -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(last)) and first <= int(text) <= last):
        raise ValueError(f"must be a whole number of {unit} from {first} to {last}")
    return int(text)


def rate_limit(text: str) -> RateLimitItem | None:
    if not re.fullmatch(r"[1-9][0-9]{0,8}/(second|minute|hour|day)", text):
        raise ValueError("must be a number of requests in a time, such as 10/second, 600/minute, 5000/hour or 50000/day")
    return parse_rate_limit(text)


def redis_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("redis", "rediss") and parts.hostname and parts.port != 0
    except ValueError:  # the port
        usable = False
    if not usable or not re.fullmatch(r"/?|/[0-9]{1,4}", parts.path) or parts.query or parts.fragment:
        raise ValueError("must be a URL such as redis://host:6379/0, or rediss:// for TLS")
    return text


def origins(text: str) -> tuple[str, ...]:
    found = names(text)
    wrong = [(number, problem) for number, origin in enumerate(found, 1) if (problem := _origin_problem(origin))]
    if wrong:
        raise ValueError(*(f"names an origin (number {number} of {len(found)}) that {problem}" for number, problem in wrong))
    return found


def _origin_problem(origin: str) -> str | None:
    """What keeps a text from being an origin as browsers write it, with which it is compared byte for byte."""
    if origin in ("*", "null"):
        return "would let pages of strangers read responses; name each origin"
    written = re.fullmatch(r"(https?)://([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?", origin)
    if not written:
        return (
            "is not an origin such as https://app.example or http://localhost:3000: lower case, and nothing after the port"
        )
    if written[3] == {"http": "80", "https": "443"}[written[1]]:
        return "has the port that browsers leave out; leave it out"
    return None


def yes_or_no(text: str) -> bool:
    if text.lower() not in ("yes", "no"):
        raise ValueError("must be yes or no")
    return text.lower() == "yes"


def one_of(choices: Sequence[str], text: str) -> str:
    if text.lower() not in choices:
        raise ValueError(f"must be {', '.join(choices[:-1])} or {choices[-1]}")
    return text.lower()
