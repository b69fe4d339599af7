"""The lines that README.md shows to teams that use Python."""

import re

import pytest

from tests.sdk.clients import ROOT, execute, folder_of
from tests.sdk.expectations import ids, sessions

pytestmark = pytest.mark.sdk

ADDRESS = "http://127.0.0.1:8080"


def test_the_python_lines_of_the_readme_list_all_pages_and_get_304(environment: dict[str, str]) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    command = re.search(r"^\$ (openapi-python-client .+)$", readme, re.MULTILINE)
    program = re.search(r"^<!-- tests/sdk runs these lines -->\n```python\n(.+?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert command is not None
    assert program is not None

    folder_of("README").mkdir(parents=True, exist_ok=True)
    execute("README", [*command[1].replace(ADDRESS, environment["SERVER"]).split(), "--overwrite"])
    printed = execute("README", ["python", "-c", program[1]], **environment)
    assert printed.split() == [*ids(sessions(lambda each: each["status"] == "scheduled")), "304"]
