"""The real program: a process of its own, real sockets, and the lines that it prints for people to paste."""

import json
import shlex
import signal
import sqlite3
import subprocess
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from db import demo
from db.demo import DOCUMENTED_SESSION, FIRST_WORKSPACE
from openapi.json import encode
from tests.conftest import SECRET
from tests.live import Connection
from tests.processes import TIMEOUT, Start, address_of, port_of, read_until


def test_the_demo_prints_a_curl_line_that_works_when_it_is_pasted(start: Start) -> None:
    process = start("demo", "--port", "0")
    documentation = read_until(process, "Swagger UI:").split()[-1]
    curl = shlex.split(read_until(process, "curl "))
    answer = subprocess.run(curl, capture_output=True, timeout=TIMEOUT, check=True).stdout
    assert json.loads(answer) == {"sessions": [DOCUMENTED_SESSION]}
    assert httpx.get(documentation).status_code == 200
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0


def test_each_run_of_the_demo_has_a_secret_of_its_own(start: Start) -> None:
    first, second = start("demo", "--port", "0"), start("demo", "--port", "0", "--database", "second.sqlite3")
    curl = shlex.split(read_until(first, "curl "))
    address = read_until(second, "Swagger UI:").split()[-1].removesuffix("/docs")
    token = curl[curl.index("-H") + 1].split("Bearer ")[1]
    response = httpx.get(f"{address}/v1/workspace/{FIRST_WORKSPACE}/sessions", headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == 401


@pytest.mark.parametrize("workers", ["1", "2"])
def test_migrate_import_token_and_serve_are_all_that_it_takes(start: Start, workers: str, tmp_path: Path) -> None:
    settings = {"SESSIONS_JWT_SECRET": SECRET, "SESSIONS_DATABASE_URL": "sqlite:///sessions.sqlite3"}
    documents = list(demo.documents())
    (tmp_path / "sessions.json").write_bytes(encode({"sessions": documents}))

    def finish(*arguments: str) -> str:
        process = start(*arguments, **settings)
        out, _ = process.communicate(timeout=TIMEOUT)
        assert process.returncode == 0, out
        return out

    finish("migrate")
    assert finish("import", "sessions.json") == "read 360: 360 new, 0 changed, 0 unchanged, 0 rejected\n"
    token = finish("token", "--workspace", FIRST_WORKSPACE).strip()
    server = start("serve", "--port", "0", "--workers", workers, **settings)
    address = address_of(server)
    # Of several workers, the parent prints the address, and it may be printed before one of them listens.
    transport = httpx.HTTPTransport(retries=10)
    client = httpx.Client(base_url=address, headers={"Authorization": f"Bearer {token}"}, transport=transport)
    held = {document["id"]: document for document in documents if document["workspaceId"] == FIRST_WORKSPACE}
    listed = client.get(f"/v1/workspace/{FIRST_WORKSPACE}/sessions")
    assert {session["id"]: session for session in listed.json()["sessions"]} == held
    assert "server" not in listed.headers
    head = client.head(f"/v1/workspace/{FIRST_WORKSPACE}/sessions")
    assert head.headers["content-length"] == listed.headers["content-length"]
    client.close()
    server.send_signal(signal.SIGTERM)
    out, _ = server.communicate(timeout=TIMEOUT)
    assert server.returncode == 0, out
    assert token not in out
    assert "Warning" not in out


def test_a_list_that_breaks_off_cannot_be_taken_for_a_whole_one(start: Start, tmp_path: Path) -> None:
    settings = {"SESSIONS_JWT_SECRET": SECRET, "SESSIONS_DATABASE_URL": "sqlite:///sessions.sqlite3"}
    documents = [{**DOCUMENTED_SESSION, "id": f"s{number:05}"} for number in range(3000)]
    (tmp_path / "sessions.ndjson").write_bytes(b"\n".join(map(encode, documents)))
    for arguments in (["migrate"], ["import", "sessions.ndjson"]):
        start(*arguments, **settings).communicate(timeout=TIMEOUT)
    with sqlite3.connect(tmp_path / "sessions.sqlite3") as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("UPDATE sessions SET document = replace(document, 'scheduled', 'broken') WHERE id = 's02999'")
    connection.close()
    token = start("token", "--workspace", FIRST_WORKSPACE, **settings).communicate(timeout=TIMEOUT)[0].strip()
    address = address_of(start("serve", "--port", "0", **settings))
    with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {token}"}) as client:
        for _ in range(2):
            with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
                client.get(f"/v1/workspace/{FIRST_WORKSPACE}/sessions")
        assert len(client.get(f"/v1/workspace/{FIRST_WORKSPACE}/sessions?limit=1000").json()["sessions"]) == 1000


# The process ---------------------------------------------------------------------------------------------------------------


GREAT = 50_000_000


def test_what_is_too_long_costs_no_memory(start: Start, sqlite_demo_url: str) -> None:
    server = start("serve", "--port", "0", SESSIONS_DATABASE_URL=sqlite_demo_url, SESSIONS_JWT_SECRET=SECRET)
    port = port_of(server)

    def peak() -> int:
        (line,) = (line for line in Path(f"/proc/{server.pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    def send(first: bytes, more: bytes) -> int:
        with Connection(port) as connection:
            connection.send(first)
            with suppress(OSError):  # sent on and on, it is not even listened to
                for _ in range(GREAT // len(more)):
                    connection.send(more)
            with suppress(OSError):
                return connection.answer().status
        return 0

    head = b"GET /healthz HTTP/1.1\r\nHost: h\r\n"
    assert send(head, b"\r\n") == 200
    before = peak()
    answered = {
        send(b"GET /", b"x" * 65_536),
        send(head + b"X: ", b"y" * 65_536),
        send(head, b"y" * 65_536),
        send(head, b"X: y\r\n" * 10_000),
        send(head + b"Content-Length: 100000000\r\n\r\n", b"x" * 65_536),
        send(head + b"Transfer-Encoding: chunked\r\n\r\n", b"8000\r\n" + b"x" * 0x8000 + b"\r\n"),
        send(head + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x" * 65_536),
        send(b"", b"\r\n" * 10_000),
        send(b"", (head + b"\r\n") * 2000),
    }
    assert answered <= {0, 200, 413, 414, 431}
    assert peak() - before < GREAT / 4
