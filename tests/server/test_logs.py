"""What the server logs: nothing that is sent can forge or hide a line, and no query is kept."""

import logging
import re
import signal
import subprocess
import sys

import pytest

from server.logs import LineFormatter, PathOnly, printable
from tests.conftest import SECRET, WORKSPACE, Mint
from tests.key_servers import KeyServer
from tests.live import Connection
from tests.processes import TIMEOUT, Start, port_of
from tests.signers import rsa_key

FORGED = "2026-01-01 00:00:00,000 INFO sessions: forged"
HOSTILE = [
    f"/%0d%0a{FORGED.replace(' ', '%20')}",
    f"/%0a{FORGED.replace(' ', '%20')}",
    f"/%0d{FORGED.replace(' ', '%20')}",
    f"/%e2%80%a8{FORGED.replace(' ', '%20')}",  # the separator of lines, U+2028
    f"/%c2%85{FORGED.replace(' ', '%20')}",  # next line, U+0085
    "/%1b%5b2J%1b%5b31mred",
    "/%c2%9b31mred",  # the same as one character, U+009B
    "/%00%07%08%7f%ff%fe",
    "/%e2%80%ae%e2%80%8bright-to-left",
    f"/v1/workspace/%0d%0a{FORGED.replace(' ', '%20')}/sessions",
    f"/v1/workspace/%0d%1b%5b31m{FORGED.replace(' ', '%20')}/sessions",
    f"/v1/workspace/{WORKSPACE}/sessions?access_token=query-secret",
    "/healthz?access_token=query-secret",
    "/nothing?access_token=query-secret&x=%0d%0a",
    f"http://h/v1/workspace/{WORKSPACE}/sessions?access_token=query-secret",
]
LINE = re.compile(r"[0-9-]{10} [0-9:]{8},[0-9]{3} (DEBUG|INFO|WARNING|ERROR) [a-z.]+: .*")


def record(message: str, *args: object, **more: object) -> logging.LogRecord:
    return logging.LogRecord("sessions", logging.INFO, "file", 1, message, args, None, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "plain", "استشارة طبية", "a b\u00e9 \\ %0a"])
def test_a_text_that_is_printable_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a\r\nb", r"a\r\nb"),
        ("\x1b[31m", r"\x1b[31m"),
        ("\x9b\x85", r"\x9b\x85"),
        ("\u2028\u2029\u202e\u200b", r"\u2028\u2029\u202e\u200b"),
        ("\ud800", r"\ud800"),
        ("\0\x7f\t", r"\x00\x7f\t"),
    ],
)
def test_what_is_not_printable_is_escaped_in_every_line(text: str, written: str) -> None:
    assert LineFormatter("%(levelname)s %(message)s").format(record("path %s", text)) == f"INFO path {written}"


def test_no_line_of_a_traceback_can_pass_for_a_line_of_its_own() -> None:
    try:
        int("x")
    except ValueError as error:
        error.args = (f"x\n{FORGED}\r\x1b[31m",)  # as it may come from a library
        failed = record("failed\n%s", FORGED)
        failed.exc_info = sys.exc_info()
        lines = LineFormatter("%(message)s").format(failed).split("\n")
    assert lines[0] == f"failed\\n{FORGED}"
    assert all(line.startswith("    ") and line.isprintable() for line in lines[1:])
    assert f"    {FORGED}\\r\\x1b[31m" in lines


@pytest.mark.parametrize(("target", "logged"), [("/a?b=c", "/a"), ("/a", "/a"), ("/?b?c", "/"), ("?", "")])
def test_an_access_line_has_the_path_and_no_query(target: str, logged: str) -> None:
    access = record('%s - "%s %s HTTP/%s" %d', "127.0.0.1:5", "GET", target, "1.1", 200)
    assert PathOnly().filter(access)
    assert access.getMessage() == f'127.0.0.1:5 - "GET {logged} HTTP/1.1" 200'


def send(port: int, target: str, token: str | None = None) -> int:
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    with Connection(port) as connection:
        connection.send(
            f"GET {target} HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: \x9b31m\r\n{authorization}\r\n".encode("latin-1")
        )
        return connection.answer().status


def lines_of(server: "subprocess.Popen[str]") -> list[str]:
    """What a server has printed in its whole life; each line must be one that it meant."""
    server.send_signal(signal.SIGTERM)
    printed, _ = server.communicate(timeout=TIMEOUT)
    lines = printed.split("\n")[:-1]
    for line in lines:
        assert LINE.fullmatch(line), line
        assert line.isprintable(), line
        assert not line.startswith(FORGED)
    assert "query-secret" not in printed
    return lines


@pytest.mark.parametrize("level", ["info", "debug"])
def test_no_path_forges_a_line_and_no_query_is_kept(start: Start, sqlite_demo_url: str, mint: Mint, level: str) -> None:
    settings = {"SESSIONS_DATABASE_URL": sqlite_demo_url, "SESSIONS_JWT_SECRET": SECRET, "SESSIONS_LOG_LEVEL": level}
    server = start("serve", "--port", "0", **settings)
    port = port_of(server)
    for target in HOSTILE:
        assert send(port, target) in (200, 401, 404)
        assert send(port, target, mint()) in (200, 400, 403, 404)
    lines = lines_of(server)
    assert sum("uvicorn.access" in line for line in lines) == 2 * len(HOSTILE)
    assert not [line for line in lines if "access_token" in line or "Bearer" in line]


def test_no_path_forges_a_line_while_the_key_server_is_down_or_the_server_overloaded(
    start: Start, key_server: KeyServer, sqlite_demo_url: str, mint: Mint
) -> None:
    token = mint(key=rsa_key(), algorithm="RS256", headers={"kid": "unknown"})
    server = start(
        "serve",
        "--port",
        "0",
        SESSIONS_DATABASE_URL=sqlite_demo_url,
        SESSIONS_JWKS=key_server.url,
        SESSIONS_CONCURRENT_REQUESTS="1",
    )
    port = port_of(server)
    listed = [target for target in HOSTILE if "/v1/" in target]
    with Connection(port) as waiting:
        waiting.send(f"GET {listed[-1]} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        assert key_server.asked.acquire(timeout=TIMEOUT)  # this one waits for the keys
        assert {send(port, target) for target in HOSTILE} == {200, 404, 503}
        key_server.answer = lambda _request: None
        key_server.close()
        assert waiting.answer().status == 503
    assert [send(port, target, token) for target in listed] == [404, 503, 503, 503]
    lines = lines_of(server)
    assert len([line for line in lines if "refused, too many requests" in line]) == len(listed) - 1
    assert len([line for line in lines if "KeysUnavailable" in line]) == len(listed)
    assert "\\r\\x1b[31m" in "".join(lines)
