"""Loading the contract: read it, check it, compile it. All of it happens once, at start-up."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

from openapi.documents import DocumentList, compile_document_list
from openapi.errors import ContractError, ContractViolation
from openapi.json import JSONValue
from openapi.parameters import Parameters, compile_parameters
from openapi.schemas import compile_schema

CONTRACT = Path(__file__).with_name("openapi.yaml")

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_PROBLEM = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the contract, compiled."""

    operation_id: str
    required_scopes: frozenset[str] | None
    """What a token must be permitted to do; None when the operation is marked public with `security: []`."""
    parameters: Parameters
    responses: Mapping[int, Callable[[JSONValue], None]]
    """By status: a check of the body, which raises `ContractViolation`."""
    documents: DocumentList | None
    """The list of documents that a success answers; None when it answers something else."""
    contract_digest: bytes
    """Of the contract that it stands in: what is made from the contract is made anew when that changes."""


@dataclass(frozen=True, slots=True)
class Contract:
    """The contract as the server uses it."""

    source: bytes
    """The file as it was written."""
    document: Mapping[str, Any]
    operations: Mapping[str, Operation]

    @property
    def schemas(self) -> Mapping[str, Any]:
        """The named schemas (`components/schemas`)."""
        return _named_schemas(self.document)


def load(path: Path = CONTRACT) -> Contract:
    """Read, check and compile a contract.

    Raises:
        ContractError: naming everything that is wrong with it.
    """
    # Here and not above: what serves nothing has no use for it, and it takes a fifth of a second.
    from openapi_spec_validator import OpenAPIV30SpecValidator  # noqa: PLC0415

    source = path.read_bytes()
    document = _parse(source)
    # An OpenAPI document that is not one cannot be looked at any further.
    if problems := [_worded(error) for error in OpenAPIV30SpecValidator(document).iter_errors()]:
        raise ContractError(problems)
    operations: dict[str, Operation] = {}
    problems = list(_examples_at_odds(document))
    for place, operation in _operations(document):
        try:
            compiled = _compile(operation, document, blake2b(source, digest_size=16).digest())
        except ValueError as error:
            problems.append(f"{place}: {error}")
        else:
            operations[compiled.operation_id] = compiled
    if problems:
        raise ContractError(problems)
    return Contract(source, document, operations)


def schemas(path: Path = CONTRACT) -> Mapping[str, Any]:
    """The named schemas of a contract, for what serves nothing: the rest of it is not looked at.

    Raises:
        ContractError: when it is not an OpenAPI document.
    """
    return _named_schemas(_parse(path.read_bytes()))


def _named_schemas(document: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = document["components"]["schemas"]
    return found


class _Loader(yaml.CSafeLoader):
    """YAML as JSON sees it: no dates (they stay text), and no key twice in one mapping."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    keys = [str(loader.construct_object(key)) for key, _ in node.value]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise yaml.MarkedYAMLError(problem=f"the key {twice[0]} stands twice", problem_mark=node.start_mark)
    values = (loader.construct_object(value, deep=True) for _, value in node.value)
    return dict(zip(keys, values, strict=True))


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def _parse(source: bytes) -> dict[str, Any]:
    try:
        document = yaml.load(source, _Loader)  # noqa: S506 - a subclass of the safe loader
    except yaml.YAMLError as error:
        raise ContractError([f"not YAML: {' '.join(str(error).split())}"]) from None
    if not isinstance(document, dict) or not str(document.get("openapi")).startswith("3.0."):
        raise ContractError(["not an OpenAPI 3.0 document (Connexion 3.3 reads no other): it must begin openapi: 3.0.3"])
    return document


def _worded(error: Any) -> str:
    place = "/".join(str(part) for part in error.absolute_path) or "document"
    return f"{place}: {error.message.splitlines()[0]}"


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                shared = item.get("parameters", [])
                yield (
                    f"{method.upper()} {path}",
                    {**item[method], "parameters": [*shared, *item[method].get("parameters", [])]},
                )


def _compile(operation: Mapping[str, Any], document: Mapping[str, Any], contract_digest: bytes) -> Operation:
    schemas = document["components"]["schemas"]
    if "operationId" not in operation:
        raise ValueError("has no operationId, so no handler can be found for it")
    if "requestBody" in operation:
        raise ValueError("has a requestBody; this server reads none")
    return Operation(
        operation_id=operation["operationId"],
        required_scopes=_required_scopes(operation, document),
        parameters=compile_parameters([_resolve(parameter, document) for parameter in operation["parameters"]], schemas),
        responses=dict(_responses(operation, document)),
        documents=_documents(operation, document),
        contract_digest=contract_digest,
    )


def _required_scopes(operation: Mapping[str, Any], document: Mapping[str, Any]) -> frozenset[str] | None:
    scopes = operation.get("x-required-scopes")
    if operation.get("security", document.get("security")) in ([], None):
        if scopes:
            raise ValueError("names x-required-scopes, but its security is empty, so no token is asked for")
        if "security" not in operation:
            raise ValueError("has no security; mark it public with security: [] if that is meant")
        return None
    if not isinstance(scopes, list) or not scopes or not all(isinstance(scope, str) and scope for scope in scopes):
        raise ValueError("must name the permissions it needs in x-required-scopes, or be public (security: [])")
    return frozenset(scopes)


def _responses(
    operation: Mapping[str, Any], document: Mapping[str, Any]
) -> Iterator[tuple[int, Callable[[JSONValue], None]]]:
    for status, response in operation["responses"].items():
        content = _resolve(response, document).get("content", {})
        expected = "application/json" if status.startswith("2") else _PROBLEM
        if set(content) - {expected}:
            raise ValueError(f"response {status} must be {expected}")
        if content:
            schema = content[expected]["schema"]
            components = document["components"]["schemas"]
            yield (
                int(status),
                _body_check(compile_schema(schema, components, quick=True), compile_schema(schema, components)),
            )


def _documents(operation: Mapping[str, Any], document: Mapping[str, Any]) -> DocumentList | None:
    content = _resolve(operation["responses"].get("200", {}), document).get("content", {})
    if "application/json" not in content:
        return None
    try:
        return compile_document_list(content["application/json"]["schema"], document["components"]["schemas"])
    except ValueError as error:
        raise ValueError(f"response 200 {error}") from None


def _body_check(quick: jsonschema_rs.Draft4Validator, written: jsonschema_rs.Draft4Validator) -> Callable[[JSONValue], None]:
    """What refuses a body: the quick schema says whether, and the one that was written says where and why."""

    def check(body: JSONValue) -> None:
        if not quick.is_valid(body):
            error = next(written.iter_errors(body))
            place = "/".join(str(part) for part in error.instance_path)
            raise ContractViolation(f"the answer breaks {error.schema_path[-1]} at {place or 'its root'}")

    return check


def _resolve(item: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a reference to another part of the document; anything else is returned as it is."""
    while "$ref" in item:
        target: Any = document
        for part in item["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        item = target
    return item


def _examples_at_odds(document: Mapping[str, Any]) -> Iterator[str]:
    """Every example that its own schema refuses: readers copy examples."""
    schemas = document["components"]["schemas"]
    for place, item in _walk(document, ()):
        if "schema" in item:
            schema, examples = item["schema"], list(_examples(item))
        elif place[:2] == ("components", "schemas") and "example" in item and "type" in item:
            schema, examples = item, [("example", item["example"])]
        else:
            continue
        validator = compile_schema(schema, schemas)
        for name, example in examples:
            for error in validator.iter_errors(example):
                yield f"{'/'.join((*place, name))}: {error.message}"


def _examples(item: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    if "example" in item:
        yield "example", item["example"]
    for name, example in item.get("examples", {}).items():
        yield f"examples/{name}", example["value"]


def _walk(item: Any, place: Sequence[str]) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    if isinstance(item, Mapping):
        yield tuple(place), item
        for key, value in item.items():
            if key not in ("example", "examples"):
                yield from _walk(value, (*place, key))
    elif isinstance(item, list):
        for index, value in enumerate(item):
            yield from _walk(value, (*place, str(index)))
