"""A process whose file descriptors run out says so, and has as many as the system allows."""

import logging
import resource
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from handlers.keys import StaticKeys, secret_key
from server.descriptors import DescriptorWatch, raise_limit
from server.settings import Settings
from tests.conftest import SECRET
from tests.live import Connection, serving


@pytest.fixture
def limits() -> Iterator[tuple[int, int]]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_limit_is_raised_to_what_the_system_allows(limits: tuple[int, int]) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1] // 2, limits[1]))
    raise_limit()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (limits[1], limits[1])


def test_the_log_says_once_that_descriptors_run_out_while_health_answers(
    sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    watch = DescriptorWatch(limit=100)  # the descriptors of a test run are more than that, or soon will be
    settings = Settings(StaticKeys((secret_key(SECRET),)), sqlite_url)
    with serving(settings, accepted=watch.accepted) as server, ExitStack() as opened:
        caplog.clear()
        for _ in range(100):
            connection = opened.enter_context(Connection(server.port))
            connection.send(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
            assert connection.answer().status == 200
    messages = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(messages) == 1
    assert messages[0].startswith("file descriptors run out: ")
    assert " of 100 are in use" in messages[0]
