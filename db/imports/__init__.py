"""The import: session documents from files, into the database."""

from db.imports.documents import BadDocument, Document, DocumentReader
from db.imports.run import MAX_ERRORS, ImportFailed, ImportRefused, ImportResult, import_documents

__all__ = [
    "MAX_ERRORS",
    "BadDocument",
    "Document",
    "DocumentReader",
    "ImportFailed",
    "ImportRefused",
    "ImportResult",
    "import_documents",
]
