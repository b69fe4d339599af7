"""Reads settings from environment variables and from a file, and collects their problems.

A problem never repeats a value, which may be a secret.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from dotenv.parser import parse_stream

PREFIX = "SESSIONS_"
FILE = "SETTINGS"
"""The setting that names a file with more settings."""

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
    """One setting. `parse` raises a ValueError whose arguments are predicates ("must be yes or no")."""

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
    """Reads settings from an environment, and from the file that it names; the environment wins.

    Raises:
        SettingsError: when the file cannot be read.
    """

    def __init__(self, environment: Mapping[str, str], settings: Mapping[str, Setting]) -> None:
        self._file = environment.get(PREFIX + FILE, "").strip()
        in_file = _read(Path(self._file)) if self._file else {}
        self._only_in_file = in_file.keys() - environment.keys()
        self._environment = {**in_file, **environment}
        self._settings = settings
        self._problems: list[str] = []
        for name, value in sorted(self._environment.items()):
            if (intended := _intended(name, value, settings)) is not None:
                self._add(name, f"is not a setting{f'; did you mean {PREFIX}{intended}?' if intended else ''}")

    def text(self, name: str) -> str | None:
        return self._environment.get(PREFIX + name, "").strip() or None

    def read(self, name: str) -> Any:
        """The parsed value of a setting, or its default."""
        setting = self._settings[name]
        if not setting.may_be_empty and PREFIX + name in self._environment and self.text(name) is None:
            self.add_problem(name, "is empty; give it a value, or leave it out if tokens need none")
        return self.parse(name, setting.parse, setting.default)

    def parse(self, name: str, parse: Callable[[str], T], default: T) -> T:
        """The same with another parser, for a setting that depends on others."""
        text = self.text(name)
        try:
            return default if text is None else parse(text)
        except ValueError as error:
            for problem in error.args:
                self.add_problem(name, problem)
            return default

    def add_problem(self, name: str, problem: str) -> None:
        self._add(PREFIX + name, problem)

    def _add(self, variable: str, problem: str) -> None:
        place = f"{self._file}: " if variable in self._only_in_file else ""
        self._problems.append(f"{place}{variable} {problem}")

    def require_no_problems(self) -> None:
        if self._problems:
            raise SettingsError(self._problems)


def _read(file: Path) -> dict[str, str]:
    """The names and values in a file of lines such as NAME=value, which may have quotes and comments."""
    try:
        with file.open(encoding="utf-8") as stream:
            bindings = list(parse_stream(stream))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise SettingsError([f"{PREFIX}{FILE} names a file that cannot be read: {reason}"]) from None
    texts = [each.original for each in bindings if each.error or (each.key is not None and each.value is None)]
    if texts:
        lines = [line + text[: len(text) - len(text.lstrip())].count("\n") for text, line in texts]
        raise SettingsError([f"{file}: line {line} must be NAME=value" for line in lines])
    return {each.key: each.value for each in bindings if each.key is not None and each.value is not None}


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
