"""Name each change of the contract since its last release that breaks a client: `python -m tests.contract.compatibility`.

A client sends what the released contract allows, so the new contract must accept no less. A client reads what the released
contract describes, so the new contract must send no more. Generated code also depends on names, types and formats.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from openapi.contract import CONTRACT

RELEASED = Path(__file__).with_name("released")
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
LIMITS = {"minimum": 1, "minLength": 1, "minItems": 1, "maximum": -1, "maxLength": -1, "maxItems": -1}
"""Limits, and whether a higher one admits fewer values (1) or more (-1)."""
ANNOTATIONS = {"title", "description", "example", "examples", "externalDocs", "deprecated"}
"""Keywords that constrain nothing."""
RULED = {*LIMITS, "pattern", "nullable", "enum", "x-enum-varnames", "required", "properties", "items"}
"""Keywords of a schema that may change one way. All others must stay as they are."""
Object: TypeAlias = Mapping[str, Any]


def resolved(document: Object) -> Object:
    """A contract with each reference replaced by its target; a schema's reference to itself stays."""

    def resolve(item: Any, within: tuple[str, ...] = ()) -> Any:
        if isinstance(item, list):
            return [resolve(value, within) for value in item]
        reference = item.get("$ref") if isinstance(item, dict) else None
        if reference is None or reference in within:
            return {name: resolve(value, within) for name, value in item.items()} if isinstance(item, dict) else item
        target: Any = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
        return resolve(target, (*within, reference))

    return {**resolve(document)}


def breaks(old: Object, new: Object) -> Iterator[str]:
    """Each change from a contract to another that breaks a client, with its place."""
    old, new = resolved(old), resolved(new)
    for kind in ("schemas", "securitySchemes"):  # generators name classes and settings after them
        before, after = (document["components"].get(kind, {}) for document in (old, new))
        yield from _removed(before, after, f"components/{kind}")
    for name in before.keys() & after.keys():
        yield from _changed(
            before[name], after[name], ["type", "scheme", "name", "in"], f"components/securitySchemes/{name}"
        )
    before, after = _operations(old), _operations(new)
    yield from _removed(before, after, "paths")
    for place in before.keys() & after.keys():
        yield from _operation(before[place], after[place], place)


def _operations(document: Object) -> dict[str, Object]:
    """The operations, each with its parameters by place and name, and with the security that applies to it."""
    found: dict[str, Object] = {}
    for path, item in document["paths"].items():
        for method in item.keys() & METHODS:
            parameters = [*item.get("parameters", []), *item[method].get("parameters", [])]
            found[f"{method.upper()} {path}"] = {
                "security": document.get("security", []),
                **item[method],
                "parameters": {f"{each['in']} {each['name']}": each for each in parameters},
            }
    return found


def _operation(old: Object, new: Object, place: str) -> Iterator[str]:
    yield from _changed(old, new, ["operationId", "requestBody"], place)
    for requirement in old["security"] or [{}]:  # the requirements are alternatives
        if requirement not in (new["security"] or [requirement]):
            yield f"{place}: security {requirement} is no longer enough"
    for scope in set(new.get("x-required-scopes", [])) - set(old.get("x-required-scopes", [])):
        yield f"{place}: scope {scope} was not needed"
    before, after = old["parameters"], new["parameters"]
    yield from _removed(before, after, f"{place} parameters")
    for name, parameter in after.items():
        here = f"{place} parameter {name}"
        if parameter.get("required") and not before.get(name, {}).get("required"):
            yield f"{here}: is now required"
        if name in before:
            yield from _changed(before[name], parameter, ["style", "explode", "allowReserved"], here)
            yield from _schema(before[name]["schema"], parameter["schema"], here, sent=False)
    yield from _removed(old["responses"], new["responses"], f"{place} responses")
    for status in old["responses"].keys() & new["responses"].keys():
        yield from _response(old["responses"][status], new["responses"][status], f"{place} {status}")


def _response(old: Object, new: Object, place: str) -> Iterator[str]:
    for part in ("content", "headers"):
        before, after = old.get(part, {}), new.get(part, {})
        yield from _removed(before, after, f"{place} {part}")
        for name in before.keys() & after.keys():
            if before[name].get("required") and not after[name].get("required"):
                yield f"{place} {name}: may now be absent"
            yield from _schema(before[name]["schema"], after[name]["schema"], f"{place} {name}", sent=True)


def _schema(old: Object, new: Object, place: str, *, sent: bool) -> Iterator[str]:
    """Values that one side may send and the other does not expect. The server sends them if `sent`, else the client."""
    yield from _changed(old, new, sorted((old.keys() | new.keys()) - RULED - ANNOTATIONS), place)
    sender, reader = (new, old) if sent else (old, new)
    for limit in LIMITS.keys() & reader.keys():
        if limit not in sender or LIMITS[limit] * sender[limit] < LIMITS[limit] * reader[limit]:
            yield from _changed(old, new, [limit], place)
    if "pattern" in reader:
        yield from _changed(old, new, ["pattern"], place)
    if sender.get("nullable") and not reader.get("nullable"):
        yield f"{place}: {'may now be null' if sent else 'must no longer be null'}"
    if "enum" in reader and not set(sender.get("enum", [object()])) <= set(reader["enum"]):
        yield from _changed(old, new, ["enum"], place)
    before, after = (dict(zip(each.get("enum", []), each.get("x-enum-varnames", []), strict=False)) for each in (old, new))
    yield from _changed(before, after, sorted(before.keys() & after.keys()), f"{place} x-enum-varnames")
    for name in set(reader.get("required", [])) - set(sender.get("required", [])):
        yield f"{place}/{name}: {'may now be absent' if sent else 'is now required'}"
    before, after = old.get("properties", {}), new.get("properties", {})
    yield from _removed(before, after, place)
    if sent and old.get("additionalProperties") is False:
        yield from (f"{place}/{name}: added to a closed object" for name in after.keys() - before.keys())
    for name in before.keys() & after.keys():
        yield from _schema(before[name], after[name], f"{place}/{name}", sent=sent)
    if "items" in old and "items" in new:
        yield from _schema(old["items"], new["items"], f"{place}/[]", sent=sent)


def _removed(old: Object, new: Object, place: str) -> Iterator[str]:
    yield from (f"{place}: {name} removed" for name in sorted(old.keys() - new.keys()))


def _changed(old: Object, new: Object, keywords: Iterable[str], place: str) -> Iterator[str]:
    for keyword in keywords:
        if old.get(keyword) != new.get(keyword):
            yield f"{place}: {keyword} is {new.get(keyword)}, was {old.get(keyword)}"


def main(contract: Path = CONTRACT) -> str | int:
    """0, or what to say when the contract breaks clients."""
    current = yaml.safe_load(contract.read_bytes())
    last = max(RELEASED.glob("*.yaml"), key=lambda file: [int(part) for part in file.stem.split(".")])
    if last.stem.partition(".")[0] != current["info"]["version"].partition(".")[0]:
        return 0  # a new major version may break clients
    found = sorted(breaks(yaml.safe_load(last.read_bytes()), current))
    sys.stdout.writelines(f"{problem}\n" for problem in found)
    return f"The contract breaks clients of {last.stem}; see CONTRIBUTING.md." if found else 0


if __name__ == "__main__":
    sys.exit(main())
