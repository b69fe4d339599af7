"""File descriptors: every connection takes one, and a process may have a limited number of them.

When there are none left, libuv closes new connections without a word. So the log says it before.
"""

import logging
import math
from contextlib import suppress
from time import monotonic

try:
    import resource
except ImportError:  # on Windows, where there is no such limit
    resource = None  # type: ignore[assignment]

logger = logging.getLogger("sessions")

_RESERVE = 32
"""Descriptors that are left when the log says so. The database's connections need 18."""
_PERIOD = 60  # seconds


def raise_limit() -> None:
    """Let this process and its workers have as many descriptors as the system allows; the usual default is 1,024."""
    if resource is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with suppress(OSError, ValueError):  # macOS allows fewer than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class DescriptorWatch:
    """Logs when descriptors run out, at most once a minute."""

    def __init__(self, limit: float | None = None) -> None:
        """`limit` is the number of descriptors that this process may have."""
        self._limit = _limit() if limit is None else limit
        self._quiet_until = -math.inf

    def accepted(self, descriptor: int) -> None:
        """Take note of an accepted connection. The system gives out the lowest free descriptor first."""
        if descriptor < self._limit - _RESERVE or monotonic() < self._quiet_until:
            return
        self._quiet_until = monotonic() + _PERIOD
        logger.error(
            "file descriptors run out: %d of %d are in use, and connections beyond them will be closed; raise the limit"
            " (ulimit -n, LimitNOFILE) or have the proxy open fewer",
            descriptor + 1,
            self._limit,
        )


def _limit() -> float:
    if resource is None:
        return math.inf
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return math.inf if soft == resource.RLIM_INFINITY else soft
