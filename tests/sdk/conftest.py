"""The servers that generated clients call."""

import json
import os
import subprocess
from collections.abc import Iterator

import httpx
import pytest
from limits import parse

from db.demo import DOCUMENTED_SESSION, FIRST_WORKSPACE
from handlers.keys import StaticKeys, secret_key
from server.settings import Settings
from tests.conftest import SECRET, Mint, Store
from tests.live import serving
from tests.processes import PROGRAM, TIMEOUT
from tests.sdk.expectations import IMPORTED, LISTS, PROBLEMS


@pytest.fixture(scope="session")
def imported_url(tmp_path_factory: pytest.TempPathFactory, store: Store) -> str:
    """A database with the documents, imported by the program, and a workspace whose session breaks the contract."""
    folder = tmp_path_factory.mktemp("sdk")
    url = f"sqlite:///{folder / 'sessions.sqlite3'}"
    export = folder / "export.ndjson"
    export.write_text("\n".join(json.dumps(each) for each in IMPORTED), encoding="utf-8")
    for command in (["migrate"], ["import", str(export)]):
        subprocess.run([PROGRAM, *command], env={**os.environ, "SESSIONS_DATABASE_URL": url}, check=True, timeout=TIMEOUT)
    store(url, [{**DOCUMENTED_SESSION, "workspaceId": "broken", "durationMinutes": -1}])
    return url


def send(variables: dict[str, str], server: str, token: str, path: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {variables[token]}"}
    return httpx.get(f"{variables[server]}/v1/workspace/{path}", headers=headers, trust_env=False)


@pytest.fixture(scope="session")
def environment(imported_url: str, mint: Mint) -> Iterator[dict[str, str]]:
    """What a client program reads from its environment: the addresses of three servers, and tokens."""
    keys = StaticKeys((secret_key(SECRET),))
    workspaces = [FIRST_WORKSPACE, "broken", "none"]
    with (
        serving(Settings(keys, imported_url)) as server,
        serving(Settings(keys, imported_url, rate_limit=parse("1/hour"))) as limited,
        serving(Settings(keys, "postgresql://nobody@127.0.0.1:1/none")) as without_database,
    ):
        variables = {
            "SERVER": f"http://127.0.0.1:{server.port}",
            "LIMITED_SERVER": f"http://127.0.0.1:{limited.port}",
            "SERVER_WITHOUT_DATABASE": f"http://127.0.0.1:{without_database.port}",
            "TOKEN": mint(workspaces=workspaces),
            "EXPIRED_TOKEN": mint(exp=1),
        }
        assert send(variables, *PROBLEMS["429"]).status_code == 200  # uses up the limit
        yield variables


@pytest.fixture(scope="session")
def expected(environment: dict[str, str]) -> dict[str, object]:
    """The outcome of each check: what was imported, and the problems as the server sends them."""
    problems = {check: send(environment, *request).json() for check, request in PROBLEMS.items()}
    assert {check: problem["status"] for check, problem in problems.items()} == {check: int(check[:3]) for check in PROBLEMS}
    return {**LISTS, "304": "not modified", **problems}
