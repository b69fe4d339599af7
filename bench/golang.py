"""Builds the Go programs from Debian's packaged sources, without the network."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench.store import FOLDER, ROOT

_SOURCES = {
    "plain": ("plain.go", "sessions.go", "server.go"),
    "contract": ("contract.go", "sessions.go", "server.go"),
    "documents": ("documents.go", "server.go"),
}
_PACKAGES = "golang-go golang-github-jackc-pgx-v4-dev golang-github-golang-jwt-jwt-dev golang-github-getkin-kin-openapi-dev"
_OFFLINE = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOPROXY": "off", "GOFLAGS": ""}


def build_programs() -> dict[str, Path]:
    """Those that can be built, by name; says why one cannot."""
    go = shutil.which("go")
    if go is None:
        _leave_out("Go", "there is no go")
        return {}
    programs = {}
    for name, sources in _SOURCES.items():
        program = FOLDER / "go" / name
        done = subprocess.run(
            [go, "build", "-o", str(program), *sources],
            cwd=ROOT / "bench" / "peers" / "go",
            env=os.environ | _OFFLINE,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            _leave_out(f"go-{name}", done.stderr.partition("\n")[0].removesuffix(" in any of:"))
        else:
            programs[name] = program
    return programs


def _leave_out(name: str, reason: str) -> None:
    print(f"Left out: {name}; {reason}. On Debian 12: apt-get install {_PACKAGES}", file=sys.stderr)
