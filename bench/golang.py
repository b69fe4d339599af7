"""Builds the peers that are written in Go, from Debian's packaged sources and without the network."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench.store import FOLDER, ROOT

_SOURCES = ROOT / "bench" / "peers" / "go"
_FILES = {
    "plain": ("plain.go", "sessions.go", "server.go"),
    "contract": ("contract.go", "sessions.go", "server.go"),
    "documents": ("documents.go", "server.go"),
}
_PACKAGES = "golang-go golang-github-jackc-pgx-v4-dev golang-github-golang-jwt-jwt-dev golang-github-getkin-kin-openapi-dev"
_OFFLINE = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOPROXY": "off", "GOFLAGS": ""}


def build(name: str) -> Path | None:
    """The program of one peer; None, with a line that says why, where it cannot be built."""
    go = shutil.which("go")
    if go is None:
        problem = "there is no go"
    else:
        program = FOLDER / "go" / name
        command = [go, "build", "-o", str(program), *_FILES[name]]
        done = subprocess.run(command, cwd=_SOURCES, env=os.environ | _OFFLINE, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return program
        problem = done.stderr.strip().partition("\n")[0]
    print(f"Left out: go-{name}; {problem}. On Debian: apt-get install {_PACKAGES}", file=sys.stderr)
    return None
