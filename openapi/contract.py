"""Loading the contract: read it, check it, compile it. All of it happens once, at start-up."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from openapi_spec_validator import OpenAPIV30SpecValidator

from openapi import references
from openapi.documents import DocumentList, compile_document_list
from openapi.errors import ContractError
from openapi.parameters import Parameters, compile_parameters
from openapi.references import follow
from openapi.source import read

CONTRACT = Path(__file__).with_name("openapi.yaml")

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the contract, compiled."""

    operation_id: str
    required_scopes: frozenset[str] | None
    """The permissions that a token needs; None for an operation that `security: []` makes public."""
    parameters: Parameters
    documents: DocumentList
    """The body of a 200."""
    contract_digest: bytes
    """A digest of the whole contract file, part of every entity tag: a new contract invalidates cached responses."""


@dataclass(frozen=True, slots=True)
class Contract:
    """The contract as the server uses it."""

    source: bytes
    """The bytes of the file."""
    document: Mapping[str, Any]
    schemas: Mapping[str, Any]
    """The named schemas (`components/schemas`)."""
    operations: Mapping[str, Operation]


def load(path: Path = CONTRACT) -> Contract:
    """Read, check and compile a contract.

    Raises:
        ContractError: naming every problem and its place.
    """
    source = path.read_bytes()
    document = read(source)
    # Each check relies on a document that has passed those before it.
    if problems := references.problems(document) or _form_problems(document):
        raise ContractError(problems)
    schemas = document.get("components", {}).get("schemas", {})
    digest = blake2b(source, digest_size=16).digest()
    operations: dict[str, Operation] = {}
    for place, operation in _operations(document):
        try:
            compiled = _compile(operation, document, schemas, digest)
        except ValueError as error:
            problems.append(f"{place}: {str(error).splitlines()[0]}")
        else:
            operations[compiled.operation_id] = compiled
    if problems:
        raise ContractError(problems)
    return Contract(source, document, schemas, operations)


def _form_problems(document: dict[str, Any]) -> list[str]:
    """Every place where a document breaks the OpenAPI specification."""
    problems = []
    try:
        for error in OpenAPIV30SpecValidator(document).iter_errors():
            place = "/".join(map(str, error.absolute_path)) or "document"
            problems.append(f"{place}: {error.message.splitlines()[0][:200]}")
    except (AssertionError, AttributeError, LookupError, TypeError, ValueError) as failure:
        # The validator stumbles over errors that it has reported: they say more than where it stumbled.
        return problems or [f"not a valid OpenAPI document: {type(failure).__name__} {failure}"]
    return problems


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                parameters = [*item.get("parameters", []), *item[method].get("parameters", [])]
                yield f"{method.upper()} {path}", {**item[method], "parameters": parameters}


def _compile(
    operation: Mapping[str, Any], document: Mapping[str, Any], schemas: Mapping[str, Any], contract_digest: bytes
) -> Operation:
    if "operationId" not in operation:
        raise ValueError("has no operationId, so no handler can be found for it")
    if "requestBody" in operation:
        raise ValueError("has a requestBody; this server reads none")
    content = follow(operation["responses"].get("200", {}), document).get("content", {})
    if content.keys() != {"application/json"} or "schema" not in content["application/json"]:
        raise ValueError("must respond with 200 and one schema, for application/json")
    return Operation(
        operation_id=operation["operationId"],
        required_scopes=_required_scopes(operation, document),
        parameters=compile_parameters([follow(parameter, document) for parameter in operation["parameters"]], schemas),
        documents=compile_document_list(content["application/json"]["schema"], schemas),
        contract_digest=contract_digest,
    )


def _required_scopes(operation: Mapping[str, Any], document: Mapping[str, Any]) -> frozenset[str] | None:
    scopes = operation.get("x-required-scopes")
    if operation.get("security", document.get("security")) in ([], None):
        if scopes:
            raise ValueError("names x-required-scopes, but its security is empty, so it requires no token")
        if "security" not in operation:
            raise ValueError("has no security; mark it public with security: [] if that is meant")
        return None
    if not isinstance(scopes, list) or not scopes or not all(isinstance(scope, str) and scope for scope in scopes):
        raise ValueError("must name the permissions it needs in x-required-scopes, or be public (security: [])")
    return frozenset(scopes)
