"""The check for changes that break clients: it names each classic break, and lets compatible changes pass."""

import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from openapi.contract import CONTRACT
from tests.contract.compatibility import RELEASED, breaks, main

DOCUMENT = yaml.safe_load(CONTRACT.read_bytes())
PATH = "/v1/workspace/{workspaceId}/sessions"

Edit = Callable[[dict[str, Any]], Any]


def operation(document: dict[str, Any]) -> Any:
    return document["paths"][PATH]["get"]


def parameter(document: dict[str, Any], name: str) -> Any:
    return document["components"]["parameters"][name]


def schema(document: dict[str, Any], name: str) -> Any:
    return document["components"]["schemas"][name]


def response(document: dict[str, Any], status: str) -> Any:
    return operation(document)["responses"][status]


def replace(items: list[dict[str, str]], component: str, instead: dict[str, Any] | None = None) -> None:
    """Replace, or remove, the reference to a component."""
    index = next(index for index, item in enumerate(items) if item["$ref"].endswith(f"/{component}"))
    items[index : index + 1] = [instead] if instead else []


NEW = {"name": "room", "in": "query", "schema": {"type": "string"}}
FEWER_PAGES = {"type": "integer", "format": "int32", "minimum": 1, "maximum": 500}

BREAKS: dict[str, tuple[Edit, str]] = {
    "an operation is removed": (lambda d: d["paths"].pop(PATH), f"paths: GET {re.escape(PATH)} removed"),
    "a parameter is removed": (lambda d: replace(operation(d)["parameters"], "StaffId"), "query staffId removed"),
    "a new parameter is required": (
        lambda d: operation(d)["parameters"].append({**NEW, "required": True}),
        "query room: is now required",
    ),
    "an optional parameter is required": (
        lambda d: parameter(d, "ClientId").update(required=True),
        "query clientId: is now required",
    ),
    "a parameter takes fewer values": (
        lambda d: parameter(d, "Status").update(schema={"type": "string", "enum": ["scheduled"]}),
        "query status: enum",
    ),
    "a parameter's limit is narrower": (lambda d: parameter(d, "Limit").update(schema=FEWER_PAGES), "limit: maximum is 500"),
    "a property has another type": (
        lambda d: schema(d, "Session")["properties"]["durationMinutes"].update(type="number"),
        "durationMinutes: type is number",
    ),
    "a property is removed": (
        lambda d: (schema(d, "Session")["properties"].pop("name"), schema(d, "Session")["required"].remove("name")),
        r"sessions/\[\]: name removed",
    ),
    "a property may be absent": (
        lambda d: schema(d, "Session")["required"].remove("notes"),
        "sessions/.*/notes: may now be absent",
    ),
    "a response has a new value": (
        lambda d: schema(d, "SessionStatus")["enum"].append("postponed"),
        r"sessions/\[\]/status: enum",
    ),
    "a status is removed": (lambda d: operation(d)["responses"].pop("404"), "responses: 404 removed"),
    "a media type is replaced": (
        lambda d: response(d, "200").update(content={"text/csv": {"schema": {"type": "string"}}}),
        "200 content: application/json removed",
    ),
    "another scope is needed": (lambda d: operation(d)["x-required-scopes"].append("admin"), "scope admin"),
    "another security scheme is needed": (
        lambda d: operation(d).update(security=[{"bearerAuth": [], "key": []}]),
        r"security .* is no longer enough",
    ),
    "the operationId is another": (lambda d: operation(d).update(operationId="get_sessions"), "operationId is get_sessions"),
    "an array is written in another way": (lambda d: parameter(d, "ServiceIds").update(explode=True), "explode is True"),
    "a value may be null": (
        lambda d: schema(d, "Session")["properties"]["clientName"].update(nullable=True),
        "clientName: may now be null",
    ),
    "a format is dropped": (lambda d: schema(d, "DateTimeFilter").pop("format"), "dateFrom: format is None"),
    "a header is removed": (lambda d: response(d, "200")["headers"].pop("Next-Cursor"), "headers: Next-Cursor removed"),
    "a property is added to a closed object": (
        lambda d: schema(d, "Session")["properties"].update(room={"type": "string"}),
        "room: added to a closed object",
    ),
    "a name in generated code is another": (
        lambda d: schema(d, "SessionSort")["x-enum-varnames"].__setitem__(0, "BY_DATE"),
        "x-enum-varnames: date is BY_DATE",
    ),
    "a schema has another name": (
        lambda d: (
            d["components"]["schemas"].update(Page=d["components"]["schemas"].pop("SessionList"))
            or response(d, "200")["content"]["application/json"].update(schema={"$ref": "#/components/schemas/Page"})
        ),
        "components/schemas: SessionList removed",
    ),
}

COMPATIBLE: dict[str, Edit] = {
    "a new parameter is optional": lambda d: operation(d)["parameters"].append(NEW),
    "a parameter takes another value": lambda d: parameter(d, "Sort").update(
        schema={**schema(d, "SessionSort"), "enum": ["date", "-date", "updatedAt", "-updatedAt", "name"]}
    ),
    "a parameter's limit is wider": lambda d: schema(d, "PageSize").update(maximum=5000),
    "a description is another": lambda d: parameter(d, "ClientId").update(description="Only sessions of this client."),
    "a response has another header": lambda d: response(d, "200")["headers"].update(Age={"schema": {"type": "string"}}),
    "a new operation": lambda d: d["paths"].update({"/v1/new": {"get": {**operation(d), "operationId": "list_new"}}}),
    "another example": lambda d: schema(d, "Session")["properties"]["clientName"].update(example="Jane Doe"),
    "a new error status": lambda d: operation(d)["responses"].update({"410": {"description": "Gone"}}),
    "a schema moves into a component": lambda d: (
        d["components"]["schemas"].update(Duration=schema(d, "Session")["properties"]["durationMinutes"]),
        schema(d, "Session")["properties"].update(durationMinutes={"$ref": "#/components/schemas/Duration"}),
    ),
}


def edited(edit: Edit) -> dict[str, Any]:
    document: dict[str, Any] = deepcopy(DOCUMENT)
    edit(document)
    assert document != DOCUMENT
    return document


@pytest.mark.parametrize("change", BREAKS)
def test_a_change_that_breaks_clients_is_named(change: str) -> None:
    edit, words = BREAKS[change]
    assert any(re.search(words, problem) for problem in breaks(DOCUMENT, edited(edit)))


@pytest.mark.parametrize("change", COMPATIBLE)
def test_a_compatible_change_passes(change: str) -> None:
    assert list(breaks(DOCUMENT, edited(COMPATIBLE[change]))) == []


def test_the_contract_breaks_no_client_of_the_last_release() -> None:
    assert main() == 0


def test_the_command_fails_on_a_break_and_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "openapi.yaml"
    file.write_text(yaml.safe_dump(edited(BREAKS["a parameter is removed"][0])), encoding="utf-8")
    assert str(main(file)).startswith("The contract breaks clients of 1.")
    assert "query staffId removed" in capsys.readouterr().out


def test_a_new_major_version_may_break_clients(tmp_path: Path) -> None:
    file = tmp_path / "openapi.yaml"
    document = edited(BREAKS["an operation is removed"][0])
    document["info"]["version"] = "2.0.0"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    assert main(file) == 0


def test_a_released_contract_is_named_by_its_version() -> None:
    released = list(RELEASED.glob("*.yaml"))
    assert released
    assert [file.stem for file in released] == [yaml.safe_load(file.read_bytes())["info"]["version"] for file in released]
