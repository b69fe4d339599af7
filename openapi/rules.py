"""Rules of a contract beyond the OpenAPI specification: generated clients work, and readers can copy the examples."""

from collections.abc import Iterator, Mapping
from typing import Any

from openapi.references import follow, walk
from openapi.schemas import compile_schema

_TYPES = ("string", "integer", "number", "boolean", "array", "object")
_TEXT_RULES = ("pattern", "minLength", "maxLength")


def problems(document: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[str]:
    """Every place where a contract breaks one of these rules. `schemas` are its named schemas."""
    # Generators make a type of each parameter and of each schema.
    taken = {name.lower(): name for name in schemas}
    for name in document.get("components", {}).get("parameters", {}):
        if name.lower() in taken:
            yield f"components/parameters/{name}: has the name of the schema {taken[name.lower()]}"
    for place, item in walk(document):
        for part, problem in _problems(item, document, schemas):
            yield f"{'/'.join((*place, *part))}: {problem}"


def _problems(
    item: Mapping[str, Any], document: Mapping[str, Any], schemas: Mapping[str, Any]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """What is wrong with one object, and with which part of it."""
    # A generator turns a format into a type (`datetime`), to which rules for text do not apply.
    rules = [rule for rule in _TEXT_RULES if rule in item]
    if item.get("type") == "string" and "format" in item and rules:
        yield (), f"has a format, so it must not have {', '.join(rules)}"

    names, values = item.get("x-enum-varnames"), item.get("enum", [])
    if names is not None and (len(names) != len(values) or len(set(map(str, names))) != len(names)):
        yield ("x-enum-varnames",), "must give each value of enum a name of its own"

    schema = item if item.get("type") in _TYPES else item.get("schema")
    if schema is None:
        return
    try:
        validator = compile_schema(schema, schemas)
    except ValueError as error:
        yield (), f"cannot be compiled: {str(error).splitlines()[0]}"
        return
    for name, example in _examples(item, document):
        for violation in validator.iter_errors(example):
            yield (name,), violation.message


def _examples(item: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    if "example" in item:
        yield "example", item["example"]
    for name, example in item.get("examples", {}).items():
        found = follow(example, document)
        if "value" in found:
            yield f"examples/{name}", found["value"]
