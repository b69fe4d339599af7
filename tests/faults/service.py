"""A service of real processes under load, and what its clients see while something fails."""

import http.client
import json
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple, Self

from tests.conftest import WORKSPACE
from tests.live import until

LIST = f"/v1/workspace/{WORKSPACE}/sessions"
NO_RESPONSE = 0
"""Stands for the status where the connection broke off."""


class Outcome(NamedTuple):
    """One request of a client."""

    began: float
    ended: float
    status: int


def get(port: int, path: str, token: str = "", timeout: float = 30) -> tuple[int, bytes]:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return NO_RESPONSE, b""
    finally:
        connection.close()


@dataclass
class Traffic:
    """Clients that list the sessions of a workspace again and again, each on one connection as long as it holds."""

    ports: list[int]
    token: str
    expected: dict[str, Any]
    clients: int = 8
    pause: float = 0.02
    """Seconds that a client waits after a failure before it tries again."""
    outcomes: list[Outcome] = field(default_factory=list)
    wrong: list[bytes] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(self.clients)]
        for thread in self._threads:
            thread.start()
        until(lambda: self.statuses()[200])
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        assert self.wrong == [], "a client got a 200 with a wrong list"

    def _run(self, number: int) -> None:
        port = self.ports[number % len(self.ports)]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while not self._stopping.is_set():
            began = monotonic()
            try:
                connection.request("GET", LIST, headers={"Authorization": f"Bearer {self.token}"})
                response = connection.getresponse()
                status, body = response.status, response.read()
            except (OSError, http.client.HTTPException):
                connection.close()
                status, body = NO_RESPONSE, b""
            self.outcomes.append(Outcome(began, monotonic(), status))
            if status == 200 and json.loads(body) != self.expected:
                self.wrong.append(body)
            if status != 200:
                self._stopping.wait(self.pause)
        connection.close()

    def statuses(self, since: float = 0) -> Counter[int]:
        return Counter(each.status for each in list(self.outcomes) if each.ended >= since)

    def percentile(self, share: float, status: int = 200) -> float:
        """The latency in seconds that this share of the responses did not exceed."""
        latencies = sorted(each.ended - each.began for each in list(self.outcomes) if each.status == status)
        return latencies[int(share * (len(latencies) - 1))]

    def wait_for_success(self) -> float:
        """Wait until a round of requests that begin from now on has succeeded; the time when the last failure ended."""
        begin = monotonic()

        def succeeded() -> bool:
            latest = [each for each in self.outcomes[-2 * self.clients :] if each.began >= begin]
            return len(latest) >= 2 * self.clients and {each.status for each in latest} == {200}

        until(succeeded)
        failures = [each.ended for each in list(self.outcomes) if each.status != 200 and each.ended >= begin]
        return max(failures, default=begin)

    def recovery_after(self, moment: float) -> float:
        """Seconds from a moment to the last failure after it."""
        return max(0.0, self.wait_for_success() - moment)


def descriptors_of(process: int) -> int:
    """How many files and connections a process has open."""
    return len(list(Path(f"/proc/{process}/fd").iterdir()))


Record = Callable[[str, Counter[int], float | None], None]
"""Writes a row of the table that `make faults` prints: the fault, the statuses that clients saw, the seconds to recovery."""
