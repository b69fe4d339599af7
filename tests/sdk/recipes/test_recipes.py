"""The recipes of docs/ci-recipes.md: each test runs the commands of a section of the page, against a live server."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from db.demo import DOCUMENTED_SESSION, FIRST_WORKSPACE
from handlers.keys import StaticKeys, secret_key
from server.settings import Settings
from tests.conftest import SECRET, Mint
from tests.live import serving, until
from tests.nginx import free_port, is_listening

PAGE = (Path(__file__).parents[3] / "docs" / "ci-recipes.md").read_text(encoding="utf-8")
PROGRAMS = Path(__file__).parent / "node_modules" / ".bin"
LIST = f"/v1/workspace/{FIRST_WORKSPACE}/sessions"
TIMEOUT = 300

pytestmark = pytest.mark.sdk
needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not PROGRAMS.exists(),
    reason="there is no node, or `make sdk` has not installed Prism and Newman",
)


def blocks(heading: str, language: str) -> list[str]:
    """The code blocks of a section of the page."""
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    return re.findall(rf"^```{language}\n(.*?)^```", section, re.DOTALL | re.MULTILINE)


class Shell:
    """A folder in which a client team runs the commands, with the variables that the page asks for."""

    def __init__(self, folder: Path, url: str, token: str) -> None:
        self.folder = folder
        self.url = url
        path = os.pathsep.join([str(PROGRAMS), str(Path(sys.executable).parent), os.environ["PATH"]])
        self._environment = {**os.environ, "PATH": path, "URL": url, "TOKEN": token}

    def run(self, commands: str) -> str:
        """Run commands until one fails; what they print."""
        arguments = ["bash", "-euo", "pipefail", "-c", commands]
        finished = subprocess.run(
            arguments, cwd=self.folder, env=self._environment, capture_output=True, text=True, check=False, timeout=TIMEOUT
        )
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return finished.stdout

    @contextmanager
    def serving(self, command: str) -> Iterator[str]:
        """Run a command that serves at a port, but at a free port; its address, as soon as it listens."""
        port = free_port()
        command = re.sub(r"--port \d+", f"--port {port}", command)
        with (self.folder / "log").open("w+") as log:
            process = subprocess.Popen(
                ["bash", "-c", command],
                cwd=self.folder,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                until(lambda: is_listening(port) or process.poll() is not None)
                assert process.poll() is None, (self.folder / "log").read_text(encoding="utf-8")
                yield f"http://127.0.0.1:{port}"
            finally:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture(scope="module")
def url(sqlite_demo_url: str) -> Iterator[str]:
    with serving(Settings(StaticKeys((secret_key(SECRET),)), sqlite_demo_url)) as served:
        yield f"http://127.0.0.1:{served.port}"


@pytest.fixture
def shell(tmp_path: Path, url: str, mint: Mint) -> Shell:
    """A folder with the contract, fetched as the page says."""
    opened = Shell(tmp_path, url, mint(workspaces=["*"]))
    (fetch,) = re.findall(r"^```sh\n(.*?)^```", PAGE.partition("\n## ")[0], re.DOTALL | re.MULTILINE)
    opened.run(fetch)
    return opened


def get(url: str, **headers: str) -> httpx.Response:
    return httpx.get(url, headers={"Accept-Encoding": "identity", **headers}, timeout=TIMEOUT)


def test_the_fetched_contract_differs_from_the_served_one_in_the_address_alone(shell: Shell) -> None:
    fetched = (shell.folder / "openapi.yaml").read_text(encoding="utf-8")
    assert fetched.replace(f"- url: {shell.url}\n", "- url: .\n") == get(f"{shell.url}/openapi.yaml").text
    assert f"- url: {shell.url}\n" in fetched


def test_schemathesis_finds_nothing_without_a_configuration(shell: Shell) -> None:
    (command,) = blocks("Schemathesis: fuzz a server", "sh")
    assert "No issues found" in shell.run(command)


def test_schemathesis_finds_nothing_with_the_configuration_of_the_page(shell: Shell) -> None:
    (command,) = blocks("Schemathesis: fuzz a server", "sh")
    (configuration,) = blocks("Schemathesis: fuzz a server", "toml")
    (shell.folder / "schemathesis.toml").write_text(configuration, encoding="utf-8")
    assert "No issues found" in shell.run(command)


@needs_node
def test_prism_mocks_a_list_and_the_problem_that_a_client_prefers(shell: Shell) -> None:
    command, requests = blocks("Prism: a mock server", "sh")
    with shell.serving(command) as address:
        requests = requests.replace("http://127.0.0.1:4010", address)
        found, problem = (json.loads(shell.run(request)) for request in requests.splitlines())
    assert found == {"sessions": [DOCUMENTED_SESSION]}
    assert (problem["status"], problem["errors"][0]["name"]) == (404, "cursor")


VALID = {
    "": 200,
    "?limit=2&serviceIds=507f1f77bcf86cd799439013,507f1f77bcf86cd799439014": 200,
    "?serviceIds=507f1f77bcf86cd799439013&serviceIds=507f1f77bcf86cd799439014&status=scheduled": 200,
    "?dateFrom=2024-01-01T00:00:00Z&dateTo=2024-12-31T23:59:59.999Z&sort=-updatedAt": 200,
    "?cursor=abc": 404,
    "?nope=1": 400,
}
"""Requests that the contract allows, and an unknown name, which it cannot forbid."""


@needs_node
def test_prism_passes_valid_traffic_on_unchanged(shell: Shell) -> None:
    (command,) = blocks("Prism: a validating proxy", "sh")
    authorization = {"Authorization": shell.run('printf %s "Bearer $TOKEN"')}
    with shell.serving(command) as address:
        for query, status in VALID.items():
            direct = get(f"{shell.url}{LIST}{query}", **authorization)
            assert direct.status_code == status
            for accepted in ("gzip, deflate, br", "gzip", "*", "identity"):
                passed = get(f"{address}{LIST}{query}", **authorization, **{"Accept-Encoding": accepted})
                assert (passed.status_code, passed.json()) == (status, direct.json()), (query, accepted)
        etag = get(f"{shell.url}{LIST}?limit=2", **authorization).headers["etag"]
        assert get(f"{address}{LIST}?limit=2", **authorization, **{"If-None-Match": etag}).status_code == 304


@needs_node
def test_prism_names_the_parameter_that_breaks_the_contract(shell: Shell) -> None:
    (command,) = blocks("Prism: a validating proxy", "sh")
    with shell.serving(command) as address:
        response = get(f"{address}{LIST}?limit=0", Authorization="Bearer any")
    assert response.status_code == 422
    assert response.json()["validation"][0]["location"] == ["query", "limit"]


def test_connexion_mocks_a_list_and_refuses_what_the_contract_refuses(shell: Shell) -> None:
    (program,) = blocks("Connexion: a mock server in Python", "python")
    (command,) = blocks("Connexion: a mock server in Python", "sh")
    (shell.folder / "mock_server.py").write_text(program, encoding="utf-8")
    statuses: dict[str, Any] = {}
    with shell.serving(command) as address:
        answer = get(f"{address}{LIST}?serviceIds=a,b&limit=5", Authorization="Bearer any")
        statuses = {
            query: get(f"{address}{LIST}{query}", Authorization="Bearer any").status_code for query in ("?limit=0", "?x=1")
        }
        assert get(f"{address}{LIST}").status_code == 401
    assert answer.json() == {"sessions": [DOCUMENTED_SESSION]}
    assert set(statuses.values()) == {400}


@needs_node
def test_a_postman_collection_works_at_once(shell: Shell) -> None:
    (commands,) = blocks("Postman: a collection that works at once", "sh")
    shell.run(commands)
    (execution,) = json.loads((shell.folder / "newman.json").read_text(encoding="utf-8"))["run"]["executions"]
    body = json.loads(bytes(execution["response"]["stream"]["data"]))
    assert body["sessions"][0] == DOCUMENTED_SESSION
