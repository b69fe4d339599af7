"""From the path, query and headers of a request to the handler's arguments.

What a request sends is checked name by name, so that one refusal lists everything that is wrong with it. The cost of a
refusal has a bound, however many names a request invents.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes

from openapi.errors import InvalidParameters, ParameterError
from openapi.values import Parameter, compile_parameter

Header: TypeAlias = tuple[bytes, bytes]
"""A header as ASGI has it: the name in lower case, and the value."""

_MAX_NAME = 100  # characters of an unknown name that are sent back
_MAX_ERRORS = 100  # what the contract's schema Problem allows
_MAX_COMPARED = 3  # unknown names that difflib compares with the known ones, which is slow; of more, none is compared
_MAX_COMPARED_NAME = 40  # characters of such a name
_SEPARATORS = re.compile(r"[^a-z0-9]+")


class Parameters:
    """The parameters of one operation, compiled."""

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self._path = {parameter.name: parameter for parameter in parameters if parameter.location == "path"}
        self._query = {parameter.name: parameter for parameter in parameters if parameter.location == "query"}
        self._headers = {
            parameter.name.lower().encode(): parameter for parameter in parameters if parameter.location == "header"
        }
        self._by_lower_case = {name.lower(): parameter for name, parameter in self._query.items()}
        self._required = [parameter for parameter in parameters if parameter.required]
        # Of more pairs than this, one has an unknown name or is one too many of its name: the rest need not be read.
        self._capacity = sum(parameter.capacity for parameter in self._query.values())
        self.arguments = {
            parameter.argument: parameter.required for parameter in parameters if parameter.location != "header"
        }
        """The names under which the handler gets the values of path and query, and whether each is always present."""

    def read(self, path: Mapping[str, str], query: bytes, headers: Iterable[Header]) -> dict[str, Any]:
        """Turn the path and the query of a request into the handler's arguments; those that were not sent are absent.

        `path` holds the decoded path parameters, `query` is the raw query string, and `headers` are as ASGI has them.

        Raises:
            InvalidParameters: naming every parameter that is unknown, repeated, missing or wrong, declared headers included.
        """
        sent = [(self._path[name], [value]) for name, value in path.items()]
        given = _split(query, self._capacity + 1)
        unknown = [name for name in given if name not in self._query]
        errors = [self._unknown(name, compare=len(unknown) <= _MAX_COMPARED) for name in unknown[:_MAX_ERRORS]]
        for name, values in given.items():
            if name not in self._query:
                continue
            if None in values:
                errors.append(self._query[name].error("must be UTF-8 when its percent-encoding is undone"))
            else:
                sent.append((self._query[name], [value for value in values if value is not None]))
        sent += self._sent_headers(headers)
        arguments = _read(sent, errors)
        named = {parameter.name for parameter, _ in sent} | {error["name"] for error in errors}
        errors += [parameter.error("is missing") for parameter in self._required if parameter.name not in named]
        if errors:
            raise InvalidParameters(errors[:_MAX_ERRORS])
        return {parameter.argument: value for parameter, value in arguments if parameter.location != "header"}

    def read_headers(self, headers: Iterable[Header]) -> dict[str, Any]:
        """The declared headers of a request, by the contract's names; those that were not sent are absent.

        Raises:
            InvalidParameters: naming every declared header that breaks the contract. `read` raises the same, with the rest.
        """
        errors: list[ParameterError] = []
        values = _read(self._sent_headers(headers), errors)
        if errors:
            raise InvalidParameters(errors)
        return {parameter.name: value for parameter, value in values}

    def _sent_headers(self, headers: Iterable[Header]) -> list[tuple[Parameter, list[str]]]:
        """The declared headers; several lines of one name are one list (RFC 9110, section 5.3)."""
        lines: dict[bytes, list[str]] = {}
        for name, value in headers:
            if name in self._headers:
                lines.setdefault(name, []).append(value.decode("latin-1"))
        return [(self._headers[name], [", ".join(values)]) for name, values in lines.items()]

    def _unknown(self, name: str, *, compare: bool) -> ParameterError:
        shown = name if len(name) <= _MAX_NAME else name[: _MAX_NAME - 1] + "…"
        hint = self._hint(name, compare=compare) if len(name) <= _MAX_COMPARED_NAME else ""
        return {"location": "query", "name": shown, "message": f"is not a parameter of this request{hint}"}

    def _hint(self, name: str, *, compare: bool) -> str:
        plain = name.partition("[")[0]
        if plain != name and plain in self._query:
            return f"; write {self._query[plain].usage}"
        bare = _SEPARATORS.sub("", plain.lower())
        near = [bare] if bare in self._by_lower_case else []
        if compare and not near:
            near = get_close_matches(bare, self._by_lower_case, n=1)
        return f"; did you mean {self._by_lower_case[near[0]].name}?" if near else ""


def _read(sent: Iterable[tuple[Parameter, Sequence[str]]], errors: list[ParameterError]) -> list[tuple[Parameter, Any]]:
    """The value of each parameter; what is wrong with the others is added to `errors`."""
    values = []
    for parameter, texts in sent:
        try:
            values.append((parameter, parameter.read(texts)))
        except ValueError as error:
            errors.append(parameter.error(str(error)))
    return values


def _split(query: bytes, most: int) -> dict[str, list[str | None]]:
    """The values sent under each name, percent-decoded; None stands for one that is not UTF-8. Reads `most` pairs."""
    sent: dict[str, list[str | None]] = {}
    for pair in islice(filter(None, query.split(b"&")), most):
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
