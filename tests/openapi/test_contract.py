"""The contract itself, and what the server does with one that is not in order."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from openapi_spec_validator import validate

from db.demo import DOCUMENTED_SESSION
from openapi.contract import CONTRACT, load
from openapi.errors import ContractError, ContractViolation

DOCUMENT: dict[str, Any] = dict(load().document)
LIST = DOCUMENT["paths"]["/v1/workspace/{workspaceId}/sessions"]["get"]


def test_the_contract_is_a_valid_openapi_3_0_document() -> None:
    validate(yaml.safe_load(CONTRACT.read_bytes()))
    assert DOCUMENT["openapi"] == "3.0.3"


def test_the_operation_is_the_documented_one() -> None:
    assert LIST["operationId"] == "list_sessions"
    assert LIST["tags"] == ["Sessions"]
    assert LIST["x-required-scopes"] == ["sessions.view"]


def test_every_documented_answer_is_in_the_contract() -> None:
    answered = "200 304 400 401 403 404 405 408 413 414 429 431 500 503"
    assert set(LIST["responses"]) == set(answered.split())


def test_the_documented_session_is_an_example_of_the_contract() -> None:
    examples = LIST["responses"]["200"]["content"]["application/json"]["examples"]
    assert examples["one"]["value"] == {"sessions": [DOCUMENTED_SESSION]}


def test_a_session_has_exactly_its_twenty_properties_all_required_and_no_others() -> None:
    session = DOCUMENT["components"]["schemas"]["Session"]
    assert session["additionalProperties"] is False
    assert sorted(session["required"]) == sorted(session["properties"]) == sorted(DOCUMENTED_SESSION)
    assert len(session["properties"]) == 20


def test_everything_that_a_reader_meets_has_a_description() -> None:
    bare = [
        f"{kind}/{name}"
        for kind in ("parameters", "headers", "responses", "schemas", "securitySchemes")
        for name, item in DOCUMENT["components"][kind].items()
        if not item.get("description")
    ]
    assert bare == []


def test_every_parameter_and_every_error_has_an_example() -> None:
    components = DOCUMENT["components"]
    # A cursor goes with one question only; Swagger UI would fill an example in, and it would be refused.
    parameters = {name: item for name, item in components["parameters"].items() if name != "Cursor"}
    bare = [name for name, item in parameters.items() if not {"example", "examples"} & set(item)]
    bare += [
        name
        for name, item in components["responses"].items()
        if "content" in item and not item["content"]["application/problem+json"].get("examples")
    ]
    assert bare == []


def test_every_text_is_bounded() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    texts = {name: item for name, item in schemas.items() if item.get("type") == "string"}
    unbounded = [name for name, item in texts.items() if not {"maxLength", "enum"} & set(item)]
    # A date filter is read by rules that its description gives; they bound it.
    assert unbounded == ["DateTimeFilter"]


def _at(document: dict[str, Any], *path: str) -> Any:
    for part in path:
        document = document[part]
    return document


_OPERATION = ("paths", "/v1/workspace/{workspaceId}/sessions", "get")
_PARAMETERS = ("components", "parameters")


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda d: d.update(openapi="3.1.0"), "not an OpenAPI 3.0 document"),
        (lambda d: d.pop("info"), '"info" is a required property'),
        (lambda d: _at(d, *_OPERATION).pop("responses"), "responses"),
        (lambda d: _at(d, *_OPERATION).pop("operationId"), "has no operationId"),
        (lambda d: _at(d, *_OPERATION).pop("x-required-scopes"), "must name the permissions it needs"),
        (lambda d: _at(d, *_OPERATION).update({"x-required-scopes": "sessions.view"}), "must name the permissions"),
        (lambda d: _at(d, *_OPERATION).update(security=[]), "its security is empty"),
        (lambda d: d.pop("security") and _at(d, *_OPERATION).pop("x-required-scopes"), "has no security"),
        (lambda d: _at(d, *_PARAMETERS, "ServiceIds").update(explode=True), "explode: false"),
        (lambda d: _at(d, *_PARAMETERS, "ServiceIds", "schema").pop("minItems"), "give it minItems"),
        (lambda d: _at(d, *_PARAMETERS, "Status").update(schema={"type": "number", "description": "N."}), "type number"),
        (lambda d: _at(d, *_PARAMETERS, "Status").update(schema={"type": "string"}), "lacks 'description'"),
        (lambda d: _at(d, *_PARAMETERS, "Status").update({"in": "header"}), "stands in header"),
        (
            lambda d: _at(d, *_PARAMETERS, "ClientId").update(example="no id"),
            "components/parameters/ClientId/example",
        ),
        (lambda d: _at(d, "components", "schemas", "Id").update(example="no id"), "components/schemas/Id/example"),
        (
            lambda d: _at(d, "components", "responses", "NotFound", "content").update({"text/plain": {}}),
            "response 404 must be application/problem+json",
        ),
        (lambda d: _at(d, *_OPERATION).update(requestBody={"content": {}}), "requestBody"),
    ],
)
def test_a_contract_that_is_not_in_order_is_refused_with_the_place(
    tmp_path: Path, spoil: Callable[[dict[str, Any]], None], problem: str
) -> None:
    document = copy.deepcopy(DOCUMENT)
    spoil(document)
    file = tmp_path / "openapi.yaml"
    file.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    with pytest.raises(ContractError) as refused:
        load(file)
    assert problem in str(refused.value)


def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    document = copy.deepcopy(DOCUMENT)
    _at(document, "components", "schemas", "Id")["example"] = "no id"
    _at(document, *_OPERATION).pop("x-required-scopes")
    file = tmp_path / "openapi.yaml"
    file.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    with pytest.raises(ContractError) as refused:
        load(file)
    assert len(refused.value.problems) == 2


@pytest.mark.parametrize("text", ["a: [", "openapi: 3.0.3\nopenapi: 3.0.3\n", "- a", "null", "\tx"])
def test_a_file_that_is_no_yaml_document_of_openapi_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "openapi.yaml"
    file.write_text(text)
    with pytest.raises(ContractError):
        load(file)


def test_a_public_operation_asks_for_no_permission(tmp_path: Path) -> None:
    document = copy.deepcopy(DOCUMENT)
    operation = _at(document, *_OPERATION)
    operation["security"] = []
    del operation["x-required-scopes"]
    file = tmp_path / "openapi.yaml"
    file.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    assert load(file).operations["list_sessions"].required_scopes is None


def test_a_body_that_breaks_the_contract_is_reported_by_place_and_never_by_value() -> None:
    check = load().operations["list_sessions"].responses[200]
    check({"sessions": [DOCUMENTED_SESSION]})
    with pytest.raises(ContractViolation) as violation:
        check({"sessions": [DOCUMENTED_SESSION, {**DOCUMENTED_SESSION, "clientName": "x" * 1001}]})
    assert str(violation.value) == "the answer breaks maxLength at sessions/1/clientName"
