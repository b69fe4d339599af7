"""A response that is a list of documents, which are stored as the bytes that are answered.

The body is `{"member":[` + the documents joined by commas + `]}`. `compile_document_list` proves from the schema that it is
valid when each document is, so that documents can be checked one by one.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from openapi.errors import ContractViolation
from openapi.schemas import compile_schema, resolve

_OBJECT = {"type", "description", "example", "properties", "required", "additionalProperties"}
_ARRAY = {"type", "description", "example", "items"}


@dataclass(frozen=True, slots=True)
class DocumentList:
    """A response body with one member, an array of documents."""

    member: str
    check: Callable[[bytes], dict[str, Any]]
    """Reads a document; raises `ContractViolation` when it is not one of this list."""

    def begin(self) -> bytes:
        return b'{"%s":[' % self.member.encode()

    def end(self) -> bytes:
        return b"]}"

    def body(self, documents: list[bytes]) -> bytes:
        return b"".join((self.begin(), b",".join(documents), self.end()))


def compile_document_list(schema: Mapping[str, Any], components: Mapping[str, Any]) -> DocumentList:
    """Compile the schema of a response body.

    Raises:
        ValueError: when the body is anything else than one array of documents, without a limit on their number.
    """
    envelope = resolve(schema, components)
    properties = envelope.get("properties", {})
    if (
        len(properties) != 1
        or envelope.get("required") != list(properties)
        or envelope.get("additionalProperties") is not False
    ):
        raise ValueError("must be an object with one property, which is required, and no others")
    member, array = next(iter(properties.items()))
    if (
        envelope.get("type") != "object"
        or array.get("type") != "array"
        or array.keys() - _ARRAY
        or envelope.keys() - _OBJECT
    ):
        raise ValueError(f"must have an array in {member}, and no further rules for it")
    return DocumentList(member, _document_check(array["items"], components))


def _document_check(schema: Mapping[str, Any], components: Mapping[str, Any]) -> Callable[[bytes], dict[str, Any]]:
    quick = compile_schema(schema, components, quick=True).is_valid
    written = compile_schema(schema, components)

    def check(document: bytes) -> dict[str, Any]:
        value = _read(document)
        if not quick(value):
            error = next(written.iter_errors(value))
            place = "/".join(str(part) for part in error.instance_path)
            raise ContractViolation(f"a document breaks {error.schema_path[-1]} at {place or 'its root'}")
        return value

    return check


def _read(document: bytes) -> dict[str, Any]:
    """The value of a document that every reader of JSON reads alike: UTF-8, and no member twice in one object."""
    try:
        value = orjson.loads(document)
        if orjson.dumps(value) != document:
            # Something is spelled in another way, or a member was dropped because it stands twice.
            json.loads(document, object_pairs_hook=_unique, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        raise ContractViolation("a document is not JSON that all readers read alike") from None
    if not isinstance(value, dict):
        raise ContractViolation("a document is not an object")
    return value


def _unique(members: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in members]
    if len(set(names)) != len(names):
        raise ValueError("a member stands twice")
