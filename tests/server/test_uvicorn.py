"""What server/transport.py and server/draining.py rely on in uvicorn 0.54 and httptools 0.9, none of it documented.

When a test fails after an upgrade: read the part of uvicorn that it names beside the code of ours that it names, adapt ours,
run tests/server, and then change the test. The tests are here so that a new version cannot change these parts unnoticed.
"""

import importlib.metadata
import inspect
import pickle

import httptools
import pytest
from uvicorn import Server
from uvicorn.config import STARTUP_FAILURE
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.supervisors import multiprocess

from handlers.keys import StaticKeys
from server.connections import ConnectionLimit
from server.draining import DrainingServer
from server.serving import options
from server.settings import Settings
from server.transport import RequestProtocol


def names_in(function: object) -> set[str]:
    """The names that a function's code looks up, in its comprehensions too."""
    function = inspect.unwrap(function)  # type: ignore[arg-type]
    assert inspect.isfunction(function)
    nested = [each for each in function.__code__.co_consts if inspect.iscode(each)]
    return {name for code in (function.__code__, *nested) for name in code.co_names}


@pytest.mark.parametrize(("package", "version"), [("uvicorn", "0.54."), ("httptools", "0.9.")])
def test_the_version_is_the_one_that_was_read(package: str, version: str) -> None:
    assert importlib.metadata.version(package).startswith(version), "read what this file names in the new version"


# server/transport.py -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("connection_made", ["self", "transport"]),
        ("connection_lost", ["self", "exc"]),
        ("data_received", ["self", "data"]),
        ("pause_writing", ["self"]),
        ("resume_writing", ["self"]),
        ("on_message_begin", ["self"]),
        ("on_url", ["self", "url"]),
        ("on_header", ["self", "name", "value"]),
        ("on_headers_complete", ["self"]),
        ("on_body", ["self", "body"]),
        ("on_message_complete", ["self"]),
        ("on_response_complete", ["self"]),
        ("_start_asgi_task", ["self", "cycle", "app"]),
        ("_unset_keepalive_if_required", ["self"]),
    ],
)
def test_a_method_that_the_protocol_overrides_or_calls_has_these_parameters(name: str, parameters: list[str]) -> None:
    """Otherwise: rename or adapt the method of `RequestProtocol` with this name."""
    assert list(inspect.signature(getattr(HttpToolsProtocol, name)).parameters) == parameters


@pytest.mark.parametrize(
    ("function", "names"),
    [
        # Attributes of a connection that `RequestProtocol` reads.
        (
            HttpToolsProtocol.__init__,
            {"loop", "parser", "server_state", "connections", "pipeline", "cycle", "access_log", "access_logger", "client"},
        ),
        (HttpToolsProtocol.on_message_begin, {"url", "headers", "expect_100_continue"}),
        # Attributes of a request that it reads and sets.
        (RequestResponseCycle.__init__, {"disconnected", "keep_alive", "response_complete"}),
    ],
)
def test_an_attribute_that_the_protocol_uses_is_set_here(function: object, names: set[str]) -> None:
    """Otherwise: find out what has taken the attribute's place."""
    assert names <= names_in(function)


def test_a_request_that_waits_for_an_earlier_one_is_put_into_the_pipeline() -> None:
    """Otherwise: `on_message_begin` must bound whatever holds the waiting requests."""
    assert {"appendleft", "pause_reading"} <= names_in(HttpToolsProtocol.on_headers_complete)
    assert "pop" in names_in(HttpToolsProtocol.on_response_complete)


@pytest.mark.parametrize("function", [HttpToolsProtocol.on_headers_complete, HttpToolsProtocol.on_response_complete])
def test_every_request_starts_through_the_method_that_is_overridden(function: object) -> None:
    """Otherwise: `_run` does not see some requests, and cannot cancel them when their client has gone."""
    assert "_start_asgi_task" in names_in(function)


def test_the_connection_is_closed_after_a_response_that_does_not_keep_it_alive() -> None:
    """Otherwise: after a refusal, the connection stays open, and what follows may be read as a request."""
    assert {"keep_alive", "close", "on_response"} <= names_in(RequestResponseCycle.send)


def test_a_client_that_has_gone_ends_the_request_in_cycle() -> None:
    """Otherwise: `connection_lost` must mark the request that is being answered itself."""
    assert {"cycle", "disconnected", "message_event"} <= names_in(HttpToolsProtocol.connection_lost)


def test_the_error_of_a_callback_is_the_context_of_the_parser_s_error() -> None:
    """Otherwise: `refusal_of` in server/http_limits.py must look for it elsewhere."""

    class Protocol:
        def on_url(self, _url: bytes) -> None:
            raise KeyError("here")

    with pytest.raises(httptools.HttpParserCallbackError) as raised:
        httptools.HttpRequestParser(Protocol()).feed_data(b"GET / HTTP/1.1\r\n\r\n")
    assert isinstance(raised.value.__context__, KeyError)


def test_the_parser_still_knows_the_request_when_it_is_complete() -> None:
    """Otherwise: `on_message_complete` must keep what uvicorn's `on_headers_complete` asks the parser for."""
    known: list[object] = []

    class Protocol:
        def on_message_complete(self) -> None:
            known.extend([parser.get_method(), parser.get_http_version()])
            known.extend([parser.should_keep_alive(), parser.should_upgrade()])

    parser = httptools.HttpRequestParser(Protocol())
    parser.feed_data(b"PUT / HTTP/1.1\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx")
    assert known == [b"PUT", "1.1", False, False]


def test_workers_get_the_protocol_through_a_pickle() -> None:
    """Otherwise: `serve --workers 2` cannot start."""
    protocol = pickle.loads(pickle.dumps(options(Settings(StaticKeys(()), request_timeout=3))["http"]))  # noqa: S301 - our own
    assert protocol.func is RequestProtocol
    assert isinstance(protocol.keywords.pop("limit"), ConnectionLimit)
    assert protocol.keywords == {
        "request_timeout": 3,
        "stall_timeout": 10,
        "headers": ((b"x-content-type-options", b"nosniff"),),
    }


# server/draining.py --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (Server.__init__, {"server_state", "should_exit", "force_exit"}),
        (Server.capture_signals, {"handle_exit", "HANDLED_SIGNALS"}),
        (Server.main_loop, {"on_tick"}),
        (Server.on_tick, {"default_headers", "should_exit"}),
        (multiprocess.Multiprocess.init_processes, {"Process"}),
        (multiprocess.Multiprocess.restart_all, {"Process", "terminate", "join", "wait_until_ready"}),
        (multiprocess.Multiprocess.run, {"terminate_all"}),
        (multiprocess.Multiprocess.keep_subprocess_alive, {"Process", "STARTUP_FAILURE"}),
    ],
)
def test_the_server_and_its_supervisor_use_what_draining_overrides(function: object, names: set[str]) -> None:
    """Otherwise: tests/server/test_draining.py shows which signal, worker or response is handled differently."""
    assert names <= names_in(function)


def test_the_signatures_that_draining_overrides_are_these() -> None:
    """Otherwise: adapt the method of `DrainingServer`, or `_Worker`, with this name."""
    for overridden in ("handle_exit", "startup", "on_tick"):
        ours, theirs = getattr(DrainingServer, overridden), getattr(Server, overridden)
        assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)
    assert list(inspect.signature(multiprocess.Process).parameters) == ["config", "sockets"]
    assert STARTUP_FAILURE == 3  # documented as the exit code in docs/operations.md
