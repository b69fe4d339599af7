"""From the path, query and headers of a request to the handler's arguments.

Each name is checked, so that one refusal lists every error. The cost of a refusal has a bound, however many names or escapes
a request has.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import Any, TypeAlias

from openapi.errors import InvalidParameters, ParameterError
from openapi.values import Parameter, compile_parameter

Header: TypeAlias = tuple[bytes, bytes]
"""A header as ASGI has it: the name in lower case, and the value."""

_MAX_NAME = 100  # characters of an unknown name that are sent back
_MAX_UNKNOWN = 50  # unknown names that are sent back
_MAX_COMPARED = 3  # unknown names that difflib compares with the known ones, which is slow; of more, none is compared
_MAX_COMPARED_NAME = 40  # characters of such a name
_SEPARATORS = re.compile(r"[^a-z0-9]+")


class Parameters:
    """The parameters of one operation, compiled."""

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self._path = {each.name: each for each in parameters if each.location == "path"}
        self._query = {each.name: each for each in parameters if each.location == "query"}
        self._headers = {each.name.lower().encode(): each for each in parameters if each.location == "header"}
        self._by_lower_case = {name.lower(): parameter for name, parameter in self._query.items()}
        self._required = [each for each in parameters if each.required]
        # Of more pairs than this, one has an unknown name or is one too many of its name: the rest need not be read.
        self._max_pairs = sum(each.max_repeats for each in self._query.values()) + 1
        self.arguments = {each.argument: each.required for each in parameters if each.location != "header"}
        """The names under which the handler gets the values of path and query, and whether each is always present."""

    def read(self, path: Mapping[str, str], query: bytes, headers: Iterable[Header]) -> dict[str, Any]:
        """Return the handler's arguments; parameters that were not sent are absent.

        `path` holds the decoded path parameters, `query` is the raw query string, and `headers` are as ASGI has them.

        Raises:
            InvalidParameters: naming every parameter that is unknown, repeated, missing or wrong, declared headers included.
        """
        values = split_query(query, self._max_pairs)
        unknown = [name for name in values if name not in self._query]
        errors = [self._unknown(name, compare=len(unknown) <= _MAX_COMPARED) for name in unknown[:_MAX_UNKNOWN]]
        # A value is decoded when its parameter is read, so that a value that is not UTF-8 is an error of this parameter.
        sent: dict[Parameter, Iterable[str]] = {self._path[name]: [value] for name, value in path.items()}
        sent |= {self._query[name]: map(decode, values[name]) for name in values if name in self._query}
        sent |= self._sent_headers(headers)
        arguments = {}
        for parameter, texts in sent.items():
            try:
                value = parameter.read(list(texts))
            except ValueError as error:
                errors.append(parameter.error(str(error)))
            else:
                if parameter.location != "header":
                    arguments[parameter.argument] = value
        errors += [parameter.error("is missing") for parameter in self._required if parameter not in sent]
        if errors:
            raise InvalidParameters(errors)
        return arguments

    def _sent_headers(self, headers: Iterable[Header]) -> dict[Parameter, list[str]]:
        """The declared headers; several lines of one name are one list (RFC 9110, section 5.3)."""
        lines: dict[Parameter, list[str]] = {}
        for name, value in headers:
            if name in self._headers:
                lines.setdefault(self._headers[name], []).append(value.decode("latin-1"))
        return {parameter: [", ".join(values)] for parameter, values in lines.items()}

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


def split_query(query: bytes, max_pairs: int | None = None) -> dict[str, list[bytes]]:
    """The values sent under each name, still encoded, of the first `max_pairs` pairs."""
    sent: dict[str, list[bytes]] = {}
    for pair in islice(filter(None, query.split(b"&")), max_pairs):
        name, _, value = pair.partition(b"=")
        try:
            decoded = decode(name)
        except ValueError:
            decoded = name.decode("ascii", "replace")  # an unknown name, which is only ever shown to its sender
        sent.setdefault(decoded, []).append(value)
    return sent


def decode(value: bytes) -> str:
    """Decode a name or a value of a query string (`application/x-www-form-urlencoded`).

    Python's codec for `\\x2C` reads all of `%2C` in one call of C; urllib.parse takes several steps for each escape.

    Raises:
        ValueError: when an escape is incomplete, or the result is not UTF-8.
    """
    value = value.replace(b"+", b" ")
    try:
        if b"%" in value:
            value = value.replace(b"\\", b"\\\\").replace(b"%", b"\\x").decode("unicode_escape").encode("latin-1")
        return value.decode()
    except UnicodeDecodeError:
        raise ValueError("must be percent-encoded UTF-8") from None


def compile_parameters(parameters: Sequence[Mapping[str, Any]], components: Mapping[str, Any]) -> Parameters:
    """Compile the Parameter Objects of an operation, references resolved.

    Raises:
        ValueError: naming the first parameter that this server does not read.
    """
    compiled = []
    for parameter in parameters:
        try:
            compiled.append(compile_parameter(parameter, components))
        except ValueError as error:
            raise ValueError(f"parameter {parameter['name']} {error}") from None
    return Parameters(compiled)
