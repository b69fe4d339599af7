"""What arrives on the wire, byte for byte, and what is said to it."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from handlers.keys import StaticKeys, secret_key
from server.http_limits import MAX_BODY_SIZE, MAX_HEADER_SIZE, MAX_HEADERS, MAX_PIPELINED, MAX_REQUEST_SIZE, MAX_TARGET_SIZE
from server.settings import Settings
from tests.conftest import SECRET, WORKSPACE, Mint
from tests.live import Connection, Received, answers_in, serving, until
from tests.response_bodies import require_valid_body

PATH = f"/v1/workspace/{WORKSPACE}/sessions?limit=1"


@pytest.fixture(scope="module")
def settings(sqlite_demo_url: str) -> Settings:
    return Settings(StaticKeys((secret_key(SECRET),)), sqlite_demo_url)


@pytest.fixture(scope="module")
def port(settings: Settings) -> Iterator[int]:
    """The demo data."""
    with serving(settings) as served:
        yield served.port


@pytest.fixture(scope="module")
def impatient_port(settings: Settings) -> Iterator[int]:
    """The same, where a request must arrive within a moment."""
    with serving(settings, request_timeout=0.3) as served:
        yield served.port


def exchange(port: int, request: bytes) -> Received:
    """The one answer to a request, after which the server closes the connection."""
    with Connection(port) as connection:
        connection.send(request)
        received = connection.rest()
    (answer,) = answers_in(received, to_head=request.startswith(b"HEAD"))
    return answer


def keeps_its_promises(answer: Received, status: int) -> None:
    assert answer.status == status, answer
    assert answer.header("x-content-type-options") == "nosniff"
    assert answer.header("server") is None
    assert answer.header("date") is not None
    if status >= 400 and answer.body:
        assert answer.header("content-type") == "application/problem+json"
        assert answer.header("cache-control") == "no-store"
        problem = json.loads(answer.body)
        require_valid_body(status, problem)
        assert (problem["status"], problem["title"]) == (status, answer.reason)


# A row is what follows `Authorization` in a request for one session; TOKEN is a valid token.
AUTHORIZATION_FORMS: dict[str, tuple[bytes, int]] = {
    "as it should be": (b"Authorization: Bearer TOKEN", 200),
    "no header": (b"X: y", 401),
    "name in lower case": (b"authorization: Bearer TOKEN", 200),
    "name in upper case": (b"AUTHORIZATION: Bearer TOKEN", 200),
    "scheme in lower case": (b"Authorization: bearer TOKEN", 200),
    "scheme in upper case": (b"Authorization: BEARER TOKEN", 200),
    "no space after the colon": (b"Authorization:Bearer TOKEN", 200),
    "spaces and tabs around the value": (b"Authorization: \t Bearer TOKEN \t ", 200),
    "two spaces after the scheme": (b"Authorization: Bearer  TOKEN", 200),
    "a tab after the scheme": (b"Authorization: Bearer\tTOKEN", 401),
    "no space after the scheme": (b"Authorization: BearerTOKEN", 401),
    "empty": (b"Authorization:", 401),
    "spaces alone": (b"Authorization:    ", 401),
    "the scheme alone": (b"Authorization: Bearer", 401),
    "the scheme and a space": (b"Authorization: Bearer ", 401),
    "the token alone": (b"Authorization: TOKEN", 401),
    "another scheme": (b"Authorization: Basic dTpw", 401),
    "the token under another scheme": (b"Authorization: Token TOKEN", 401),
    "two schemes": (b"Authorization: Basic Bearer TOKEN", 401),
    "the header twice": (b"Authorization: Bearer TOKEN\r\nAuthorization: Bearer TOKEN", 401),
    "a good and another header": (b"Authorization: Bearer TOKEN\r\nAuthorization: Basic dTpw", 401),
    "another and a good header": (b"Authorization: Bearer x\r\nauthorization: Bearer TOKEN", 401),
    "two tokens": (b"Authorization: Bearer TOKEN TOKEN", 401),
    "two values joined by a comma": (b"Authorization: Bearer TOKEN, Bearer TOKEN", 401),
    "two tokens joined by a comma": (b"Authorization: Bearer TOKEN,TOKEN", 401),
    "a comma after the token": (b"Authorization: Bearer TOKEN,", 401),
    "a quoted token": (b'Authorization: Bearer "TOKEN"', 401),
    "a token as a parameter": (b"Authorization: Bearer token=TOKEN", 401),
    "a percent-encoded space": (b"Authorization: Bearer%20TOKEN", 401),
    "bytes beyond ASCII after the token": (b"Authorization: Bearer TOKEN\xff", 401),
    "a no-break space": (b"Authorization: Bearer\xa0TOKEN", 401),
    "UTF-8 in the token": ("Authorization: Bearer TOKENé".encode(), 401),
    "a token that is too long": (b"Authorization: Bearer TOKEN" + b"A" * 17_000, 401),
    "a header that is too long": (b"Authorization: Bearer TOKEN" + b"A" * MAX_HEADER_SIZE, 431),
    "another header": (b"X-Authorization: Bearer TOKEN", 401),
    "the proxy's header": (b"Proxy-Authorization: Bearer TOKEN", 401),
    "a cookie": (b"Cookie: access_token=TOKEN", 401),
    "a name with an underscore": (b"HTTP_AUTHORIZATION: Bearer TOKEN", 401),
    "NUL after the token": (b"Authorization: Bearer TOKEN\0", 400),
    "NUL in the name": (b"Author\0ization: Bearer TOKEN", 400),
    "a vertical tab": (b"Authorization: Bearer\x0bTOKEN", 400),
    "a bell": (b"Authorization: Bearer TOKEN\x07", 400),
    "DEL": (b"Authorization: Bearer TOKEN\x7f", 400),
    "CR in the value": (b"Authorization: Bearer\rTOKEN", 400),
    "folded by a space": (b"Authorization: Bearer\r\n TOKEN", 400),
    "folded by a tab": (b"Authorization:\r\n\tBearer TOKEN", 400),
    "folded behind the first header": (b"X: y\r\n Authorization: Bearer TOKEN", 400),
    "a space before the colon": (b"Authorization : Bearer TOKEN", 400),
    "a tab before the colon": (b"Authorization\t: Bearer TOKEN", 400),
    "a space before the name": (b" Authorization: Bearer TOKEN", 400),
    "no colon": (b"Authorization Bearer TOKEN", 400),
    "no name": (b": Bearer TOKEN", 400),
    "a bare line feed after it": (b"Authorization: Bearer TOKEN\nX: y", 400),
    "a bare line feed before it": (b"X: y\nAuthorization: Bearer TOKEN", 400),
    "a bare CR before it": (b"X: y\rAuthorization: Bearer TOKEN", 400),
}


@pytest.mark.parametrize("form", AUTHORIZATION_FORMS)
def test_authorization_has_one_form_and_no_other_passes(port: int, mint: Mint, form: str) -> None:
    written, status = AUTHORIZATION_FORMS[form]
    lines = written.replace(b"TOKEN", mint().encode())
    request = f"GET {PATH} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n".encode() + lines + b"\r\n\r\n"
    keeps_its_promises(exchange(port, request), status)


GET = f"GET {PATH} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: Bearer TOKEN\r\n".encode()
URL = PATH.encode()
A = b"Host: h\r\nConnection: close\r\nAuthorization: Bearer TOKEN\r\n"

# A row is a whole request; TOKEN is a valid token.
REQUESTS: dict[str, tuple[bytes, int]] = {
    # Where the body ends
    "a body": (GET + b"Content-Length: 5\r\n\r\nhello", 200),
    "a body in chunks": (GET + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 200),
    "chunks with extensions": (GET + b"Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n", 200),
    "Content-Length and Transfer-Encoding": (GET + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "Transfer-Encoding and Content-Length": (GET + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
    "Content-Length twice": (GET + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400),
    "two Content-Lengths": (GET + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
    "a list of Content-Lengths": (GET + b"Content-Length: 5, 5\r\n\r\nhello", 400),
    "Content-Length with a sign": (GET + b"Content-Length: +5\r\n\r\nhello", 400),
    "a negative Content-Length": (GET + b"Content-Length: -5\r\n\r\nhello", 400),
    "a hexadecimal Content-Length": (GET + b"Content-Length: 0x5\r\n\r\nhello", 400),
    "an empty Content-Length": (GET + b"Content-Length: \r\n\r\nhello", 400),
    "Content-Length past 64 bits": (GET + b"Content-Length: 99999999999999999999\r\n\r\n", 400),
    "a Content-Length that is too large": (GET + b"Content-Length: %d\r\n\r\n" % (MAX_BODY_SIZE + 1), 413),
    "chunks that are too large": (
        GET + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (MAX_BODY_SIZE + 1, b"x" * (MAX_BODY_SIZE + 1)),
        413,
    ),
    "a misspelt chunked": (GET + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    "chunked in quotes": (GET + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n', 400),
    "chunked twice": (GET + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
    "chunked and not": (GET + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", 400),
    "identity": (GET + b"Transfer-Encoding: identity\r\n\r\n", 400),
    "compressed chunks": (GET + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
    "chunked behind a vertical tab": (GET + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
    "chunked with a space before the colon": (GET + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    "chunked in HTTP/1.0": (GET.replace(b"/1.1", b"/1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "no chunk size": (GET + b"Transfer-Encoding: chunked\r\n\r\n\r\nhello\r\n0\r\n\r\n", 400),
    "a bad chunk size": (GET + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\nhello\r\n0\r\n\r\n", 400),
    "a chunk size with a sign": (GET + b"Transfer-Encoding: chunked\r\n\r\n-1\r\nhello\r\n0\r\n\r\n", 400),
    "a chunk size past 64 bits": (GET + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400),
    "a chunk longer than it says": (GET + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n", 400),
    "a chunk that ends without CR": (GET + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n", 400),
    "a token in a trailer": (
        GET.replace(b"Authorization: Bearer TOKEN\r\n", b"")
        + b"Transfer-Encoding: chunked\r\nTrailer: Authorization\r\n\r\n0\r\nAuthorization: Bearer TOKEN\r\n\r\n",
        401,
    ),
    # The host
    "no Host": (GET.replace(b"Host: h\r\n", b"") + b"\r\n", 400),
    "no Host in HTTP/1.0": (GET.replace(b"Host: h\r\n", b"").replace(b"/1.1", b"/1.0") + b"\r\n", 200),
    "an empty Host": (GET.replace(b"Host: h", b"Host:") + b"\r\n", 200),
    "a Host with a port": (GET.replace(b"Host: h", b"Host: [::1]:8080") + b"\r\n", 200),
    "two Hosts": (GET + b"Host: h\r\n\r\n", 400),
    "two Hosts in one": (GET.replace(b"Host: h", b"Host: h, i") + b"\r\n", 400),
    "a Host with a user": (GET.replace(b"Host: h", b"Host: u@h") + b"\r\n", 400),
    "a Host with a path": (GET.replace(b"Host: h", b"Host: h/x") + b"\r\n", 400),
    "a Host in bytes beyond ASCII": (GET.replace(b"Host: h", b"Host: \xff") + b"\r\n", 400),
    # The target
    "an address as the target": (b"GET http://other.example" + URL + b" HTTP/1.1\r\n" + A + b"\r\n", 200),
    "an address without a path": (b"GET http://other.example HTTP/1.1\r\n" + A + b"\r\n", 400),
    "another kind of address": (b"GET file://" + URL + b" HTTP/1.1\r\n" + A + b"\r\n", 400),
    "a host as the target": (b"CONNECT h:80 HTTP/1.1\r\n" + A + b"\r\n", 400),
    "a star as the target": (b"OPTIONS * HTTP/1.1\r\n" + A + b"\r\n", 400),
    "a fragment": (b"GET " + URL + b"#x HTTP/1.1\r\n" + A + b"\r\n", 400),
    "a space in the target": (b"GET " + URL + b"&status=a b HTTP/1.1\r\n" + A + b"\r\n", 400),
    "NUL in the target": (b"GET " + URL + b"\0 HTTP/1.1\r\n" + A + b"\r\n", 400),
    "UTF-8 in the target": ("GET /é HTTP/1.1\r\n".encode() + A + b"\r\n", 400),
    "a target at its greatest length": (b"GET /" + b"x" * (MAX_TARGET_SIZE - 1) + b" HTTP/1.1\r\n" + A + b"\r\n", 404),
    "a target that is too long": (b"GET /" + b"x" * MAX_TARGET_SIZE + b" HTTP/1.1\r\n" + A + b"\r\n", 414),
    "a query that is too long": (b"GET " + URL + b"&x=" + b"y" * MAX_TARGET_SIZE + b" HTTP/1.1\r\n" + A + b"\r\n", 414),
    "a target without an end": (b"GET /" + b"x" * 100_000, 414),
    # The request line
    "HEAD": (GET.replace(b"GET", b"HEAD") + b"\r\n", 200),
    "HEAD that is refused": (b"HEAD /" + b"x" * MAX_TARGET_SIZE + b" HTTP/1.1\r\n" + A + b"\r\n", 414),
    "POST": (GET.replace(b"GET", b"POST") + b"Content-Length: 0\r\n\r\n", 405),
    "TRACE": (GET.replace(b"GET", b"TRACE") + b"\r\n", 405),
    "a method that nobody knows": (GET.replace(b"GET", b"BREW") + b"\r\n", 400),
    "a method in lower case": (GET.replace(b"GET", b"get") + b"\r\n", 400),
    "a space before the method": (b" " + GET + b"\r\n", 400),
    "empty lines before the method": (b"\r\n\r\n" + GET + b"\r\n", 200),
    "two spaces in the request line": (GET.replace(b"GET ", b"GET  ") + b"\r\n", 200),
    "a tab in the request line": (GET.replace(b"GET ", b"GET\t") + b"\r\n", 400),
    "HTTP/0.9": (b"GET " + URL + b"\r\n\r\n", 400),
    "HTTP/1.0": (GET.replace(b"/1.1", b"/1.0") + b"\r\n", 200),
    "HTTP/1.2": (GET.replace(b"/1.1", b"/1.2") + b"\r\n", 400),
    "HTTP/2.0 in words": (GET.replace(b"/1.1", b"/2.0") + b"\r\n", 400),
    "HTTP in lower case": (GET.replace(b"HTTP", b"http") + b"\r\n", 400),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03", 400),
    "line feeds alone": (GET.replace(b"\r\n", b"\n") + b"\n", 400),
    # The headers
    "as many headers as may be": (GET + b"X: y\r\n" * (MAX_HEADERS - 3) + b"\r\n", 200),
    "too many headers": (GET + b"X: y\r\n" * MAX_HEADERS + b"\r\n", 431),
    "headers that are too long together": (GET + (b"X: " + b"y" * 10_000 + b"\r\n") * 7 + b"\r\n", 431),
    "a header without an end": (GET + b"X: " + b"y" * MAX_REQUEST_SIZE * 2, 431),
    "the name of a header without an end": (GET + b"y" * MAX_REQUEST_SIZE * 2, 431),
    "trailers that are too long": (
        GET.replace(b"TOKEN", b"")
        + b"Transfer-Encoding: chunked\r\n\r\n0\r\n"
        + (b"X: " + b"y" * 10_000 + b"\r\n") * 7
        + b"\r\n",
        431,
    ),
    "an upgrade to WebSocket": (
        GET.replace(b"close", b"Upgrade") + b"Upgrade: websocket\r\nSec-WebSocket-Key: eA==\r\n\r\n",
        200,
    ),
    "an upgrade to HTTP/2": (GET.replace(b"close", b"Upgrade, HTTP2-Settings") + b"Upgrade: h2c\r\n\r\n", 200),
    "a request that waits to be asked for its body": (GET + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", 200),
}


@pytest.mark.parametrize("form", REQUESTS)
def test_a_request_is_well_formed_or_refused_in_a_problem_document(port: int, mint: Mint, form: str) -> None:
    request, status = REQUESTS[form]
    keeps_its_promises(exchange(port, request.replace(b"TOKEN", mint().encode())), status)


def test_what_is_sent_a_byte_at_a_time_is_read_as_if_it_came_at_once(port: int, mint: Mint) -> None:
    with Connection(port) as connection:
        for byte in GET.replace(b"TOKEN", mint().encode()) + b"\r\n":
            connection.send(bytes([byte]))
        (answer,) = answers_in(connection.rest())
    keeps_its_promises(answer, 200)


# Several requests on a connection ------------------------------------------------------------------------------------------

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
NOTHING = b"GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n"


def statuses(port: int, sent: bytes) -> list[int]:
    with Connection(port) as connection:
        connection.send(sent)
        return [answer.status for answer in answers_in(connection.rest())]


def test_requests_that_are_sent_ahead_are_answered_in_their_order(port: int) -> None:
    closing = HEALTH.replace(b"Host", b"Connection: close\r\nHost")
    assert statuses(port, HEALTH + NOTHING + HEALTH + NOTHING + closing) == [200, 404, 200, 404, 200]


@pytest.mark.parametrize(
    "broken",
    [
        b"BREW / HTTP/1.1\r\n\r\n",
        b"GET /" + b"x" * MAX_TARGET_SIZE,
        b"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X: y\r\n" * 101,
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 30\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_a_refused_request_behind_others_ends_the_connection_after_their_responses(port: int, broken: bytes) -> None:
    assert statuses(port, HEALTH + NOTHING + broken + HEALTH) == [200, 404]


def test_what_follows_a_broken_request_is_not_answered(port: int, mint: Mint) -> None:
    smuggled = GET.replace(b"TOKEN", mint().encode()) + b"\r\n"
    assert statuses(
        port, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n" + smuggled
    ) == [400]


def test_what_follows_a_request_for_an_upgrade_is_not_answered(port: int) -> None:
    upgrade = HEALTH.replace(b"Host", b"Connection: Upgrade\r\nUpgrade: x\r\nHost")
    assert statuses(port, upgrade + HEALTH) == [200]


def test_who_sends_too_many_requests_ahead_gets_answers_to_some_and_asks_again(port: int) -> None:
    answered = statuses(port, HEALTH * 1000)
    assert 1 <= len(answered) <= MAX_PIPELINED + 2
    assert set(answered) == {200}


def test_a_connection_that_is_kept_serves_one_request_after_another(port: int) -> None:
    client = http.client.HTTPConnection("127.0.0.1", port)
    for path, status in [("/healthz", 200), ("/nothing", 404), (PATH, 401), ("/healthz", 200)]:
        client.request("GET", path)
        response = client.getresponse()
        response.read()
        assert response.status == status
        assert not response.will_close
    client.close()


# Deadlines -----------------------------------------------------------------------------------------------------------------


@contextmanager
def going_on(connection: Connection, more: bytes, pause: float = 0) -> Iterator[None]:
    """Meanwhile, the client sends more, again and again."""
    over = threading.Event()

    def send() -> None:
        while not over.wait(pause):
            try:
                connection.send(more)
            except OSError:
                return

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def drip(port: int, first: bytes, drop: bytes) -> tuple[bytes, float]:
    """What the server says until it closes the connection, and after how long, to who goes on sending drop by drop."""
    begin = time.monotonic()
    with Connection(port) as connection:
        connection.send(first)
        with going_on(connection, drop, pause=0.02):
            try:
                received = connection.rest()
            except ConnectionResetError:
                received = b""
            took = time.monotonic() - begin
    return received, took


@pytest.mark.parametrize(
    ("first", "drop"),
    [
        (b"G", b""),
        (b"GET /", b"x"),
        (b"GET / HTTP/1.1\r\nHost: h\r\n", b""),
        (b"GET / HTTP/1.1\r\nHost: h\r\n", b"X: y\r\n"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: ", b"y"),
    ],
)
def test_a_request_that_does_not_arrive_in_time_is_told_so(impatient_port: int, first: bytes, drop: bytes) -> None:
    received, took = drip(impatient_port, first, drop)
    (answer,) = answers_in(received)
    keeps_its_promises(answer, 408)
    assert json.loads(answer.body)["detail"] == "The request did not arrive within 0.3 seconds."
    assert 0.25 < took < 10


@pytest.mark.parametrize(("first", "drop"), [(b"", b""), (b"", b"\r\n"), (b"\r\n", b"")])
def test_a_connection_on_which_nothing_is_asked_is_closed_without_a_word(
    impatient_port: int, first: bytes, drop: bytes
) -> None:
    received, took = drip(impatient_port, first, drop)
    assert received == b""
    assert 0.25 < took < 10


def test_a_second_request_has_a_deadline_too(impatient_port: int) -> None:
    with Connection(impatient_port) as connection:
        connection.send(HEALTH)
        keeps_its_promises(connection.answer(), 200)
        connection.send(HEALTH[:-2])
        (late,) = answers_in(connection.rest())
    keeps_its_promises(late, 408)


def test_a_request_whose_body_does_not_arrive_in_time_is_told_so(impatient_port: int) -> None:
    received, _ = drip(impatient_port, HEALTH[:-2] + b"Content-Length: 60000\r\n\r\n", b"x")
    (late,) = answers_in(received)
    keeps_its_promises(late, 408)


def test_a_request_is_handled_when_its_body_has_arrived(port: int, mint: Mint) -> None:
    request = GET.replace(b"TOKEN", mint().encode()) + b"Content-Length: 5\r\n\r\n"
    with Connection(port) as connection:
        connection.send(request + b"hell")
        connection.send(b"o")
        (answer,) = answers_in(connection.rest())
    keeps_its_promises(answer, 200)


def test_a_connection_that_is_kept_without_a_request_is_closed_after_five_seconds(port: int) -> None:
    with Connection(port) as connection:
        connection.send(HEALTH)
        keeps_its_promises(connection.answer(), 200)
        begin = time.monotonic()
        assert connection.rest() == b""
    assert 4.5 < time.monotonic() - begin < 10


# Bounds --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "more", "status"),
    [
        (b"GET /", b"x" * 65_536, 414),
        (HEALTH[:-2] + b"X: ", b"y" * 65_536, 431),
        (HEALTH[:-2], b"X: y\r\n" * 10_000, 431),
        (HEALTH[:-2], b"y" * 65_536, 431),
        (HEALTH[:-2] + b"Content-Length: 1000000000\r\n\r\n", b"x" * 65_536, 413),
    ],
)
def test_who_goes_on_sending_still_learns_why_they_were_refused(port: int, first: bytes, more: bytes, status: int) -> None:
    with Connection(port) as connection:
        connection.send(first)
        with going_on(connection, more):
            answer = connection.answer()
    keeps_its_promises(answer, status)


def test_an_answer_that_its_client_does_not_take_is_given_up(
    settings: Settings, mint: Mint, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(settings, stall_timeout=0.2) as served, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.connect(("127.0.0.1", served.port))
        request = GET.replace(b"?limit=1", b"").replace(b"Connection: close\r\n", b"").replace(b"TOKEN", mint().encode())
        client.settimeout(20)
        client.sendall((request + b"\r\n") * 30)  # more than the buffers on the way hold
        until(lambda: served.state.connections)
        until(lambda: not served.state.connections)
    assert "Traceback" not in caplog.text
