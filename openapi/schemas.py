"""From a schema of the contract to a native validator.

A schema of OpenAPI 3.0 is one of JSON Schema draft 4, but for `nullable` and for references into `#/components/schemas`.
`jsonschema_rs` (Rust) compiles it.
"""

from collections.abc import Mapping
from typing import Any

import jsonschema_rs

_REFERENCE = "#/components/schemas/"
_ANNOTATIONS = ("nullable", "example", "description", "title", "default", "deprecated", "discriminator")
_LINEAR = jsonschema_rs.RegexOptions()
"""The regular expression engine with linear time, without lookaround and backreferences."""


def to_json_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Translate an OpenAPI 3.0 Schema Object to JSON Schema draft 4 (OpenAPI 3.0.3, "Schema Object").

    References keep pointing into `components/schemas`; `nullable: true` adds the type `null`.
    """
    if "$ref" in schema:
        return {"$ref": schema["$ref"]}
    translated = {keyword: value for keyword, value in schema.items() if keyword not in _ANNOTATIONS}
    for keyword, value in translated.items():
        match keyword:
            case "properties":
                translated[keyword] = {name: to_json_schema(property_) for name, property_ in value.items()}
            case "items" | "not" | "additionalProperties" if isinstance(value, Mapping):
                translated[keyword] = to_json_schema(value)
            case "allOf" | "anyOf" | "oneOf":
                translated[keyword] = [to_json_schema(branch) for branch in value]
    properties = schema.get("properties")
    if properties and schema.get("additionalProperties") is False and set(schema.get("required", ())) == set(properties):
        # The same rule by a count of the members, which takes less time than a search for each name.
        del translated["required"]
        translated["minProperties"] = max(len(properties), schema.get("minProperties", 0))
    if schema.get("nullable") and "type" in schema:
        translated["type"] = [schema["type"], "null"]
        if "enum" in schema:
            translated["enum"] = [*schema["enum"], None]
    return translated


def compile_schema(schema: Mapping[str, Any], components: Mapping[str, Any]) -> jsonschema_rs.Draft4Validator:
    """Compile one schema, with the named schemas that it may refer to.

    Formats are assertions, so a `date-time` that is no date-time is an error.
    """
    named = {name: to_json_schema(component) for name, component in components.items()}
    whole = to_json_schema(resolve(schema, components)) | {"components": {"schemas": named}}
    return jsonschema_rs.Draft4Validator(whole, validate_formats=True, pattern_options=_LINEAR)


def resolve(schema: Mapping[str, Any], components: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a reference into `components/schemas`; a schema without one is returned as it is."""
    while "$ref" in schema:
        schema = components[schema["$ref"].removeprefix(_REFERENCE)]
    return schema


def describe(schema: Mapping[str, Any]) -> str:
    """Describe valid values, to follow "must be": the enum, or the first sentence of the description."""
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    description = " ".join(schema.get("description", "").split()).partition(". ")[0].removesuffix(".")
    if not description:
        raise ValueError("has a schema without a description, which error messages are made of")
    return description[0].lower() + description[1:]
