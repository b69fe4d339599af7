"""Checks of response bodies against the contract, by status."""

from typing import Any

from openapi.contract import load
from openapi.references import follow
from openapi.schemas import compile_schema

_CONTRACT = load()
_RESPONSES = _CONTRACT.document["paths"]["/v1/workspace/{workspaceId}/sessions"]["get"]["responses"]
_CONTENTS = {
    int(status): content
    for status, response in _RESPONSES.items()
    for content in follow(response, _CONTRACT.document).get("content", {}).values()
}
_VALIDATORS = {status: compile_schema(content["schema"], _CONTRACT.schemas) for status, content in _CONTENTS.items()}


def require_valid_body(status: int, body: Any) -> None:
    """Fail when a body breaks the schema that the contract has for responses with this status."""
    assert [error.message for error in _VALIDATORS[status].iter_errors(body)] == []
