"""Reading the contract file: YAML whose every scalar means the same to every reader.

Tools that read a contract follow YAML 1.1 (PyYAML, SnakeYAML) or YAML 1.2 (js-yaml, ruamel). Where the two differ, as in
`no`, `012` and `2024-01-20`, the file is refused with the line, and so is a key that appears twice.
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from openapi.errors import ContractError

_TAG = "tag:yaml.org,2002:"
_READ_ALIKE = {
    # By the tag that YAML 1.1 gives an unquoted scalar: its forms that have the same meaning in YAML 1.2 (section 10.3.2).
    "null": re.compile("null|Null|NULL|~|"),
    "bool": re.compile("true|True|TRUE|false|False|FALSE"),
    "int": re.compile("[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+"),
    "float": re.compile("[^_:]+"),
    "str": re.compile(r"(?!0o[0-7]+$|[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$).*", re.DOTALL),
}


def read(source: bytes) -> dict[str, Any]:
    """Parse a contract file.

    Raises:
        ContractError: when it is not YAML or not OpenAPI 3.0, or naming every line that could be misread.
    """
    try:
        problems = list(_problems(yaml.compose(source, yaml.CSafeLoader), ()))
        document = None if problems else yaml.load(source, yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise ContractError([f"not YAML: {' '.join(str(error).split())}"]) from None
    except RecursionError:
        raise ContractError(["nested too deeply to be read"]) from None
    if problems:
        raise ContractError(problems)
    if not isinstance(document, dict) or not str(document.get("openapi")).startswith("3.0."):
        raise ContractError(["not an OpenAPI 3.0 document (Connexion 3.3 reads no other): it must begin openapi: 3.0.3"])
    return document


def _problems(node: yaml.Node | None, place: tuple[str, ...]) -> Iterator[str]:
    match node:
        case yaml.MappingNode():
            lines: dict[str, int] = {}
            for key, value in node.value:
                name, line = str(key.value), key.start_mark.line + 1
                if _is_ambiguous(key):
                    yield _ambiguity(key, place)
                elif key.tag != f"{_TAG}str":
                    yield f"{_position(key, place)}: a key must be text; write it in quotes"
                if name in lines:
                    yield f"{_position(key, place)}: the key {name} appears twice; the first is in line {lines[name]}"
                lines.setdefault(name, line)
                yield from _problems(value, (*place, name))
        case yaml.SequenceNode():
            for index, item in enumerate(node.value):
                yield from _problems(item, (*place, str(index)))
        case yaml.ScalarNode() if _is_ambiguous(node):
            yield _ambiguity(node, place)


def _is_ambiguous(node: yaml.Node) -> bool:
    if not isinstance(node, yaml.ScalarNode) or node.style:  # quoted, or a block
        return False
    form = _READ_ALIKE.get(node.tag.removeprefix(_TAG))
    return form is None or form.fullmatch(node.value) is None


def _ambiguity(node: yaml.Node, place: tuple[str, ...]) -> str:
    return f"{_position(node, place)}: {node.value} means one thing in YAML 1.1 and another in YAML 1.2; write it in quotes"


def _position(node: yaml.Node, place: tuple[str, ...]) -> str:
    return f"line {node.start_mark.line + 1}, {'/'.join(place) or 'document'}"
