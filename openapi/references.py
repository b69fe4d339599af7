"""References (`$ref`) of the contract: each names something in the contract, of the kind that its place needs, and ends."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

_KINDS = ("parameters", "responses", "headers", "examples", "requestBodies", "securitySchemes", "links", "callbacks")
_IN_PLACE = ("allOf", "anyOf", "oneOf", "not")


def follow(item: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a reference to its target, through others if need be. An item without a reference is returned unchanged.

    The references must have passed `problems`, otherwise this may fail or never end.
    """
    while "$ref" in item:
        item = _target(item["$ref"], document)
    return item


def problems(document: Mapping[str, Any]) -> list[str]:
    """Every reference that names nothing, something of another kind, or itself."""
    names = [f"#/components/{kind}/{name}" for kind, items in _components(document).items() for name in items]
    found = []
    for place, reference in _references(document, ()):
        problem = _problem(reference, _kind(place), names)
        if problem:
            found.append(f"{'/'.join(place)}/$ref: {problem}")
    return found or list(_circles(document))


def _components(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    components = document.get("components")
    items = components.items() if isinstance(components, Mapping) else ()
    return {kind: named for kind, named in items if isinstance(named, Mapping)}


def _references(item: Any, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(item, Mapping):
        if "$ref" in item and not holds_names(place):
            yield place, item["$ref"]
            return
        for key, value in item.items():
            if key not in ("example", "value", "default", "enum") or holds_names(place):
                yield from _references(value, (*place, key))
    elif isinstance(item, list):
        for index, value in enumerate(item):
            yield from _references(value, (*place, str(index)))


def holds_names(place: tuple[str, ...]) -> bool:
    """Whether the keys of the mapping at this place are names that the author chose, and no keywords."""
    return place == ("components", "schemas") or (place[-1:] == ("properties",) and place[-2:-1] != ("properties",))


def _kind(place: Sequence[str]) -> str:
    within_schema = "properties" in place[-3:-1]
    return place[-2] if place[-2:-1] and place[-2] in _KINDS and not within_schema else "schemas"


def _problem(reference: Any, kind: str, names: Sequence[str]) -> str | None:
    if not isinstance(reference, str):
        return "is not text"
    if not reference.startswith("#/"):
        return f"{reference} is outside this file; the server reads one file"
    if reference in names and reference.startswith(f"#/components/{kind}/"):
        return None
    if reference in names:
        return f"{reference} stands where one of #/components/{kind}/ is needed"
    near = get_close_matches(reference, [name for name in names if name.startswith(f"#/components/{kind}/")], n=1)
    return f"{reference} names nothing" + (f"; did you mean {near[0]}?" if near else "")


def _target(reference: str, document: Mapping[str, Any]) -> Any:
    _, components, kind, name = reference.split("/", 3)
    return document[components][kind][name]


def _circles(document: Mapping[str, Any]) -> Iterator[str]:
    """Components whose references lead back to themselves in place, so that resolving them never ends.

    A schema may contain itself as a property or an item, like a tree.
    """
    told: set[str] = set()
    for kind, items in _components(document).items():
        for name in items:
            start = f"#/components/{kind}/{name}"
            if start not in told and (circle := _way_back(start, document, (start,))):
                told.update(circle)
                yield f"components/{kind}/{name}: is circular: {' → '.join(circle)}"


def _way_back(reference: str, document: Mapping[str, Any], way: tuple[str, ...]) -> tuple[str, ...] | None:
    for following in _in_place(_target(reference, document)):
        if following == way[0]:
            return (*way, following)
        if following not in way and (found := _way_back(following, document, (*way, following))):
            return found
    return None


def _in_place(item: Any) -> Iterator[str]:
    if isinstance(item, Mapping):
        if "$ref" in item:
            yield item["$ref"]
        else:
            for keyword in _IN_PLACE:
                yield from _in_place(item.get(keyword))
    elif isinstance(item, list):
        for each in item:
            yield from _in_place(each)
