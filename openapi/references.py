"""References (`$ref`) of the contract: each names a component of the kind that its place needs, and ends.

openapi-spec-validator stops at the first wrong reference with an exception that does not tell its place, or overlooks it.
"""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeAlias

_KINDS = ("parameters", "responses", "headers", "examples", "requestBodies", "securitySchemes", "links", "callbacks")
_IN_PLACE = ("allOf", "anyOf", "oneOf", "not")
_VALUES = ("example", "value", "default", "enum")

Place: TypeAlias = tuple[str, ...]


def follow(item: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a reference to its target, through others if need be. An item without a reference is returned unchanged.

    The references must have passed `problems`, otherwise this may fail or never end.
    """
    while "$ref" in item:
        _, components, kind, name = item["$ref"].split("/", 3)
        item = document[components][kind][name]
    return item


def problems(document: Mapping[str, Any]) -> list[str]:
    """Every reference that names nothing or something of another kind; if there is none, every one that never ends."""
    objects = list(_objects(document, ()))
    names = ["#/" + "/".join(place) for place, _ in objects if place[:1] == ("components",) and len(place) == 3]
    references = [(place, item["$ref"]) for place, item in objects if "$ref" in item]
    found = [
        f"{'/'.join(place)}/$ref: {problem}"
        for place, reference in references
        if (problem := _problem(reference, _kind(place), names))
    ]
    return found or list(_circles(references))


def _objects(item: Any, place: Place) -> Iterator[tuple[Place, Mapping[str, Any]]]:
    """Every object of a contract with its place, apart from those inside examples and other values."""
    if isinstance(item, Mapping):
        # The keys of some objects are names that the author chose, and no keywords.
        named = place[:1] == ("components",) and len(place) == 2
        named |= place[-1:] == ("properties",) and place[-2:-1] != ("properties",)
        if not named:
            yield place, item
        for key, value in item.items():
            if named or key not in _VALUES:
                yield from _objects(value, (*place, key))
    elif isinstance(item, list):
        for index, value in enumerate(item):
            yield from _objects(value, (*place, str(index)))


def _kind(place: Place) -> str:
    within_schema = "properties" in place[-3:-1]
    return place[-2] if place[-2:-1] and place[-2] in _KINDS and not within_schema else "schemas"


def _problem(reference: Any, kind: str, names: Sequence[str]) -> str | None:
    if not isinstance(reference, str):
        return "is not text"
    if not reference.startswith("#/"):
        return f"{reference} is outside this file; the server reads one file"
    if reference not in names:
        near = get_close_matches(reference, [name for name in names if name.startswith(f"#/components/{kind}/")], n=1)
        return f"{reference} names nothing" + (f"; did you mean {near[0]}?" if near else "")
    if not reference.startswith(f"#/components/{kind}/"):
        return f"{reference} stands where one of #/components/{kind}/ is needed"
    return None


def _circles(references: Sequence[tuple[Place, str]]) -> Iterator[str]:
    """Components whose references lead back to themselves in place, so that resolving them never ends.

    A schema may contain itself as a property or an item, like a tree.
    """
    targets: dict[str, list[str]] = {}
    for place, reference in references:
        if place[:1] == ("components",) and all(part in _IN_PLACE or part.isdigit() for part in place[3:]):
            targets.setdefault("#/" + "/".join(place[:3]), []).append(reference)
    for name in targets:
        reached: list[str] = []
        waiting = [name]
        while waiting:
            found = [target for target in targets.get(waiting.pop(), ()) if target not in reached]
            reached += found
            waiting += found
        if name in reached:
            yield f"{name.removeprefix('#/')}: is circular, through {', '.join(reached)}"
