"""One worker beside two: requests per second, CPU, memory, and the time from start to the first response."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from time import perf_counter, sleep

from bench.check import send
from bench.queries import Query
from bench.run import Scenario, choose, measure, number_text, scenarios_of
from bench.servers import PostgreSQL, Running, Server, end_on_signal, our_server, running
from bench.store import FOLDER, ONE, Store, opened_store

_STARTS = 5


@contextmanager
def _ready(server: Server, store: Store) -> Iterator[tuple[Running, float]]:
    """A server that has responded, and the seconds from its start until then."""
    began = perf_counter()
    with running([server], store, FOLDER / "logs") as (started,):
        send(started.port, Query(ONE))
        seconds = perf_counter() - began
        # Until the second worker listens, the first one would get all connections.
        log = FOLDER / "logs" / f"{server.name}.log"
        while log.read_text().count("startup complete") < int(server.title):
            sleep(0.01)
        yield started, seconds


def _memory_of_a_worker(server: Running) -> float:
    """Megabytes that one worker shares with no other process. Of several, the parent process serves nothing."""
    workers = [each for each in server.process.children() if "resource_tracker" not in " ".join(each.cmdline())]
    return median(int(each.memory_full_info().uss) for each in workers or [server.process]) / 1e6


def _measured(server: Server, scenarios: list[Scenario], store: Store, rounds: int, seconds: float) -> list[list[str]]:
    starts = []
    for _ in range(_STARTS - 1):
        with _ready(server, store) as (_, start):
            starts.append(start)
    rows = []
    with _ready(server, store) as (started, start):
        starts.append(start)
        for scenario in scenarios:
            windows = [measure(started, PostgreSQL(store.postgresql_pid), scenario, seconds) for _ in range(rounds)]
            rate, p50, p99, cpu, database_cpu, _ = map(median, zip(*windows, strict=True))
            cpus = f"{number_text(cpu)} + {number_text(database_cpu)}"
            rows.append([server.title, scenario.title, number_text(rate), number_text(p50), number_text(p99), cpus])
        memory = _memory_of_a_worker(started)
    return [[*row, number_text(memory), f"{median(starts):.2f}"] for row in rows]


_COLUMNS = (
    "workers",
    "list",
    "requests/s",
    "p50 ms",
    "p99 ms",
    "CPU ms a request",
    "MB a worker",
    "s to the first response",
)


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(prog="make workers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1, help="of load in each window")
    parser.add_argument("--sessions", type=int, default=200_000, help="in the large workspace")
    parser.add_argument("--only", default="1,50,1000", help="scenarios")
    arguments = parser.parse_args()
    end_on_signal()
    rows = [list(_COLUMNS), ["--:"] * len(_COLUMNS)]
    with opened_store(arguments.sessions) as store:
        for workers in (1, 2):
            server = our_server(f"workers-{workers}", str(workers), workers=workers)
            scenarios = choose(scenarios_of(arguments.sessions), arguments.only.split(","))
            rows += _measured(server, scenarios, store, arguments.rounds, arguments.seconds)
    print("\n".join(f"| {' | '.join(row)} |" for row in rows))


if __name__ == "__main__":
    main()
