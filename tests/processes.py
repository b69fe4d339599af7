"""The real program: processes of its own on real sockets."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

PROGRAM = str(Path(sys.executable).with_name("sessions-api"))
TIMEOUT = 60

Start = Callable[..., subprocess.Popen[str]]


@contextmanager
def programs_in(folder: Path) -> Iterator[Start]:
    """Start the program in a folder, as often as needed; whatever still runs at the end is ended."""
    started: list[subprocess.Popen[str]] = []

    def start_program(*arguments: str, prefix: Sequence[str] = (), **variables: str) -> subprocess.Popen[str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SESSIONS_")}
        process = subprocess.Popen(
            [*prefix, PROGRAM, *arguments],
            cwd=folder,
            env={**clean, "PYTHONUNBUFFERED": "1", **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    try:
        yield start_program
    finally:
        for process in started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=TIMEOUT)


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """The next line with these words; all that was printed is shown when there is none."""
    assert process.stdout is not None
    printed = ""
    for line in process.stdout:
        printed += line
        if words in line:
            return line
    pytest.fail(f"no line has {words!r} in:\n{printed}")


def address_of(server: subprocess.Popen[str]) -> str:
    return read_until(server, "Uvicorn running on").split("running on ")[1].split()[0]


def port_of(server: subprocess.Popen[str]) -> int:
    return int(address_of(server).rsplit(":", 1)[1])
