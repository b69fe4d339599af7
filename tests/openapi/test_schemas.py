"""From a schema of the contract to a native validator."""

from typing import Any

import pytest

from openapi.schemas import compile_schema, describe, to_json_schema

COMPONENTS: dict[str, Any] = {
    "Id": {"type": "string", "pattern": "^[a-z]+$"},
    "Invoice": {"type": "object", "nullable": True, "additionalProperties": {"$ref": "#/components/schemas/Id"}},
    "Status": {"type": "string", "nullable": True, "enum": ["on", "off"]},
    "Tree": {
        "type": "object",
        "properties": {"kids": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}}},
        "required": ["kids"],
        "additionalProperties": False,
    },
}
CLOSED = {"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a", "b"], "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "valid", "invalid"),
    [
        ({"$ref": "#/components/schemas/Id"}, ["a"], ["A", "a\n", "", 1, None]),
        ({"$ref": "#/components/schemas/Invoice"}, [None, {}, {"x": "a"}], [{"x": "A"}, [], "a"]),
        ({"$ref": "#/components/schemas/Status"}, [None, "on"], ["other", 1]),
        ({"type": "array", "items": {"$ref": "#/components/schemas/Id"}}, [[], ["a"]], [["a", "A"], None]),
        ({"type": "integer", "nullable": True, "minimum": 1}, [None, 1], [0, "1", 1.5]),
        ({"type": "number", "minimum": 1, "exclusiveMinimum": True}, [1.1], [1]),
        ({"type": "string", "format": "date-time"}, ["2024-01-20T00:00:00.000Z"], ["2024-02-30T00:00:00.000Z", "x"]),
        ({"anyOf": [{"type": "string"}, {"type": "integer", "nullable": True}]}, ["a", 1, None], [1.5, []]),
        ({"allOf": [{"type": "string"}, {"maxLength": 1}]}, ["a"], ["aa", 1]),
        ({"type": "object", "properties": {"a": {"nullable": True, "type": "string"}}}, [{"a": None}], [{"a": 1}]),
        ({"type": "string", "pattern": r"^[^\x00]*$"}, ["", "سارة\n"], ["a\0b"]),
        ({"pattern": r"^[^\x00]*$"}, ["", 1, None, ["\0"]], ["\0"]),
        ({"pattern": r"^[^\x00]*$", "not": {"enum": [1]}}, ["", 2], ["\0", 1]),
        (CLOSED, [{"a": 1, "b": 2}], [{}, {"a": 1}, {"a": 1, "c": 2}, {"a": 1, "b": 2, "c": 3}]),
        (CLOSED | {"required": ["a"]}, [{"a": 1, "b": 2}, {"a": 1}], [{}, {"b": 1}, {"a": 1, "c": 2}]),
        (CLOSED | {"additionalProperties": True}, [{"a": 1, "b": 2, "c": 3}], [{"a": 1, "c": 2}]),
        (CLOSED | {"minProperties": 3}, [], [{"a": 1, "b": 2}, {"a": 1, "b": 2, "c": 3}]),
        (CLOSED | {"minProperties": 1, "maxProperties": 1}, [], [{"a": 1, "b": 2}, {"a": 1}]),
        ({"$ref": "#/components/schemas/Tree"}, [{"kids": []}, {"kids": [{"kids": []}]}], [{}, {"kids": [{"kids": [{}]}]}]),
        ({"type": "array", "items": {"$ref": "#/components/schemas/Tree"}}, [[], [{"kids": []}]], [[{"kids": [1]}]]),
    ],
)
def test_a_compiled_schema_accepts_what_the_contract_allows_and_nothing_else(
    schema: dict[str, Any], valid: list[Any], invalid: list[Any]
) -> None:
    validator = compile_schema(schema, COMPONENTS)
    assert [value for value in valid if not validator.is_valid(value)] == []
    assert [value for value in invalid if validator.is_valid(value)] == []


def test_a_schema_without_a_type_keyword_is_not_nullable() -> None:
    # OpenAPI 3.0.3: nullable takes effect only beside a type in the same schema.
    assert to_json_schema({"nullable": True, "enum": ["a"]}) == {"enum": ["a"]}


def test_a_schema_is_described_by_its_enum_or_else_by_the_first_sentence_of_its_description() -> None:
    assert describe({"description": "An opaque identifier.", "type": "string"}) == "an opaque identifier"
    assert describe({"description": "Its state.", "enum": ["a", "b"]}) == "one of a, b"
