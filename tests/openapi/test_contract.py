"""The contract itself, and the refusal of one that is not in order."""

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate

from db.demo import DOCUMENTED_SESSION
from openapi.contract import CONTRACT, load
from openapi.errors import ContractError
from openapi.schemas import compile_schema

DOCUMENT: dict[str, Any] = dict(load().document)
LIST = DOCUMENT["paths"]["/v1/workspace/{workspaceId}/sessions"]["get"]


def test_the_contract_is_a_valid_openapi_3_0_document() -> None:
    validate(yaml.safe_load(CONTRACT.read_bytes()))
    assert DOCUMENT["openapi"] == "3.0.3"


def test_the_operation_is_the_documented_one() -> None:
    assert LIST["operationId"] == "list_sessions"
    assert LIST["tags"] == ["Sessions"]
    assert LIST["x-required-scopes"] == ["sessions.view"]


def test_every_documented_response_is_in_the_contract() -> None:
    statuses = "200 304 400 401 403 404 405 408 413 414 429 431 500 503"
    assert set(LIST["responses"]) == set(statuses.split())


def test_the_documented_session_is_an_example_of_the_contract() -> None:
    assert DOCUMENT["components"]["examples"]["OneSession"]["value"] == {"sessions": [DOCUMENTED_SESSION]}


def test_the_ids_of_the_filter_by_service_are_ids() -> None:
    # They are written out, since openapi-generator warns of a reference there.
    items = DOCUMENT["components"]["parameters"]["ServiceIds"]["schema"]["items"]
    assert items == DOCUMENT["components"]["schemas"]["Id"]


def test_a_session_has_exactly_its_twenty_properties_all_required_and_no_others() -> None:
    session = DOCUMENT["components"]["schemas"]["Session"]
    assert session["additionalProperties"] is False
    assert sorted(session["required"]) == sorted(session["properties"]) == sorted(DOCUMENTED_SESSION)
    assert len(session["properties"]) == 20


@pytest.mark.parametrize("name", ["date", "createdAt", "updatedAt"])
def test_a_moment_is_a_date_time_without_rules_for_text_and_with_a_description_of_its_own(name: str) -> None:
    schema = DOCUMENT["components"]["schemas"]["Session"]["properties"][name]
    assert (schema["type"], schema["format"]) == ("string", "date-time")
    assert set(schema) == {"type", "format", "description", "example"}


def test_the_orders_have_names_for_generated_enums() -> None:
    sort = DOCUMENT["components"]["schemas"]["SessionSort"]
    assert dict(zip(sort["x-enum-varnames"], sort["enum"], strict=True)) == {
        "DATE": "date",
        "DATE_DESC": "-date",
        "UPDATED_AT": "updatedAt",
        "UPDATED_AT_DESC": "-updatedAt",
    }


def test_no_property_has_a_name_that_is_a_keyword_of_a_common_language() -> None:
    keywords = {"in", "from", "class", "default", "self", "var", "func", "end", "import", "public", "package"}
    schemas = DOCUMENT["components"]["schemas"]
    assert {name for schema in schemas.values() for name in schema.get("properties", {})} & keywords == set()


def test_the_server_is_where_the_document_was_read() -> None:
    assert [server["url"] for server in DOCUMENT["servers"]] == ["."]


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
    # A cursor or an entity tag belongs to one list; Swagger UI would fill an example in, and the server would refuse it.
    parameters = {name: item for name, item in components["parameters"].items() if name not in ("Cursor", "IfNoneMatch")}
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


def _at(document: dict[str, Any], *path: Any) -> Any:
    for part in path:
        document = document[part]
    return document


def places(item: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    children = item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ()
    for key, value in children:
        yield (*place, key)
        yield from places(value, (*place, key))


OBJECTS = {place: item for place in places(DOCUMENT) if isinstance(item := _at(DOCUMENT, *place), dict)}


def test_no_schema_has_both_a_format_and_rules_for_text() -> None:
    # A generator turns a format into a type (`datetime`), to which rules for text do not apply.
    rules = {"format", "pattern"}, {"format", "minLength"}, {"format", "maxLength"}
    assert [place for place, item in OBJECTS.items() if any(pair <= item.keys() for pair in rules)] == []


def test_no_parameter_has_the_name_of_a_schema() -> None:
    # Generators make a type of each.
    names = [{name.lower() for name in DOCUMENT["components"][kind]} for kind in ("parameters", "schemas")]
    assert names[0] & names[1] == set()


def resolved(example: dict[str, Any]) -> dict[str, Any]:
    """An example, or the one that it refers to."""
    reference = example.get("$ref", "").removeprefix("#/components/examples/")
    found: dict[str, Any] = DOCUMENT["components"]["examples"][reference] if reference else example
    return found


def test_every_example_fits_its_schema() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    types = ("string", "integer", "array", "object")
    checked = 0
    for place, item in OBJECTS.items():
        schema: dict[str, Any] = item if item.get("type") in types else item.get("schema", {})
        named = item.get("examples", {}).values()
        examples = [item["example"]] if "example" in item else [resolved(each)["value"] for each in named]
        for example in examples if schema else ():
            assert (place, [each.message for each in compile_schema(schema, schemas).iter_errors(example)]) == (place, [])
            checked += 1
    assert checked > 40


def test_every_error_is_a_problem_document() -> None:
    for name, response in DOCUMENT["components"]["responses"].items():
        if name != "NotModified":
            assert response["content"].keys() == {"application/problem+json"}
            assert response["content"]["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}


_OPERATION = ("paths", "/v1/workspace/{workspaceId}/sessions", "get")
_PARAMETERS = ("components", "parameters")
_BODY = (*_OPERATION, "responses", "200", "content", "application/json")
_SCHEMAS = ("components", "schemas")


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
        (lambda d: _at(d, *_PARAMETERS, "Status").update(schema={"type": "string"}), "schema without a description"),
        (lambda d: _at(d, *_PARAMETERS, "Status").update({"in": "cookie"}), "is in cookie"),
        (lambda d: _at(d, *_PARAMETERS, "ServiceIds", "schema").pop("maxItems"), "maxItems and no other rules"),
        (lambda d: _at(d, *_PARAMETERS, "ServiceIds", "schema").update(uniqueItems=True), "maxItems and no other rules"),
        (lambda d: _at(d, *_PARAMETERS, "ServiceIds", "schema").update(minItems=2), "give it minItems: 1"),
        (lambda d: _at(d, *_SCHEMAS, "Id").update(pattern="("), "'(' is not a 'regex'"),
        (lambda d: _at(d, *_SCHEMAS, "Id").update(pattern="(?=a)"), 'parameter workspaceId "(?=a)" is not a'),
        (lambda d: _at(d, *_OPERATION, "responses").pop("200"), "must respond with 200"),
        (
            lambda d: _at(d, *_BODY[:-1]).update({"text/csv": {}}),
            "one schema, for application/json",
        ),
        (
            lambda d: _at(d, *_BODY).pop("schema"),
            "one schema, for application/json",
        ),
        (
            lambda d: _at(d, *_BODY).update(schema={"type": "array"}),
            "must be an object with one property",
        ),
        (lambda d: _at(d, *_OPERATION).update(requestBody={"content": {}}), "requestBody"),
    ],
)
def test_a_contract_that_is_not_in_order_is_refused_with_the_place(
    tmp_path: Path, spoil: Callable[[dict[str, Any]], None], problem: str
) -> None:
    document = copy.deepcopy(DOCUMENT)
    spoil(document)
    assert problem in str(refusal(tmp_path, document))


def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    document = copy.deepcopy(DOCUMENT)
    path = document["paths"]["/v1/workspace/{workspaceId}/sessions"]
    path["post"] = {**path["get"], "operationId": "create_session", "requestBody": {"content": {}}}
    path["get"].pop("x-required-scopes")
    assert len(refusal(tmp_path, document).problems) == 2


def refusal(folder: Path, document: dict[str, Any] | str) -> ContractError:
    """The error of a contract that cannot be loaded."""
    text = document if isinstance(document, str) else json.dumps(document)
    file = folder / "openapi.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ContractError) as refused:
        load(file)
    return refused.value


@pytest.mark.parametrize(
    ("place", "reference", "problem"),
    [
        (("schemas", "Session", "properties", "id"), "#/components/schemas/Idd", "did you mean #/components/schemas/Id?"),
        (("schemas", "Session", "properties", "id"), "#/components/schema/Id", "did you mean #/components/schemas/Id?"),
        (("schemas", "Session", "properties", "id"), "#/components/schemas", "names nothing"),
        (("schemas", "Session", "properties", "id"), "#/paths", "names nothing"),
        (("schemas", "Session", "properties", "id"), "other.yaml#/Id", "is outside this file"),
        (("schemas", "Session", "properties", "id"), "https://example.org/x", "is outside this file"),
        (("schemas", "Session", "properties", "id"), 5, "is not text"),
        (("schemas", "Session", "properties", "serviceIds", "items"), "#/components/schemas/ID", "#/components/schemas/Id?"),
        (("schemas", "Session", "properties", "id"), "#/components/responses/NotFound", "one of #/components/schemas/"),
        (("responses", "NotFound"), "#/components/responses/NotFond", "names nothing"),
        (("responses", "NotFound"), "#/components/schemas/Problem", "one of #/components/responses/"),
        (("responses", "NotFound", "headers", "RateLimit"), "#/components/headers/Ratelimit", "headers/RateLimit?"),
        (("parameters", "ClientId"), "#/components/parameters/ClientID", "names nothing"),
        (("parameters", "ClientId", "schema"), "#/components/parameters/StaffId", "one of #/components/schemas/"),
    ],
)
def test_a_mistyped_reference_is_named_with_its_place(
    tmp_path: Path, place: tuple[str, ...], reference: object, problem: str
) -> None:
    document = copy.deepcopy(DOCUMENT)
    _at(document, "components", *place[:-1])[place[-1]] = {"$ref": reference}
    error = refusal(tmp_path, document)
    (problem_found,) = [each for each in error.problems if each.startswith(f"components/{'/'.join(place)}/$ref: ")]
    assert problem in problem_found


@pytest.mark.parametrize("name", ["example", "value", "enum", "default", "$ref", "schemas", "properties", "headers"])
def test_a_reference_below_a_property_of_any_name_is_checked(tmp_path: Path, name: str) -> None:
    document = copy.deepcopy(DOCUMENT)
    document["components"]["schemas"]["Note"]["properties"] = {name: {"$ref": "#/components/schemas/Idd"}}
    (problem,) = refusal(tmp_path, document).problems
    assert problem.startswith(f"components/schemas/Note/properties/{name}/$ref: #/components/schemas/Idd names nothing")
    document["components"]["schemas"]["Note"]["properties"] = {name: {"$ref": "#/components/schemas/Id"}}
    file = tmp_path / "openapi.yaml"
    file.write_text(json.dumps(document), encoding="utf-8")
    assert load(file).operations


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda c: c["schemas"].update(Note={"$ref": "#/components/schemas/Note"}), "components/schemas/Note: is circular"),
        (
            lambda c: c["schemas"].update(
                Note={"$ref": "#/components/schemas/Attachment"}, Attachment={"$ref": "#/components/schemas/Note"}
            ),
            "components/schemas/Note: is circular, through #/components/schemas/Attachment, #/components/schemas/Note",
        ),
        (
            lambda c: c["schemas"].update(Note={"allOf": [{"$ref": "#/components/schemas/Note"}]}),
            "components/schemas/Note: is circular",
        ),
        (
            lambda c: c["schemas"].update(
                Note={"anyOf": [{"type": "object"}, {"not": {"$ref": "#/components/schemas/Attachment"}}]},
                Attachment={"oneOf": [{"$ref": "#/components/schemas/Note"}]},
            ),
            "is circular",
        ),
        (
            lambda c: c["parameters"].update(ClientId={"$ref": "#/components/parameters/ClientId"}),
            "components/parameters/ClientId: is circular",
        ),
        (
            lambda c: c["responses"].update(NotFound={"$ref": "#/components/responses/NotFound"}),
            "components/responses/NotFound: is circular",
        ),
    ],
)
def test_a_reference_that_never_ends_is_named(tmp_path: Path, spoil: Callable[[dict[str, Any]], None], problem: str) -> None:
    document = copy.deepcopy(DOCUMENT)
    spoil(document["components"])
    assert problem in str(refusal(tmp_path, document))


def test_all_references_that_never_end_are_named_at_once(tmp_path: Path) -> None:
    document = copy.deepcopy(DOCUMENT)
    for kind, name in ("schemas", "Note"), ("parameters", "ClientId"), ("responses", "NotFound"):
        document["components"][kind][name] = {"$ref": f"#/components/{kind}/{name}"}
    assert len(refusal(tmp_path, document).problems) == 3


def test_a_reference_in_place_of_the_whole_contract_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, {**DOCUMENT, "$ref": "#/components/schemas/Id"}).problems


def test_a_schema_may_contain_itself_as_a_property_or_an_item(tmp_path: Path) -> None:
    document = copy.deepcopy(DOCUMENT)
    note = {"$ref": "#/components/schemas/Note"}
    document["components"]["schemas"]["Note"]["properties"] = {"reply": note, "replies": {"type": "array", "items": note}}
    file = tmp_path / "openapi.yaml"
    file.write_text(json.dumps(document), encoding="utf-8")
    assert load(file).operations


@pytest.mark.parametrize(
    ("written", "instead", "problem"),
    [
        ("[scheduled, in-progress", "[no, in-progress", "enum/0: no means one thing in YAML 1.1"),
        ("[scheduled, in-progress", "[Yes, in-progress", "enum/0: Yes means one thing in YAML 1.1"),
        ("[scheduled, in-progress", "[scheduled, OFF", "enum/1: OFF means one thing in YAML 1.1"),
        ("    SessionStatus:", "    on:", "components/schemas: on means one thing in YAML 1.1"),
        ("    SessionStatus:", "    true:", "components/schemas: a key must be text; write it in quotes"),
        ("    SessionStatus:", "    1.5:", "components/schemas: a key must be text; write it in quotes"),
        ("    SessionStatus:", "    ? [a, b]\n    :", "components/schemas: a key must be text; write it in quotes"),
        ("    SessionStatus:", "    Name:", "components/schemas: the key Name appears twice; the first is in line"),
        ("example: '10:00'", "example: 10:00", "example: 10:00 means one thing in YAML 1.1"),
        ("example: '10:00'", "example: 2024-01-20", "example: 2024-01-20 means one thing in YAML 1.1"),
        ("example: '10:00'", "example: 0123", "example: 0123 means one thing in YAML 1.1"),
        ("example: '10:00'", "example: 507e12", "example: 507e12 means one thing in YAML 1.1"),
        ("example: '10:00'", "example: 1_000", "example: 1_000 means one thing in YAML 1.1"),
        ("example: '10:00'", "example: 0o17", "example: 0o17 means one thing in YAML 1.1"),
        ("    SessionStatus:", "    <<:", "<< means one thing in YAML 1.1"),
    ],
)
def test_yaml_that_readers_could_misread_is_named_with_its_line_and_place(
    tmp_path: Path, written: str, instead: str, problem: str
) -> None:
    text = CONTRACT.read_text(encoding="utf-8")
    assert text.count(written) == 1
    (problem_found,) = refusal(tmp_path, text.replace(written, instead)).problems
    line = text[: text.index(written)].count("\n") + 1
    assert problem_found.startswith(f"line {line}, components/schemas")
    assert problem in problem_found


def test_every_ambiguous_line_is_named_at_once(tmp_path: Path) -> None:
    problems = refusal(tmp_path, "openapi: 3.0.3\na: no\na: [yes, 010]\nb: {c: 1, c: 2, c: 3}\n").problems
    assert [problem.partition(",")[0] for problem in problems] == [
        "line 2",
        "line 3",
        "line 3",
        "line 3",
        "line 4",
        "line 4",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: [",
        "- a",
        "null",
        "\tx",
        "a: *b",
        "a: &a [*a]",
        "openapi: 3.0.3\na: !!python/name:os.system",
        "a: \x00",
        "[" * 5000,
    ],
)
def test_a_file_that_is_not_an_openapi_document_in_yaml_is_refused(tmp_path: Path, text: str) -> None:
    assert refusal(tmp_path, text).problems


_ODD = [None, True, 1, "", "x", [], {}, [None], {"$ref": "#/components/schemas/Id"}, {"$ref": None}, {"type": "string"}]


@settings(max_examples=40)
@given(st.sampled_from(sorted(places(DOCUMENT), key=str)), st.sampled_from(_ODD))
def test_a_contract_that_is_damaged_anywhere_loads_or_is_refused_with_problems(
    tmp_path_factory: pytest.TempPathFactory, place: tuple[Any, ...], value: object
) -> None:
    document = copy.deepcopy(DOCUMENT)
    _at(document, *place[:-1])[place[-1]] = value
    file = tmp_path_factory.getbasetemp() / "damaged.yaml"
    file.write_text(json.dumps(document), encoding="utf-8")
    with suppress(ContractError):
        load(file)


def test_a_public_operation_requires_no_permission(tmp_path: Path) -> None:
    document = copy.deepcopy(DOCUMENT)
    operation = _at(document, *_OPERATION)
    operation["security"] = []
    del operation["x-required-scopes"]
    file = tmp_path / "openapi.yaml"
    file.write_text(json.dumps(document), encoding="utf-8")
    assert load(file).operations["list_sessions"].required_scopes is None
