"""Our program without its memory of checked documents: `.venv/bin/python -m bench.cold`, options as `sessions-api`."""

from unittest.mock import patch

from handlers import documents
from handlers.checked_documents import CheckedDocuments
from server.cli import main


class NothingRemembered(CheckedDocuments):
    """Checks every document of every response."""

    def require_valid(self, workspace_id: str, documents: list[bytes]) -> None:
        CheckedDocuments(self._check).require_valid(workspace_id, documents)


if __name__ == "__main__":
    with patch.object(documents, "CheckedDocuments", NothingRemembered):
        main()
