"""How one parameter of the contract becomes a function from the texts of a request to the handler's value."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import inflection

from openapi import timestamps
from openapi.errors import ParameterError
from openapi.schemas import compile_schema, resolve, to_json_schema, words

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})")
_RESERVED_HEADERS = ("accept", "content-type", "authorization")  # OpenAPI 3.0.3 ignores parameters with these names


@dataclass(frozen=True, slots=True, eq=False)
class Parameter:
    """One parameter, compiled: where it stands, what may stand in it, and how the handler gets it."""

    name: str
    location: Literal["path", "query", "header"]
    required: bool
    argument: str
    read: Callable[[Sequence[str]], Any]
    """From the texts sent under this name to the handler's value; raises ValueError with the error in words."""
    capacity: int
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
    if location == "header" and name.lower() in _RESERVED_HEADERS:
        raise ValueError("is a header that OpenAPI describes elsewhere; remove the parameter")
    if schema.get("type") == "array":
        if location != "query" or parameter.get("style", "form") != "form" or parameter.get("explode", True):
            raise ValueError("is an array: write it in query, with style: form and explode: false")
        # Commas cannot write an empty array, and a request needs a bound.
        if to_json_schema(schema).keys() != {"type", "items", "minItems", "maxItems"} or schema["minItems"] != 1:
            raise ValueError("is an array: give it minItems: 1, maxItems and no other rules")
        capacity, usage = schema["maxItems"], f"{name}=a,b for several values"
        read = _several(_value(resolve(schema["items"], components), components), capacity)
    else:
        example = parameter.get("example", schema.get("enum", [None])[0])
        capacity, usage = 1, f"{name} without brackets" if example is None else f"{name}={example}"
        read = _one(_value(schema, components))
    required = parameter.get("required", False)
    return Parameter(name, location, required, inflection.underscore(name), read, capacity, usage)


def _one(read: Callable[[str], Any]) -> Callable[[Sequence[str]], Any]:
    def read_one(texts: Sequence[str]) -> Any:
        if len(texts) > 1:
            raise ValueError("must be given once")
        return read(texts[0])

    return read_one


def _several(read: Callable[[str], Any], most: int) -> Callable[[Sequence[str]], tuple[Any, ...]]:
    def read_several(texts: Sequence[str]) -> tuple[Any, ...]:
        # A repeated key means the same as one with commas, which many generated clients rely on.
        items = ",".join(texts).split(",", most)
        if len(items) > most:
            raise ValueError(f"must hold at most {most} values")
        if items == [""]:
            raise ValueError("must not be empty; leave it out to ask for all, or separate values with commas")
        values = []
        for number, item in enumerate(items, 1):
            try:
                values.append(read(item))
            except ValueError as error:
                raise ValueError(f"holds value {number}, which {error}") from None
        return tuple(values)

    return read_several


def _value(schema: Mapping[str, Any], components: Mapping[str, Any]) -> Callable[[str], Any]:
    """Compile a schema to a function from one text to its value, which raises ValueError with the error in words."""
    form = str(schema.get("type"))
    if form == "string" and schema.get("format") == "date-time":
        form = "date-time"
    if form not in _CONVERSIONS:
        raise ValueError(f"has the type {form}; this server reads string, integer and arrays of them")
    convert = _CONVERSIONS[form]
    is_valid = compile_schema(schema, components).is_valid
    message = f"must be {words(schema)}"

    def read(text: str) -> Any:
        try:
            value = convert(text)
        except ValueError:
            raise ValueError(message) from None
        # For a date-time, the contract's text promises more than the format has, and the conversion reads just that.
        if form != "date-time" and not is_valid(value):
            raise ValueError(message)
        return value

    return read


def _integer(text: str) -> int:
    # int() would take signs, spaces, underscores and the digits of every script.
    if not _INTEGER.fullmatch(text):
        raise ValueError
    return int(text)


_CONVERSIONS: Mapping[str, Callable[[str], Any]] = {"string": str, "integer": _integer, "date-time": timestamps.parse}
