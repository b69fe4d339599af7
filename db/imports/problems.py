"""Says in words what is wrong with a document."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from jsonschema_rs import ValidationError

from openapi import schemas
from openapi.json import JSONValue

MAX_PROBLEMS = 10
"""The most problems of one document that are told."""

_TYPES = {"string": "a string", "integer": "a whole number", "array": "an array", "object": "an object"}
_TELLING = ("type", "enum", "pattern", "format")  # of several rules that one value breaks, the first says it best


class Problem(NamedTuple):
    """Where in a document something is wrong, as names and positions from its top, and what."""

    path: tuple[str | int, ...]
    reason: str

    def __str__(self) -> str:
        """The path as in `notes[0].at`, and the reason."""
        names = [f"[{place}]" if isinstance(place, int) else f".{_name(place)}" for place in self.path]
        return f"{''.join(names).removeprefix('.')} {self.reason}".lstrip()


def in_one_line(problems: Sequence[Problem]) -> str:
    """All problems of a document in one line."""
    more = [f"and {len(problems) - MAX_PROBLEMS:,} more"] if len(problems) > MAX_PROBLEMS else []
    return "; ".join([*map(str, problems[:MAX_PROBLEMS]), *more])


def shown(value: object) -> str:
    """A value for a message: short, and without characters that would steer a terminal."""
    written = repr(str(value) if isinstance(value, str) else value)
    return written if len(written) <= 60 else f"{written[:59]}…"


def kind(value: JSONValue) -> str:
    """The kind of a JSON value, in words."""
    for types, words in ((str, "a string"), (bool, "true or false"), ((int, float), "a number"), (list, "an array")):
        if isinstance(value, types):
            return words
    return "null" if value is None else "an object"


class SessionProblems:
    """Compares documents with the schema `Session` of the contract."""

    def __init__(self, components: Mapping[str, Any]) -> None:
        """Compile the schema; `components` are the named schemas of the contract."""
        session = components["Session"]
        self._components = components
        self._required = session["required"]
        self.properties = {name: schemas.resolve(schema, components) for name, schema in session["properties"].items()}
        self._errors = schemas.compile_schema({"$ref": "#/components/schemas/Session"}, components).iter_errors

    def find(self, document: dict[str, JSONValue], known: Iterable[Problem], id_name: str) -> list[Problem]:
        """Problems with names first; then the known ones and the schema's, one for each value, in the contract's order.

        `id_name` is the name that the document gives its `id`.
        """
        found = {each.path: each for each in known}
        misfits = {path[0] for path in found}
        missing = [name for name in self._required if name not in document and name not in misfits]
        problems = []
        for name in document:
            if name not in self.properties:
                nearest = difflib.get_close_matches(name, missing, 1)
                missing = [each for each in missing if each not in nearest]
                hint = f" (did you mean {nearest[0]}?)" if nearest else ""
                problems.append(Problem((name,), f"is not a property of a session{hint}"))
        *others, last = [id_name if name == "id" else name for name in missing] or [""]
        if others:
            problems.append(Problem((), f"{', '.join(others)} and {last} are missing"))
        elif last:
            problems.append(Problem((last,), "is missing"))
        for error in sorted(self._errors(document), key=_rank):
            path = tuple(error.instance_path)
            if path and path[0] in self.properties and path[0] not in misfits:
                found.setdefault(path, Problem(path, self._reason(error)))
        order = {name: place for place, name in enumerate(self.properties)}
        misfitting = sorted(found.values(), key=lambda each: order.get(str(each.path[0]), -1))
        return problems + [Problem((id_name,), each.reason) if each.path == ("id",) else each for each in misfitting]

    def _reason(self, error: ValidationError) -> str:
        name, *rest = error.instance_path
        schema = self.properties[str(name)]
        if rest:
            schema = schemas.resolve(schema["items"], self._components)
        value: Any = error.instance
        match error.kind.name:
            case "type":
                wanted = _TYPES[schema["type"]] + (" or null" if schema.get("nullable") else "")
                return f"must be {wanted}, not {value if isinstance(value, float) else kind(value)}"
            case "minimum" | "maximum":
                return f"must be from {schema['minimum']} to {schema['maximum']}, not {value}"
            case "maxLength" | "maxItems" as rule:
                items = "characters" if rule == "maxLength" else "items"
                return f"must have at most {schema[rule]} {items}, not {len(value)}"
            case "format":
                return f"names a day or a time that does not exist: {shown(value)}"
        return f"must be {schemas.describe(schema)}, not {shown(value)}"


def _name(name: str) -> str:
    return name if re.fullmatch(r"[\w$-]{1,60}", name, re.ASCII) else shown(name)


def _rank(error: ValidationError) -> int:
    return _TELLING.index(error.kind.name) if error.kind.name in _TELLING else len(_TELLING)
