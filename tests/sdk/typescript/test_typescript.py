"""Each TypeScript generator: no warning, strict types, and a client that returns what was imported.

`make sdk` installs the generators, and on Linux a Node.js that is new enough for them, into `node_modules`.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.sdk.expectations import CHECKS, comparable, ids, sessions

pytestmark = pytest.mark.sdk

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
CONTRACT = "../../../openapi/openapi.yaml"
OLDEST_NODE = (22, 18)
PATH = os.pathsep.join([str(HERE / "node_modules" / ".bin"), str(ROOT / ".venv-sdk" / "bin"), os.environ["PATH"]])

TYPESCRIPT_FETCH = f"openapi-generator-cli generate -g typescript-fetch -i {CONTRACT} -p importFileExtension=.js"

GENERATE = {
    "openapi-fetch": f"openapi-typescript {CONTRACT} --output .sdk/openapi-fetch/sessions.ts",
    "hey-api": f"openapi-ts --input {CONTRACT} --output .sdk/hey-api --no-log-file",
    "orval": "orval --config orval.config.ts --fail-on-warnings",
    "typescript-fetch": f"{TYPESCRIPT_FETCH} -o .sdk/typescript-fetch",
    "typescript-fetch-strings": f"{TYPESCRIPT_FETCH} -o .sdk/typescript-fetch-strings -p dateLibrary=string",
}
UNTYPED = {"typescript-fetch": {"naive date-times"}}
"""Checks that the types of a client rule out."""
NOT_OF_THE_CONTRACT = (
    # The address is relative, so that it holds behind a proxy that adds a prefix. Clients set their own.
    "'scheme' not defined in the spec (2.0). Default to [http] for server URL [http://.]",
)


def run(*command: str, **variables: str) -> str:
    """Run a command of the generators or of Node.js, and return what it printed."""
    done = subprocess.run(
        command,
        cwd=HERE,
        env={**os.environ, "PATH": PATH, "NO_COLOR": "1", "NODE_NO_WARNINGS": "1", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"
    return done.stdout


def type_check(name: str) -> None:
    """Check the types of a program and of the client that it imports, and compile both into `.sdk/compiled`."""
    run("tsc", "--project", f"tsconfig.{name}.json")


@pytest.fixture(scope="module", autouse=True)
def _node() -> None:
    if not (HERE / "node_modules").is_dir() or shutil.which("node", path=PATH) is None:
        pytest.skip("the generators of TypeScript clients are not installed: run make sdk, which needs node and npm")
    version = run("node", "--version")
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < OLDEST_NODE:
        pytest.skip(f"Node.js is {version.strip()}; the generators need 22.18 or newer")


@pytest.fixture(scope="module", params=GENERATE)
def generator(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    needed = ("java", "openapi-generator-cli") if GENERATE[name].startswith(TYPESCRIPT_FETCH) else ()
    if missing := [tool for tool in needed if shutil.which(tool, path=PATH) is None]:
        pytest.skip(f"this machine has no {', '.join(missing)}")
    return name


@pytest.fixture(scope="module")
def printed(generator: str) -> str:
    """What the generator printed."""
    shutil.rmtree(HERE / ".sdk" / generator, ignore_errors=True)
    return run(*GENERATE[generator].split())


@pytest.fixture(scope="module")
def compiled(generator: str, printed: str) -> Path:
    """The program that calls the server through the generated client."""
    del printed  # the client is generated
    type_check(generator)
    return HERE / ".sdk" / "compiled" / f"{generator}.js"


@pytest.fixture(scope="module")
def reported(compiled: Path, environment: dict[str, str]) -> dict[str, Any]:
    """The outcome of each check, as the program reports it."""
    outcomes: dict[str, Any] = json.loads(run("node", str(compiled), **environment))
    return outcomes


def test_the_generator_warns_of_nothing_in_the_contract(printed: str) -> None:
    lines = [line for line in printed.splitlines() if re.search(r"\b(warn|warning|error)\b|⚠", line, re.IGNORECASE)]
    assert [line for line in lines if not line.endswith(NOT_OF_THE_CONTRACT)] == []


def test_the_client_compiles_in_the_strictest_mode_it_passes(compiled: Path) -> None:
    assert compiled.is_file()


@pytest.mark.parametrize("check", CHECKS)
def test_the_client_returns(generator: str, check: str, reported: dict[str, Any], expected: dict[str, Any]) -> None:
    if check in UNTYPED.get(generator, ()):
        pytest.skip("the types of this client rule it out")
    assert comparable(check, reported[check]) == comparable(check, expected[check])


def test_the_lines_of_the_readme_list_all_pages_and_get_304(environment: dict[str, str]) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"<!-- tests/sdk/typescript runs these lines -->\n```typescript\n(.*?)```", readme, re.DOTALL)
    folder = HERE / ".sdk" / "readme"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "list.ts").write_text(lines, encoding="utf-8")
    run("openapi-typescript", f"{environment['SERVER']}/openapi.yaml", "--output", ".sdk/readme/sessions.ts")
    type_check("readme")
    output = run("node", ".sdk/readme/list.ts", **environment).splitlines()
    assert output == [*ids(sessions(lambda each: each["status"] == "scheduled")), "304"]
