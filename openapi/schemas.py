"""How a schema of the contract becomes a native validator.

OpenAPI 3.0 schemas are JSON Schema drafts with two differences that matter here: `nullable`, and references into
`#/components/schemas`. `to_json_schema` removes both, and `compile_schema` hands the result to `jsonschema_rs` (Rust).
`quicken` rewrites a schema so that it accepts the same values in less time.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import jsonschema_rs

JSONSchema: TypeAlias = dict[str, Any]

_LINEAR = jsonschema_rs.RegexOptions()
"""The regular expression engine with linear time, without lookaround and backreferences."""

_REFERENCE = "#/components/schemas/"


def to_json_schema(schema: Mapping[str, Any]) -> JSONSchema:
    """Translate an OpenAPI 3.0 Schema Object to JSON Schema draft 4 (OpenAPI 3.0.3, "Schema Object").

    References keep pointing into `components/schemas`; `nullable: true` adds the type `null`.
    """
    if "$ref" in schema:
        return {"$ref": schema["$ref"]}
    translated = {keyword: value for keyword, value in schema.items() if keyword not in _ANNOTATIONS}
    translated = _with_parts(translated, to_json_schema)
    if schema.get("nullable") and "type" in schema:
        translated["type"] = [schema["type"], "null"]
        if "enum" in schema:
            translated["enum"] = [*schema["enum"], None]
    return translated


def quicken(schema: JSONSchema, components: Mapping[str, JSONSchema], within: tuple[str, ...] = ()) -> JSONSchema:
    """Rewrite a JSON Schema so that it accepts the same values in less time.

    - The target of a reference replaces it, unless the reference is `within` its own target.
    - `minProperties` replaces `required` where every property is required and no other is allowed.
    - A search for NUL replaces the pattern that each character of a text is not NUL.
    """
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_REFERENCE)
        return {**schema} if name in within else quicken(components[name], components, (*within, name))

    quick = _with_parts(schema, lambda part: quicken(part, components, within))
    properties = schema.get("properties", {})
    if schema.get("additionalProperties") is False and properties and set(schema.get("required", ())) == set(properties):
        del quick["required"]
        quick["minProperties"] = max(len(properties), schema.get("minProperties", 0))
    if schema.get("pattern") == _NO_NUL and "not" not in schema:
        del quick["pattern"]
        quick["not"] = {"type": "string", "pattern": r"\x00"}
    return quick


_NO_NUL = r"^[^\x00]*$"


_ANNOTATIONS = ("nullable", "example", "description", "title", "default", "deprecated", "discriminator")


def _with_parts(schema: Mapping[str, Any], change: Callable[[Any], JSONSchema]) -> JSONSchema:
    """A schema with `change` applied to each of its subschemas."""
    changed: JSONSchema = {}
    for keyword, value in schema.items():
        match keyword:
            case "properties":
                changed[keyword] = {name: change(property_) for name, property_ in value.items()}
            case "items" | "not":
                changed[keyword] = change(value)
            case "additionalProperties" if isinstance(value, Mapping):
                changed[keyword] = change(value)
            case "allOf" | "anyOf" | "oneOf":
                changed[keyword] = [change(branch) for branch in value]
            case _:
                changed[keyword] = value
    return changed


def compile_schema(
    schema: Mapping[str, Any], components: Mapping[str, Any], *, quick: bool = False
) -> jsonschema_rs.Draft4Validator:
    """Compile one schema, with the named schemas that it may refer to, to a native validator.

    Formats are assertions, so a `date-time` that is no date-time is an error. A `quick` one says whether a value is valid,
    but not which rule of the contract it breaks.
    """
    named = {name: to_json_schema(component) for name, component in components.items()}
    whole = {"allOf": [to_json_schema(schema)]} if "$ref" in schema else to_json_schema(schema)
    if quick:
        whole = quicken(whole, named)
    return jsonschema_rs.Draft4Validator(
        whole | {"components": {"schemas": named}}, validate_formats=True, pattern_options=_LINEAR
    )


def resolve(schema: Mapping[str, Any], components: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a reference into `components/schemas`; a schema without one is returned as it is."""
    while "$ref" in schema:
        schema = components[schema["$ref"].removeprefix(_REFERENCE)]
    return schema


def words(schema: Mapping[str, Any]) -> str:
    """Describe valid values, to stand after "must be": the enum, or the first sentence of the description."""
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    description = " ".join(str(schema["description"]).split()).partition(". ")[0].removesuffix(".")
    if not description:
        raise ValueError("has a schema with an empty description, which error messages are made of")
    return description[0].lower() + description[1:]
