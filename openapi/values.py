"""One parameter of the contract, compiled: from the texts of a request to the value that the handler gets."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import inflection

from openapi import timestamps
from openapi.errors import ParameterError
from openapi.schemas import compile_schema, describe, resolve, to_json_schema

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True, eq=False)
class Parameter:
    """One parameter: its place in a request, its values, and its argument of the handler."""

    name: str
    location: Literal["path", "query", "header"]
    required: bool
    argument: str
    read: Callable[[Sequence[str]], Any]
    """From the texts sent under this name to the handler's value; the message of its ValueError is a predicate."""
    max_repeats: int
    """How many times a request may give it."""
    usage: str
    """How to write it, for a hint."""

    def error(self, message: str) -> ParameterError:
        return {"location": self.location, "name": self.name, "message": message}


def compile_parameter(parameter: Mapping[str, Any], components: Mapping[str, Any]) -> Parameter:
    """Compile one Parameter Object (OpenAPI 3.0.3, "Parameter Object").

    Raises:
        ValueError: when it uses something that this server does not read; better not to start than to misread.
    """
    name, location = parameter["name"], parameter["in"]
    schema = resolve(parameter.get("schema", {}), components)
    if location not in ("path", "query", "header"):
        raise ValueError(f"is in {location}; this server reads parameters in path, query and header")
    if schema.get("type") == "array":
        if location != "query" or parameter.get("style", "form") != "form" or parameter.get("explode", True):
            raise ValueError("is an array: write it in query, with style: form and explode: false")
        # Commas cannot write an empty array, and a request needs a bound.
        if to_json_schema(schema).keys() != {"type", "items", "minItems", "maxItems"} or schema["minItems"] != 1:
            raise ValueError("is an array: give it minItems: 1, maxItems and no other rules")
        max_repeats, usage = schema["maxItems"], f"{name}=a,b for several values"
        read = _array_reader(_value_reader(resolve(schema["items"], components), components), max_repeats)
    else:
        example = parameter.get("example", schema.get("enum", [None])[0])
        max_repeats, usage = 1, f"{name} without brackets" if example is None else f"{name}={example}"
        read = _single_reader(_value_reader(schema, components))
    return Parameter(name, location, parameter.get("required", False), inflection.underscore(name), read, max_repeats, usage)


def _single_reader(read_value: Callable[[str], Any]) -> Callable[[Sequence[str]], Any]:
    def read(texts: Sequence[str]) -> Any:
        if len(texts) > 1:
            raise ValueError("must be given once")
        return read_value(texts[0])

    return read


def _array_reader(read_value: Callable[[str], Any], max_items: int) -> Callable[[Sequence[str]], tuple[Any, ...]]:
    def read(texts: Sequence[str]) -> tuple[Any, ...]:
        # A repeated key means the same as one with commas, which many generated clients rely on.
        items = ",".join(texts).split(",", max_items)
        if len(items) > max_items:
            raise ValueError(f"must hold at most {max_items} values")
        if items == [""]:
            raise ValueError("must not be empty; leave it out to ask for all, or separate values with commas")
        values = []
        for number, item in enumerate(items, 1):
            try:
                values.append(read_value(item))
            except ValueError as error:
                raise ValueError(f"holds value {number}, which {error}") from None
        return tuple(values)

    return read


def _value_reader(schema: Mapping[str, Any], components: Mapping[str, Any]) -> Callable[[str], Any]:
    """Compile a schema to a function from one text to its value; the message of its ValueError is a predicate."""
    is_date_time = schema.get("type") == "string" and schema.get("format") == "date-time"
    kind = "date-time" if is_date_time else str(schema.get("type"))
    if kind not in _CONVERSIONS:
        raise ValueError(f"has the type {kind}; this server reads string, integer and arrays of them")
    convert = _CONVERSIONS[kind]
    is_valid = compile_schema(schema, components).is_valid
    message = f"must be {describe(schema)}"

    def read(text: str) -> Any:
        try:
            value = convert(text)
        except ValueError:
            raise ValueError(message) from None
        # The description of a date-time allows more forms than its format; the conversion reads just those.
        if not is_date_time and not is_valid(value):
            raise ValueError(message)
        return value

    return read


def _integer(text: str) -> int:
    # int() would take signs, spaces, underscores and the digits of every script.
    if not _INTEGER.fullmatch(text):
        raise ValueError
    return int(text)


_CONVERSIONS: Mapping[str, Callable[[str], Any]] = {"string": str, "integer": _integer, "date-time": timestamps.parse}
