"""Rules of a contract beyond the OpenAPI specification: generated clients work, and readers can copy the examples."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from openapi.references import follow, holds_names
from openapi.schemas import compile_schema

_TYPES = ("string", "integer", "number", "boolean", "array", "object")
_TEXT_RULES = ("pattern", "minLength", "maxLength")


def problems(document: Mapping[str, Any]) -> Iterator[str]:
    """Every place where a contract breaks one of these rules."""
    yield from _shared_names(document)
    for place, item in _walk(document, ()):
        yield from _format_problems(place, item)
        yield from _name_problems(place, item)
        yield from _example_problems(place, item, document)


def _shared_names(document: Mapping[str, Any]) -> Iterator[str]:
    """Generators make a type of each parameter and of each schema."""
    components = document["components"]
    schemas = {name.lower(): name for name in components.get("schemas", {})}
    for name in components.get("parameters", {}):
        if name.lower() in schemas:
            yield f"components/parameters/{name}: has the name of the schema {schemas[name.lower()]}"


def _format_problems(place: Sequence[str], item: Mapping[str, Any]) -> Iterator[str]:
    """A generator turns a format into a type (`datetime`), to which rules for text do not apply."""
    rules = [rule for rule in _TEXT_RULES if rule in item]
    if item.get("type") == "string" and "format" in item and rules:
        yield f"{'/'.join(place)}: has a format, so it must not have {', '.join(rules)}"


def _name_problems(place: Sequence[str], item: Mapping[str, Any]) -> Iterator[str]:
    names, values = item.get("x-enum-varnames"), item.get("enum", [])
    if names is not None and (len(names) != len(values) or len(set(map(str, names))) != len(names)):
        yield f"{'/'.join(place)}/x-enum-varnames: must give each value of enum a name of its own"


def _example_problems(place: Sequence[str], item: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    """Every example that its own schema refuses, and every pattern that cannot be compiled."""
    schemas = document["components"].get("schemas", {})
    if "schema" in item:
        schema, examples = item["schema"], list(_examples(item, document))
    elif item.get("type") in _TYPES and ("example" in item or place[:-1] == ("components", "schemas")):
        schema, examples = item, list(_examples(item, document))
    else:
        return
    try:
        validator = compile_schema(schema, schemas)
    except ValueError as error:
        yield f"{'/'.join(place)}: cannot be compiled: {str(error).splitlines()[0]}"
        return
    for name, example in examples:
        for violation in validator.iter_errors(example):
            yield f"{'/'.join((*place, name))}: {violation.message}"


def _examples(item: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    if "example" in item:
        yield "example", item["example"]
    for name, example in item.get("examples", {}).items():
        found = follow(example, document)
        if "value" in found:
            yield f"examples/{name}", found["value"]


def _walk(item: Any, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    if isinstance(item, Mapping):
        yield place, item
        for key, value in item.items():
            if key not in ("example", "examples") or holds_names(place):
                yield from _walk(value, (*place, key))
    elif isinstance(item, list):
        for index, value in enumerate(item):
            yield from _walk(value, (*place, str(index)))
