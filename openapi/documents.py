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
from openapi.schemas import compile_check, resolve, to_json_schema


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
    properties: Mapping[str, Any] = envelope.get("properties", {})
    member = next(iter(properties), "")
    items = properties.get(member, {}).get("items", {})
    expected = {
        "type": "object",
        "additionalProperties": False,
        "required": [member],
        "properties": {member: {"type": "array", "items": items}},
    }
    if to_json_schema(envelope) != to_json_schema(expected):
        raise ValueError("must be an object with one property, required and an array, and have no further rules")
    fits = compile_check(items, components, "a document")

    def check(document: bytes) -> dict[str, Any]:
        value = _read(document)
        fits(value)
        return value

    return DocumentList(member, check)


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
    if len({name for name, _ in members}) != len(members):
        raise ValueError("a member stands twice")
