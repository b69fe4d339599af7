"""Every document is checked once, remembered within a bound, and refused when it is anything else than right."""

import pytest

from db.demo import DOCUMENTED_SESSION
from handlers.checked_documents import CheckedDocuments
from openapi.contract import load
from openapi.errors import ContractViolation
from openapi.json import encode

WORKSPACE = DOCUMENTED_SESSION["workspaceId"]
DOCUMENTS = load().operations["list_sessions"].documents
assert DOCUMENTS is not None
GOOD = encode(DOCUMENTED_SESSION)


class Counted:
    """The contract's check, and how often it was called."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, document: bytes) -> dict[str, object]:
        self.calls += 1
        return DOCUMENTS.check(document)


def numbered(number: int) -> bytes:
    return encode(DOCUMENTED_SESSION | {"id": f"{number:06}"})


def test_a_document_that_passed_is_not_checked_again() -> None:
    check = Counted()
    checked = CheckedDocuments(check)
    for _ in range(3):
        checked.require_valid(WORKSPACE, [numbered(number) for number in range(10)])
    assert check.calls == 10


def test_a_document_that_fails_is_checked_and_refused_every_time() -> None:
    check = Counted()
    checked = CheckedDocuments(check)
    for _ in range(3):
        with pytest.raises(ContractViolation):
            checked.require_valid(WORKSPACE, [GOOD.replace(b"scheduled", b"SECRET")])
    assert check.calls == 3


def test_any_changed_byte_of_a_remembered_document_is_checked() -> None:
    checked = CheckedDocuments(Counted())
    checked.require_valid(WORKSPACE, [GOOD])
    refused = 0
    for place in range(len(GOOD)):
        for byte in (b"\x00", b"\xff", b'"', b"}"):
            changed = GOOD[:place] + byte + GOOD[place + 1 :]
            if changed == GOOD:
                continue
            try:
                checked.require_valid(WORKSPACE, [changed])
            except ContractViolation:
                refused += 1
            else:
                assert byte == b"}"  # a character of a text
    assert refused > 3 * len(GOOD) - 100


def test_a_document_of_another_workspace_is_refused_even_if_it_passed_there() -> None:
    checked = CheckedDocuments(Counted())
    checked.require_valid(WORKSPACE, [GOOD])
    with pytest.raises(ContractViolation, match="another workspace"):
        checked.require_valid("other", [GOOD])


def test_the_memory_is_bounded_by_bytes_and_keeps_what_is_in_use() -> None:
    check = Counted()
    checked = CheckedDocuments(check, max_size=100 * (len(numbered(0)) + 100))
    for number in range(2_000):
        checked.require_valid(WORKSPACE, [GOOD, numbered(number)])
    assert check.calls == 2_001
    remembered = sum(len(documents) for generation in (checked._young, checked._old) for documents in generation.values())  # noqa: SLF001
    assert 50 <= remembered <= 100
