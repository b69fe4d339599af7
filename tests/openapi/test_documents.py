"""Lists of documents: the envelope is proved from the contract, and each document is read as every reader reads it."""

from copy import deepcopy
from typing import Any

import orjson
import pytest

from db.demo import DOCUMENTED_SESSION
from openapi.contract import load
from openapi.documents import compile_document_list
from openapi.errors import ContractViolation
from openapi.json import encode

SCHEMAS = load().schemas
DOCUMENTS = compile_document_list(SCHEMAS["SessionList"], SCHEMAS)
GOOD = encode(DOCUMENTED_SESSION)


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_body_is_its_documents_in_their_envelope(number: int) -> None:
    assert orjson.loads(DOCUMENTS.body([GOOD] * number)) == {"sessions": [DOCUMENTED_SESSION] * number}


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "array"},
        {"additionalProperties": True},
        {"required": []},
        {"minProperties": 2},
        {"properties": {}},
        {"properties": {"sessions": {"type": "array", "items": {}, "maxItems": 5}}},
        {"properties": {"sessions": {"type": "array", "items": {}, "uniqueItems": True}}},
        {"properties": {"sessions": {"type": "object"}}},
        {"properties": {"sessions": {"type": "array", "items": {}}, "count": {"type": "integer"}}},
    ],
)
def test_another_envelope_stops_the_start(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        compile_document_list(deepcopy(SCHEMAS["SessionList"]) | changes, SCHEMAS)


@pytest.mark.parametrize(
    "document",
    [
        GOOD,
        b" " + GOOD.replace(b",", b",\n "),
        GOOD.replace("فحص".encode(), b"\\u0641\\u062d\\u0635"),
        GOOD.replace(b'"invoice":null', b'"invoice":{"total":1.10,"big":123456789012345678901234567890,"e":1E5}'),
        GOOD.replace(b'"notes":[]', b'"notes":[{"text":"\xe2\x80\xae1e400"},{"a":{"a":{"a":1}}}]'),
    ],
)
def test_a_valid_document_passes_in_every_spelling(document: bytes) -> None:
    assert DOCUMENTS.check(document)["id"] == DOCUMENTED_SESSION["id"]


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"null",
        b"[]",
        b"1",
        GOOD[:-1],
        GOOD + b"}",
        GOOD + GOOD,
        b"\xef\xbb\xbf" + GOOD,
        GOOD.replace(b"John", b"J\xffhn"),
        GOOD.replace(b"John", b"J\x00hn"),
        GOOD.replace(b"John", b"\\ud800"),
        GOOD.replace(b'"id":', b'"id":"first","id":'),
        GOOD.replace(b'"id":', b'"i\\u0064":"first","id":'),
        GOOD.replace(b'"notes":[]', b'"notes":[{"a":1,"a":1}]'),
        GOOD.replace(b'"notes":[]', b'"notes":[{"a":{"b":1,"\\u0062":2}}]'),
        GOOD.replace(b'"invoice":null', b'"invoice":{"total":NaN}'),
        GOOD.replace(b'"invoice":null', b'"invoice":{"total":1e400}'),
        GOOD.replace(b'"invoice":null', b'"invoice":[]'),
        GOOD.replace(b"scheduled", b"SECRET"),
        GOOD.replace(b'"invoice":null', b'"invoice":null,"more":1'),
        GOOD.replace(b',"invoice":null', b""),
        GOOD.replace(b"90", b"90.5"),
    ],
)
def test_an_invalid_or_ambiguous_document_is_refused_and_not_repeated(document: bytes) -> None:
    with pytest.raises(ContractViolation) as refused:
        DOCUMENTS.check(document)
    assert "SECRET" not in str(refused.value)
