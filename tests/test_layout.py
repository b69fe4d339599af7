"""The packages know of each other what the README says, and no more."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "openapi": set[str](),
    "db": {"openapi"},
    "handlers": {"openapi", "db"},
    "server": {"openapi", "db", "handlers"},
}
MUST_NOT_KNOW = {
    "db": {"connexion", "jwt", "starlette", "uvicorn"},
    "openapi": {"connexion", "jwt", "sqlalchemy", "starlette"},
}


def imported_by(package: str) -> set[str]:
    found = set[str]()
    for file in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_run_one_way(package: str) -> None:
    imported = imported_by(package)
    assert imported & set(MAY_IMPORT) - {package} <= MAY_IMPORT[package]
    assert not imported & MUST_NOT_KNOW.get(package, set())
