"""Checks every document before its bytes leave, and remembers the documents that passed.

Whether a document fits the contract depends on its bytes alone, so bytes that have passed need no second check.
"""

from collections.abc import Callable
from typing import Any

from openapi.errors import ContractViolation

MAX_REMEMBERED_SIZE = 32 * 1024 * 1024
"""Bytes of documents that one process remembers for an operation."""
_OVERHEAD = 100
"""Bytes that a remembered document takes beside its own."""


class CheckedDocuments:
    """The documents that have passed, in two generations.

    Documents that are read move to the young generation. When it is full, it replaces the old one.
    """

    def __init__(self, check: Callable[[bytes], dict[str, Any]], max_size: int = MAX_REMEMBERED_SIZE) -> None:
        self._check = check
        self._max_size = max_size // 2
        self._young: dict[str, set[bytes]] = {}
        self._old: dict[str, set[bytes]] = {}
        self._size = 0

    def require_valid(self, workspace_id: str, documents: list[bytes]) -> None:
        """Make sure that documents fit the contract, and belong to this workspace.

        Raises:
            ContractViolation: for the first that does not.
        """
        young = self._young.setdefault(workspace_id, set())
        if young.issuperset(documents):
            return
        old = self._old.get(workspace_id, ())
        for document in documents:
            if document in young:
                continue
            if document not in old and self._check(document).get("workspaceId") != workspace_id:
                raise ContractViolation("a document belongs to another workspace")
            young.add(document)
            self._size += len(document) + _OVERHEAD
        if self._size > self._max_size:
            self._old, self._young, self._size = self._young, {}, 0
