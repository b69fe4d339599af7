"""The generators, as commands: generate a client, compile or type-check it with a program, run the program."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONTRACT = str(ROOT / "openapi" / "openapi.yaml")
PROGRAMS = Path(__file__).with_name("programs")
ENVIRONMENT = ROOT / ".venv-sdk"
TIMEOUT = 300
JAKARTA = "/usr/share/java/jakarta-annotation-api.jar"
"""Annotations that generated Java imports, from Debian's package libjakarta-annotation-api-java."""

Command = list[str]


@dataclass(frozen=True)
class Client:
    """A generated client. Its commands run in an ignored folder of its own."""

    generate: Command
    compile: list[Command] = field(default_factory=list)
    """In the strictest mode that the generated code passes."""
    run: Command = field(default_factory=list)
    tools: tuple[str, ...] = ()
    """Programs and files that the commands need and the locked requirements do not bring."""
    untyped: tuple[str, ...] = ()
    """Checks that the client's types rule out."""

    def missing(self) -> list[str]:
        return [each for each in self.tools if shutil.which(each) is None and not Path(each).is_file()]


def documented(generator: str) -> Command:
    """The command that docs/clients.md shows for openapi-generator, with this contract and the current folder."""
    text = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8").replace("\\\n", "")
    command = re.search(rf"^\$ (openapi-generator-cli generate -g {generator} .+)$", text, re.MULTILINE)
    assert command is not None, f"docs/clients.md shows no command for {generator}"
    return command[1].replace("-i openapi.yaml", f"-i {CONTRACT}").replace("-o sessions", "-o .").split()


def program(name: str) -> str:
    return str(PROGRAMS / name)


def java_libraries() -> str:
    """Where generated Java finds Jackson, which openapi-generator's jar holds, and the annotations."""
    jar = next(ENVIRONMENT.glob("lib/python*/site-packages/openapi_generator_cli/openapi-generator.jar"), "")
    return f"{jar}:{JAKARTA}"


MYPY = ["mypy", "--strict", "--follow-imports=silent", "--config-file", os.devnull]

CLIENTS: dict[str, Client] = {
    "openapi-python-client": Client(
        generate=[
            "openapi-python-client", "generate", "--path", CONTRACT, "--output-path", "sessions_client",
            "--meta", "none", "--fail-on-warning",
        ],
        # Its client.py, the same for every contract, does not pass.
        compile=[[*MYPY, "sessions_client/api", "sessions_client/models", program("openapi_python_client.py")]],
        run=["python", program("openapi_python_client.py")],
    ),
    "openapi-generator python": Client(
        generate=documented("python"),
        # The generated code is not annotated throughout, so it passes its own configuration, and the program the strict one.
        compile=[
            ["mypy", "--config-file", "pyproject.toml", "-p", "sessions_client"],
            [*MYPY, program("openapi_generator_python.py")],
        ],
        run=["python", program("openapi_generator_python.py")],
        tools=("java",),
    ),
    "openapi-generator java": Client(
        generate=documented("java"),
        # The generated code uses a method that Jackson deprecates; Jackson's optional annotations are not in the jar.
        compile=[
            ["javac", "-encoding", "UTF-8", "-proc:none", "-Xlint:all,-deprecation,-classfile", "-Werror",
             "-cp", java_libraries(), "-sourcepath", "src/main/java", "-d", "classes", program("Checks.java")],
        ],
        run=["java", "-Dfile.encoding=UTF-8", "-cp", f"classes:{java_libraries()}", "Checks"],
        tools=("java", "javac", JAKARTA),
        untyped=("naive date-times",),
    ),
    "openapi-generator go": Client(
        generate=documented("go"),
        compile=[["go", "vet", "."], ["go", "vet", program("checks.go")]],
        run=["go", "run", program("checks.go")],
        tools=("java", "go"),
        untyped=("naive date-times",),
    ),
    "openapi-generator csharp": Client(generate=documented("csharp"), tools=("java",)),
}  # fmt: skip


def folder_of(name: str) -> Path:
    return ROOT / ".sdk" / name.replace(" ", "-")


def generate(name: str) -> str:
    """Generate a client into an empty folder, and return what the generator printed."""
    folder = folder_of(name)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return execute(name, CLIENTS[name].generate)


def execute(name: str, command: Command, **variables: str) -> str:
    """Run a command in the folder of a client, without the proxies of this machine, and return its standard output.

    Raises:
        AssertionError: if it fails, with all that it printed.
    """
    folder = folder_of(name)
    path = f"{ENVIRONMENT / 'bin'}{os.pathsep}{os.environ['PATH']}"
    home = os.environ.get("HOME", str(folder))
    clean = {"PATH": path, "HOME": home, "PYTHONPATH": str(folder), "MYPYPATH": str(folder), "GOPROXY": "off"}
    done = subprocess.run(
        command, cwd=folder, env={**clean, **variables}, capture_output=True, encoding="utf-8", timeout=TIMEOUT, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout
