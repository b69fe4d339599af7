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
_YAML_1_2 = {
    # The core schema (YAML 1.2.2, section 10.3.2).
    "null": re.compile("null|Null|NULL|~|"),
    "bool": re.compile("true|True|TRUE|false|False|FALSE"),
    "int": re.compile("[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"),
    "float": re.compile(
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
    ),
}
_LEADING_ZERO = re.compile("[-+]?0[0-9]+")  # octal in YAML 1.1, decimal in YAML 1.2
_WORDS = {"str": "text", "bool": "a boolean", "int": "a number", "float": "a number", "null": "null", "timestamp": "a date"}


class _Loader(yaml.CSafeLoader):
    """Keys become text, as in JSON."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    return {
        str(loader.construct_object(key, deep=True)): loader.construct_object(value, deep=True) for key, value in node.value
    }


_Loader.add_constructor(f"{_TAG}map", _mapping)


def read(source: bytes) -> dict[str, Any]:
    """Parse a contract file.

    Raises:
        ContractError: when it is not YAML or not OpenAPI 3.0, or naming every line that could be misread.
    """
    loader = _Loader(source)
    try:
        node = loader.get_single_node()
        problems = list(_problems(node, ()))
        document = None if problems or node is None else loader.construct_document(node)
    except yaml.YAMLError as error:
        raise ContractError([f"not YAML: {' '.join(str(error).split())}"]) from None
    except RecursionError:
        raise ContractError(["nested too deeply to be read"]) from None
    finally:
        loader.dispose()
    if problems:
        raise ContractError(problems)
    if not isinstance(document, dict) or not str(document.get("openapi")).startswith("3.0."):
        raise ContractError(["not an OpenAPI 3.0 document (Connexion 3.3 reads no other): it must begin openapi: 3.0.3"])
    return document


def _problems(node: yaml.Node | None, place: tuple[str, ...]) -> Iterator[str]:
    if isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            yield from _key_problems(key, place)
            name, line = str(key.value), key.start_mark.line + 1
            if name in lines:
                yield _at(key, place, f"the key {name} appears twice; the first is in line {lines[name]}")
            lines.setdefault(name, line)
            yield from _problems(value, (*place, name))
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _problems(item, (*place, str(index)))
    elif isinstance(node, yaml.ScalarNode):
        yield from _scalar_problems(node, place)


def _key_problems(key: yaml.Node, place: tuple[str, ...]) -> Iterator[str]:
    problems = list(_scalar_problems(key, place)) if isinstance(key, yaml.ScalarNode) else []
    yield from problems
    if not problems and key.tag not in (f"{_TAG}str", f"{_TAG}int"):
        yield _at(key, place, "a key must be text; write it in quotes")


def _scalar_problems(node: yaml.ScalarNode, place: tuple[str, ...]) -> Iterator[str]:
    if node.style:  # quoted, or a block
        return
    older = node.tag.removeprefix(_TAG)
    newer = next((tag for tag, form in _YAML_1_2.items() if form.fullmatch(node.value)), "str")
    if older != newer:
        older_word, newer_word = _WORDS.get(older, f"a {older}"), _WORDS[newer]
        reason = f"is {older_word} in YAML 1.1 and {newer_word} in YAML 1.2"
        yield _at(node, place, f"{node.value} {reason}; write it in quotes")
    elif older == "int" and _LEADING_ZERO.fullmatch(node.value):
        yield _at(node, place, f"{node.value} is octal in YAML 1.1 and decimal in YAML 1.2; write it in quotes")


def _at(node: yaml.Node, place: tuple[str, ...], problem: str) -> str:
    return f"line {node.start_mark.line + 1}, {'/'.join(place) or 'document'}: {problem}"
