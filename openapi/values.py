"""How one parameter of the contract becomes a function from the texts of a request to the handler's value.

Each Parameter Object is compiled once to a `Parameter`: a native validator and a conversion.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import inflection

from openapi import timestamps
from openapi.errors import ParameterError
from openapi.schemas import compile_schema, resolve, words

_MAX_INTEGER = 20  # characters; more than any integer of 64 bits has
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_RESERVED_HEADERS = ("accept", "content-type", "authorization")  # OpenAPI 3.0.3 ignores parameters with these names


@dataclass(frozen=True, slots=True)
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
    schema = resolve(parameter["schema"], components)
    location, name = parameter["in"], parameter["name"]
    if location not in ("path", "query", "header"):
        raise ValueError(f"is in {location}; this server reads parameters in path, query and header")
    if location == "header" and name.lower() in _RESERVED_HEADERS:
        raise ValueError("is a header that OpenAPI describes elsewhere; remove the parameter")
    capacity = 1
    if schema.get("type") == "array":
        if location != "query" or parameter.get("style", "form") != "form" or parameter.get("explode", True):
            raise ValueError("is an array: write it in query, with style: form and explode: false")
        if not schema.get("minItems"):
            raise ValueError("is a comma-separated array, which cannot be written empty: give it minItems: 1 or more")
        if "maxItems" not in schema:
            raise ValueError("is an array: give it maxItems, so that a request has a bound")
        read, capacity = _array(schema, components), schema["maxItems"]
    elif schema.get("type") == "integer":
        read = _once(_integer(schema, components))
    elif schema.get("type") == "string":
        read = _once(_date_time(schema) if schema.get("format") == "date-time" else _string(schema, components))
    else:
        raise ValueError(f"has the type {schema.get('type')}; this server reads string, integer and array")
    return Parameter(
        name,
        location,
        bool(parameter.get("required")),
        inflection.underscore(name),
        read,
        capacity,
        _usage(parameter, schema),
    )


def _usage(parameter: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    name = parameter["name"]
    if schema["type"] == "array":
        return f"{name}=a,b for several values"
    example = parameter.get("example", schema.get("enum", [None])[0])
    return f"{name} without brackets" if example is None else f"{name}={example}"


def _once(read: Callable[[str], Any]) -> Callable[[Sequence[str]], Any]:
    def read_once(texts: Sequence[str]) -> Any:
        if len(texts) > 1:
            raise ValueError("must be given once")
        return read(texts[0])

    return read_once


def _string(schema: Mapping[str, Any], components: Mapping[str, Any]) -> Callable[[str], str]:
    is_valid = compile_schema(schema, components).is_valid
    message = f"must be {words(schema)}"

    def read(text: str) -> str:
        if not is_valid(text):
            raise ValueError(message)
        return text

    return read


def _integer(schema: Mapping[str, Any], components: Mapping[str, Any]) -> Callable[[str], int]:
    is_valid = compile_schema(schema, components).is_valid
    message = f"must be {words(schema)}"

    def read(text: str) -> int:
        # int() would take signs, spaces, underscores and the digits of every script.
        if len(text) > _MAX_INTEGER or _INTEGER.fullmatch(text) is None or not is_valid(number := int(text)):
            raise ValueError(message)
        return number

    return read


def _date_time(schema: Mapping[str, Any]) -> Callable[[str], timestamps.Span]:
    # Here the contract stops: its text promises more forms than the format `date-time` has.
    message = f"must be {words(schema)}"

    def read(text: str) -> timestamps.Span:
        try:
            return timestamps.parse(text)
        except ValueError:
            raise ValueError(message) from None

    return read


def _array(schema: Mapping[str, Any], components: Mapping[str, Any]) -> Callable[[Sequence[str]], tuple[str, ...]]:
    items = resolve(schema["items"], components)
    if items.get("type") != "string":
        raise ValueError(f"has items of type {items.get('type')}; this server reads arrays of strings")
    is_valid = compile_schema(schema, components).is_valid
    item_is_valid = compile_schema(items, components).is_valid
    item_message = f"must be {words(items)}"
    most = schema["maxItems"]

    def read(texts: Sequence[str]) -> tuple[str, ...]:
        # A repeated key means the same as one with commas, which many generated clients rely on.
        values = ",".join(texts).split(",", most)
        if len(values) > most:
            raise ValueError(f"must hold at most {most} values")
        if is_valid(values):
            return tuple(values)
        if values == [""]:
            raise ValueError("must not be empty; leave it out to ask for all, or separate values with commas")
        wrong = next((number for number, value in enumerate(values, 1) if not item_is_valid(value)), None)
        raise ValueError("breaks the contract" if wrong is None else f"holds value {wrong}, which {item_message}")

    return read
