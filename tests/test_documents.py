"""What README.md, CONTRIBUTING.md, CHANGELOG.md and docs/ say is held to the program."""

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from bench.chart import CHART, TABLE, chart, measured
from server.cli import cli
from server.settings import PREFIX, SETTINGS

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
PROGRAM = re.compile(r"sessions-api ((?:workspaces )?[a-z]+)((?:[ \t]+[^\s`|;#]+)*)")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def targets() -> set[str]:
    """The targets of the Makefile that have a description."""
    return set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@cache
def commands() -> dict[str, set[str]]:
    """The commands of the program, each with its options."""

    def walk(command: Any, path: tuple[str, ...] = ()) -> dict[str, set[str]]:
        if not hasattr(command, "commands"):
            return {" ".join(path): {option for parameter in command.params for option in parameter.opts}}
        return {key: value for name, each in command.commands.items() for key, value in walk(each, (*path, name)).items()}

    return walk(typer.main.get_command(cli))


def code(text: str) -> str:
    """The code in a page: spans and blocks."""
    return "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_every_link_within_the_repository_leads_somewhere(page: Path) -> None:
    for file, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), file
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{file}#{anchor}"


@each_page
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    named = {
        target
        for rest in re.findall(r"\bmake ((?:[a-z-]+ ?)+)", code(page.read_text(encoding="utf-8")))
        for target in rest.split()
    }
    assert named <= targets()


@each_page
def test_every_command_and_option_that_is_named_exists(page: Path) -> None:
    for command, rest in PROGRAM.findall(code(page.read_text(encoding="utf-8"))):
        assert command in commands(), command
        options = {option.partition("=")[0] for option in rest.split() if option.startswith("--")} - {"--help", "--"}
        assert options <= commands()[command], f"sessions-api {command}: {options - commands()[command]}"


@each_page
def test_every_setting_that_is_named_exists(page: Path) -> None:
    named = set(re.findall(rf"\b{PREFIX}([A-Z_]+[A-Z])\b", page.read_text(encoding="utf-8")))
    assert named <= set(SETTINGS)


@each_page
def test_every_file_that_is_named_exists(page: Path) -> None:
    named = re.findall(
        r"`((?:openapi|handlers|db|server|tests|bench|docs|deploy)/[\w./-]+)`", page.read_text(encoding="utf-8")
    )
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_guide_for_contributors_lists_every_make_target() -> None:
    assert targets() - set(re.findall(r"make ([a-z-]+)", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))) == set()


def test_the_chart_shows_the_figures_of_the_benchmark() -> None:
    figures = measured(TABLE.read_text(encoding="utf-8"))
    assert {name for name, _, _ in figures} >= {"sessions-api", "Go net/http + pgx"}
    assert CHART.read_text(encoding="utf-8") == chart(figures), "run `python -m bench.chart`"


def test_the_python_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    minimum = project["project"]["requires-python"].removeprefix(">=")
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yaml").read_text(encoding="utf-8"))
    assert f"Python {minimum} or newer" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"Python {minimum} or newer" in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert workflow["jobs"]["make"]["strategy"]["matrix"]["python"][0] == minimum


def test_the_version_is_the_same_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    contract = yaml.safe_load((ROOT / "openapi/openapi.yaml").read_text(encoding="utf-8"))
    assert contract["info"]["version"] == version
    assert re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)[1] == version  # type: ignore[index]
