"""What server/transport.py relies on in uvicorn 0.54 and httptools 0.9, so that a new version cannot change it unnoticed.

When one of these fails: read uvicorn/protocols/http/httptools_impl.py of the new version beside server/transport.py, put
right what has moved, and then change the version here.
"""

import importlib.metadata
import inspect
import pickle

import httptools
import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import Server

from handlers.keys import StaticKeys
from server.descriptors import DescriptorWatch
from server.serving import options
from server.settings import Settings
from server.transport import RequestProtocol


@pytest.mark.parametrize(("package", "version"), [("uvicorn", "0.54."), ("httptools", "0.9.")])
def test_the_version_is_the_one_that_was_read(package: str, version: str) -> None:
    assert importlib.metadata.version(package).startswith(version)


def names_in(function: object) -> set[str]:
    """The names that a function's code looks up."""
    assert inspect.isfunction(function)
    return set(function.__code__.co_names)


def test_the_parts_that_are_overridden_are_there_and_called_as_they_were() -> None:
    for overridden, arguments in {
        "__init__": ["self", "config", "server_state", "app_state", "_loop"],
        "connection_made": ["self", "transport"],
        "connection_lost": ["self", "exc"],
        "data_received": ["self", "data"],
        "on_message_begin": ["self"],
        "on_url": ["self", "url"],
        "on_header": ["self", "name", "value"],
        "on_headers_complete": ["self"],
        "on_body": ["self", "body"],
        "on_message_complete": ["self"],
        "on_response_complete": ["self"],
        "_start_asgi_task": ["self", "cycle", "app"],
    }.items():
        assert list(inspect.signature(getattr(HttpToolsProtocol, overridden)).parameters) == arguments, overridden
    # It is through here that every answer begins, also the first of a connection.
    assert "_start_asgi_task" in names_in(HttpToolsProtocol.on_headers_complete)
    assert "_start_asgi_task" in names_in(HttpToolsProtocol.on_response_complete)


def test_the_state_that_is_read_and_set_is_there() -> None:
    made_by = {
        HttpToolsProtocol.__init__: {"pipeline", "cycle", "parser", "server_state", "access_log", "access_logger", "client"},
        HttpToolsProtocol.on_message_begin: {"url", "headers"},
        HttpToolsProtocol.data_received: {"_unset_keepalive_if_required", "feed_data"},
        RequestResponseCycle.__init__: {
            "disconnected",
            "keep_alive",
            "message_event",
            "response_started",
            "response_complete",
        },
        # A cycle that is disconnected sends nothing, and one that must not be kept alive closes the connection at its end.
        RequestResponseCycle.send: {"disconnected", "keep_alive", "close", "on_response"},
        # The newest request is put in at the left, and the oldest taken out at the right.
        HttpToolsProtocol.on_headers_complete: {"pipeline", "appendleft"},
        HttpToolsProtocol.on_response_complete: {"pipeline", "pop"},
    }
    for function, names in made_by.items():
        assert names <= names_in(function), function


def test_a_refusal_that_is_raised_in_a_callback_comes_back_as_the_context_of_the_parser_s_error() -> None:
    class Protocol:
        def on_url(self, _url: bytes) -> None:
            raise KeyError("here")

    with pytest.raises(httptools.HttpParserCallbackError) as raised:
        httptools.HttpRequestParser(Protocol()).feed_data(b"GET / HTTP/1.1\r\n\r\n")
    assert isinstance(raised.value.__context__, KeyError)


def test_workers_get_the_protocol_through_a_pickle_and_the_server_calls_it_by_these_names() -> None:
    protocol = pickle.loads(pickle.dumps(options(Settings(StaticKeys(()), request_timeout=3))["http"]))  # noqa: S301 - our own
    assert protocol.func is RequestProtocol
    assert isinstance(protocol.keywords.pop("accepted").__self__, DescriptorWatch)
    assert protocol.keywords == {
        "request_timeout": 3,
        "stall_timeout": 10,
        "headers": ((b"x-content-type-options", b"nosniff"),),
    }
    source = inspect.getsource(Server.startup)
    for argument in ("config=config", "server_state=self.server_state", "app_state=self.lifespan.state"):
        assert argument in source
