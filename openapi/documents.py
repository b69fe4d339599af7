"""A response that is a list of documents, which are stored as the bytes that clients receive.

The body is `{"member":[` + the documents joined by commas + `]}`. `compile_document_list` proves from the schema that this
body is valid when each document is, so that the server can check documents one by one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from openapi.errors import ContractViolation
from openapi.json import decode_strictly
from openapi.schemas import compile_schema, resolve, to_json_schema


@dataclass(frozen=True, slots=True)
class DocumentList:
    """A response body with one member, an array of documents."""

    check: Callable[[bytes], dict[str, Any]]
    """Returns the value of a document; raises `ContractViolation` if it breaks the schema of the items."""
    begin: bytes
    end: bytes = b"]}"

    def body(self, documents: list[bytes]) -> bytes:
        return b"".join((self.begin, b",".join(documents), self.end))


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
    validator = compile_schema(items, components)

    def check(document: bytes) -> dict[str, Any]:
        try:
            value = decode_strictly(document)
        except ValueError:
            raise ContractViolation("a document is not JSON that all readers read alike") from None
        if not isinstance(value, dict):
            raise ContractViolation("a document is not an object")
        if not validator.is_valid(value):
            error = next(validator.iter_errors(value))
            place = "/".join(map(str, error.instance_path)) or "its root"
            raise ContractViolation(f"a document breaks {error.schema_path[-1]} at {place}")
        return value

    return DocumentList(check, b'{"%s":[' % member.encode())
