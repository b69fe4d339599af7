"""Loading the contract: read it, check it, compile it. All of it happens once, at start-up."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import jsonschema_rs

from openapi import references, rules
from openapi.documents import DocumentList, compile_document_list
from openapi.errors import ContractError, ContractViolation
from openapi.json import JSONValue
from openapi.parameters import Parameters, compile_parameters
from openapi.references import follow
from openapi.schemas import compile_schema
from openapi.source import read

CONTRACT = Path(__file__).with_name("openapi.yaml")

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_PROBLEM = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the contract, compiled."""

    operation_id: str
    required_scopes: frozenset[str] | None
    """The permissions that a token needs; None for an operation that `security: []` makes public."""
    parameters: Parameters
    responses: Mapping[int, Callable[[JSONValue], None]]
    """By status: a check of the body, which raises `ContractViolation`."""
    documents: DocumentList | None
    """The list of documents that a success answers; None when it answers something else."""
    contract_digest: bytes
    """A digest of the whole contract file, part of every entity tag: a new contract invalidates cached responses."""


@dataclass(frozen=True, slots=True)
class Contract:
    """The contract as the server uses it."""

    source: bytes
    """The bytes of the file."""
    document: Mapping[str, Any]
    operations: Mapping[str, Operation]

    @property
    def schemas(self) -> Mapping[str, Any]:
        """The named schemas (`components/schemas`)."""
        return _named_schemas(self.document)


def load(path: Path = CONTRACT) -> Contract:
    """Read, check and compile a contract.

    Raises:
        ContractError: naming every problem and its place.
    """
    source = path.read_bytes()
    document = _read(source)
    # The other rules rely on a document that the OpenAPI specification allows.
    if problems := _form_problems(document):
        raise ContractError(problems)
    operations: dict[str, Operation] = {}
    problems = list(rules.problems(document))
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
    """The named schemas of a contract, for commands that serve nothing: the rest of it is not checked.

    Raises:
        ContractError: when it is not an OpenAPI document, or has a reference that is not in order.
    """
    return _named_schemas(_read(path.read_bytes()))


def _read(source: bytes) -> dict[str, Any]:
    document = read(source)
    if problems := references.problems(document):
        raise ContractError(problems)
    return document


def _named_schemas(document: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = document.get("components", {}).get("schemas", {})
    return found


def _form_problems(document: dict[str, Any]) -> list[str]:
    """Every place where a document breaks the OpenAPI specification."""
    # Here and not above: commands that serve nothing have no use for it, and the import takes a fifth of a second.
    from openapi_spec_validator import OpenAPIV30SpecValidator  # noqa: PLC0415

    problems = []
    try:
        for error in OpenAPIV30SpecValidator(document).iter_errors():
            place = "/".join(str(part) for part in error.absolute_path) or "document"
            problems.append(f"{place}: {error.message.splitlines()[0][:200]}")
    except (AssertionError, AttributeError, LookupError, TypeError, ValueError) as failure:
        # The validator stumbles over errors that it has reported: they say more than where it stumbled.
        return problems or [f"not a valid OpenAPI document: {type(failure).__name__} {failure}"]
    return problems


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
    schemas = _named_schemas(document)
    if "operationId" not in operation:
        raise ValueError("has no operationId, so no handler can be found for it")
    if "requestBody" in operation:
        raise ValueError("has a requestBody; this server reads none")
    return Operation(
        operation_id=operation["operationId"],
        required_scopes=_required_scopes(operation, document),
        parameters=compile_parameters([follow(parameter, document) for parameter in operation["parameters"]], schemas),
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
        content = follow(response, document).get("content", {})
        expected = "application/json" if status.startswith("2") else _PROBLEM
        if set(content) - {expected}:
            raise ValueError(f"response {status} must be {expected}")
        if content:
            if "schema" not in content[expected]:
                raise ValueError(f"response {status} has no schema")
            schema = content[expected]["schema"]
            components = _named_schemas(document)
            yield (
                int(status),
                _body_check(compile_schema(schema, components, quick=True), compile_schema(schema, components)),
            )


def _documents(operation: Mapping[str, Any], document: Mapping[str, Any]) -> DocumentList | None:
    content = follow(operation["responses"].get("200", {}), document).get("content", {})
    if "application/json" not in content:
        return None
    try:
        return compile_document_list(content["application/json"]["schema"], _named_schemas(document))
    except ValueError as error:
        raise ValueError(f"response 200 {error}") from None


def _body_check(quick: jsonschema_rs.Draft4Validator, written: jsonschema_rs.Draft4Validator) -> Callable[[JSONValue], None]:
    """Check a body with the quick schema, and find the place of a violation with the schema of the contract."""

    def check(body: JSONValue) -> None:
        if not quick.is_valid(body):
            error = next(written.iter_errors(body))
            place = "/".join(str(part) for part in error.instance_path)
            raise ContractViolation(f"the response breaks {error.schema_path[-1]} at {place or 'its root'}")

    return check
