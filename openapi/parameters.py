"""How the parameters of an operation become one function from a request to arguments.

Each Parameter Object is compiled once to a `Parameter`: a native validator and a conversion. What a request sends is then
checked name by name, so that one refusal lists everything that is wrong with it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

import inflection

from openapi import timestamps
from openapi.errors import InvalidParameters, ParameterError
from openapi.schemas import compile_schema, resolve, words

_LONGEST_NAME = 100  # characters of an unknown name that are sent back
_LONGEST_INTEGER = 20  # characters; more than any integer of 64 bits has
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_MOST_ERRORS = 100  # what the contract's schema Problem allows


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter, compiled: where it stands, what may stand in it, and how the handler gets it."""

    name: str
    location: Literal["path", "query"]
    required: bool
    argument: str
    read: Callable[[Sequence[str]], Any]
    """From the texts sent under this name to the handler's value; raises ValueError with what is wrong."""

    def error(self, message: str) -> ParameterError:
        return {"in": self.location, "name": self.name, "message": message}


def compile_parameter(parameter: Mapping[str, Any], components: Mapping[str, Any]) -> Parameter:
    """Compile one Parameter Object (OpenAPI 3.0.3, "Parameter Object").

    Raises:
        ValueError: when it uses something that this server does not read; better not to start than to misread.
    """
    schema = resolve(parameter["schema"], components)
    location, name = parameter["in"], parameter["name"]
    if location not in ("path", "query"):
        raise ValueError(f"stands in {location}; this server reads path and query parameters")
    if schema.get("type") == "array":
        if location != "query" or parameter.get("style", "form") != "form" or parameter.get("explode", True):
            raise ValueError("is an array: write it in query, with style: form and explode: false")
        if not schema.get("minItems"):
            raise ValueError("is a comma-separated array, which cannot be written empty: give it minItems: 1 or more")
        read = _array(schema, components)
    elif schema.get("type") == "integer":
        read = _once(_integer(schema, components))
    elif schema.get("type") == "string":
        read = _once(_date_time(schema) if schema.get("format") == "date-time" else _string(schema, components))
    else:
        raise ValueError(f"has the type {schema.get('type')}; this server reads string, integer and array")
    return Parameter(name, location, bool(parameter.get("required")), inflection.underscore(name), read)


def _once(read: Callable[[str], Any]) -> Callable[[Sequence[str]], Any]:
    def read_once(texts: Sequence[str]) -> Any:
        if len(texts) > 1:
            raise ValueError(f"must be given once; it was given {len(texts)} times")
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
        if len(text) > _LONGEST_INTEGER or _INTEGER.fullmatch(text) is None or not is_valid(number := int(text)):
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
    most = schema.get("maxItems")

    def read(texts: Sequence[str]) -> tuple[str, ...]:
        # A repeated key means the same as one with commas, which many generated clients rely on.
        values = ",".join(texts).split(",")
        if is_valid(values):
            return tuple(values)
        if values == [""]:
            raise ValueError("must not be empty; leave it out to ask for all, or separate values with commas")
        if most is not None and len(values) > most:
            raise ValueError(f"must hold at most {most} values; it holds {len(values)}")
        wrong = next((number for number, value in enumerate(values, 1) if not item_is_valid(value)), None)
        raise ValueError("breaks the contract" if wrong is None else f"holds value {wrong}, which {item_message}")

    return read


class Parameters:
    """The parameters of one operation, compiled."""

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self._path = {parameter.name: parameter for parameter in parameters if parameter.location == "path"}
        self._query = {parameter.name: parameter for parameter in parameters if parameter.location == "query"}
        self._required = [parameter for parameter in parameters if parameter.required]
        self.arguments = {parameter.argument: parameter.required for parameter in parameters}
        """The names under which the handler gets the values, and whether each is always there."""

    def read(self, path: Mapping[str, str], query: bytes) -> dict[str, Any]:
        """Turn what a request sent into the handler's arguments; a parameter that was not sent is not among them.

        `path` holds the decoded path parameters and `query` the raw query string.

        Raises:
            InvalidParameters: naming every parameter that is unknown, repeated, missing or wrong.
        """
        arguments: dict[str, Any] = {}
        errors: list[ParameterError] = []
        sent = [(self._path[name], [value]) for name, value in path.items()]
        for name, values in _split(query).items():
            if name not in self._query:
                errors.append(self._unknown(name))
            elif None in values:
                errors.append(self._query[name].error("must be UTF-8 when its percent-encoding is undone"))
            else:
                sent.append((self._query[name], [value for value in values if value is not None]))
        for parameter, texts in sent:
            try:
                arguments[parameter.argument] = parameter.read(texts)
            except ValueError as error:
                errors.append(parameter.error(str(error)))
        named = {parameter.name for parameter, _ in sent} | {error["name"] for error in errors}
        errors += [parameter.error("is missing") for parameter in self._required if parameter.name not in named]
        if errors:
            raise InvalidParameters(errors[:_MOST_ERRORS])
        return arguments

    def _unknown(self, name: str) -> ParameterError:
        shown = name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
        plain = name.partition("[")[0]
        by_lower_case = {known.lower(): known for known in self._query}
        near = get_close_matches(plain.lower()[:_LONGEST_NAME], by_lower_case, n=1)
        message = "is not a parameter of this request"
        if near and plain != name and plain in self._query:
            message += f"; write {plain}=a,b for several values"
        elif near:
            message += f"; did you mean {by_lower_case[near[0]]}?"
        return {"in": "query", "name": shown, "message": message}


def _split(query: bytes) -> dict[str, list[str | None]]:
    """The values sent under each name, percent-decoded; None stands for one that is not UTF-8."""
    sent: dict[str, list[str | None]] = {}
    for pair in query.split(b"&"):
        if pair:
            name, _, value = pair.partition(b"=")
            decoded = _decode(name)
            # An unknown name is only ever shown to its sender, so what is not UTF-8 in it may be replaced.
            sent.setdefault(name.decode("ascii", "replace") if decoded is None else decoded, []).append(_decode(value))
    return sent


def _decode(text: bytes) -> str | None:
    try:
        return unquote_to_bytes(text.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError:
        return None


def compile_parameters(parameters: Sequence[Mapping[str, Any]], components: Mapping[str, Any]) -> Parameters:
    """Compile the Parameter Objects of an operation, references resolved.

    Raises:
        ValueError: naming the first parameter that this server does not read.
    """
    compiled = []
    for parameter in parameters:
        try:
            compiled.append(compile_parameter(parameter, components))
        except (ValueError, KeyError) as error:
            what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
            raise ValueError(f"parameter {parameter.get('name')} {what}") from None
    return Parameters(compiled)
