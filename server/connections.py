"""The connections of one process, no more than its file descriptors allow, so that a new one can always be accepted."""

import logging
import math
import sys
from asyncio import Transport
from contextlib import suppress
from time import monotonic

if sys.platform != "win32":
    import resource

logger = logging.getLogger("sessions")

RESERVE = 64
"""File descriptors for everything but connections of clients: those to the database, at most 19, take most."""
_LOG_INTERVAL = 60  # seconds


def raise_descriptor_limit() -> None:
    """Let this process and its workers have as many file descriptors as the system allows; the usual default is 1,024."""
    if sys.platform != "win32":
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with suppress(OSError, ValueError):  # macOS allows fewer than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def max_connections() -> float:
    """How many connections this process can hold: infinity on Windows, which sets no limit on file descriptors."""
    if sys.platform == "win32":
        return math.inf
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return math.inf if descriptors == resource.RLIM_INFINITY else max(descriptors - RESERVE, 1)


class ConnectionLimit:
    """Closes the connection that has been idle longest when one more than `maximum` is opened.

    A connection is idle while no request on it is being answered.
    """

    def __init__(self, maximum: float) -> None:
        self._maximum = maximum
        self._idle: dict[Transport, None] = {}  # the one that has been idle longest first
        self._next_log = -math.inf

    def add(self, connection: Transport, number: int) -> None:
        """Add a connection that has just been opened, as one of this number of connections."""
        self.set_idle(connection)
        if number <= self._maximum:
            return
        oldest = next(iter(self._idle))
        self.discard(oldest)
        oldest.abort()  # it may have a response that its client does not read
        if monotonic() >= self._next_log:
            self._next_log = monotonic() + _LOG_INTERVAL
            logger.error(
                "%d connections are open, as many as the limit on file descriptors allows: each new one closes the one that"
                " has been idle longest; raise the limit (ulimit -n, LimitNOFILE), or have the proxy open fewer",
                number - 1,
            )

    def set_idle(self, connection: Transport) -> None:
        self._idle[connection] = None

    def discard(self, connection: Transport) -> None:
        """Leave a connection alone that is closed, or whose request is being answered."""
        self._idle.pop(connection, None)
