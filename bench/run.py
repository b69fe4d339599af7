"""Measure the servers side by side, and print one table."""

import argparse
import os
import platform
from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import median, quantiles
from typing import NamedTuple, TypeVar

from rich.console import Console

from bench.check import check, send
from bench.load import Clients, UnexpectedResponse
from bench.queries import WEEK, Query
from bench.servers import PostgreSQL, Running, Server, Variant, all_servers, end_on_signal, running
from bench.store import FIFTY, FOLDER, LARGE, ONE, THOUSAND, opened_store

CONNECTIONS = 8
_RATIOS = {
    "× floor": (("floor-sql", "floor-python"), ("floor-sqlite",)),
    "× documents floor": (("floor-documents",), ("floor-documents-sqlite",)),
    "× Go": (("go-plain",), ("go-plain",)),
    "× FastAPI": (("fastapi",), ("fastapi",)),
}
"""The servers to compare a server on PostgreSQL, and one on SQLite, with: the cheapest counts."""


class Scenario(NamedTuple):
    """A query, and the servers that it is sent to."""

    name: str
    title: str
    query: Query
    variant: Variant = "plain"
    like: str = ""
    """The scenario whose costs it is compared with, unless its own."""

    def takes(self, server: Server) -> bool:
        return server.variant == self.variant


def scenarios_of(large: int) -> list[Scenario]:
    """All scenarios; `large` is the number of sessions in the large workspace."""
    one, fifty, thousand = Query(ONE), Query(FIFTY), Query(THOUSAND)
    return [
        Scenario("1", "1 session", one),
        Scenario("50", "50 sessions", fifty),
        Scenario("1000", "1,000 sessions", thousand),
        Scenario("week", f"a filtered week of {large:,}", Query(LARGE, WEEK)),
        Scenario("cold-1000", "1,000 sessions, cold", thousand, "cold", like="1000"),
        Scenario("hit-50", "50, cache hit", fifty, "cached", like="1"),
        Scenario("hit-1000", "1,000, cache hit", thousand, "cached", like="1"),
        Scenario("304-50", "50, unchanged: 304", fifty, "cached", like="1"),
        Scenario("304-1000", "1,000, unchanged: 304", thousand, "cached", like="1"),
    ]


_Named = TypeVar("_Named", Scenario, Server)


class Figures(NamedTuple):
    """The figures of one window of load, or the medians of several."""

    rate: float  # responses per second
    p50: float  # milliseconds
    p99: float
    server_cpu: float  # milliseconds per request
    database_cpu: float
    memory: float  # MB

    @property
    def cpu(self) -> float:
        return self.server_cpu + self.database_cpu


def measure(server: Running, database: PostgreSQL, scenario: Scenario, seconds: float) -> Figures:
    """One window of load on one server."""
    query = scenario.query
    if scenario.name.startswith("304"):
        etag = send(server.port, query).headers["ETag"]
        query = Query(query.workspace, headers=(f"If-None-Match: {etag}",), status=304)
    requests = [query.request(f"client-{number}") for number in range(CONNECTIONS)]
    clients = Clients(server.port, requests, query.status)
    clients.run(seconds / 10)
    before, database_before = server.cpu_seconds(), database.cpu_seconds()
    load = clients.run(seconds)
    server_cpu, database_cpu = server.cpu_seconds() - before, database.cpu_seconds() - database_before
    memory = server.memory()
    clients.close()
    number = len(load.latencies)
    shares = quantiles(load.latencies, n=100, method="inclusive")
    return Figures(
        number / load.seconds,
        shares[49] * 1000,
        shares[98] * 1000,
        server_cpu / number * 1000,
        database_cpu / number * 1000,
        memory / 1e6,
    )


def _medians(figures: Iterable[Figures]) -> Figures:
    return Figures(*map(median, zip(*figures, strict=True)))


Results = dict[tuple[str, str], Figures]
"""By scenario and server."""


def _measure_all(
    servers: list[Running], database: PostgreSQL, scenarios: list[Scenario], rounds: int, seconds: float
) -> Results:
    windows: dict[tuple[str, str], list[Figures]] = defaultdict(list)
    for round_ in range(rounds + 1):  # the first is a short one, to warm up
        for scenario in scenarios:
            for server in servers:
                if scenario.takes(server.server):
                    try:
                        figures = measure(server, database, scenario, seconds if round_ else min(seconds, 0.5))
                    except UnexpectedResponse as error:
                        raise SystemExit(f"{server.server.title}, {scenario.title}: {error}") from error
                    if round_:
                        windows[scenario.name, server.server.name].append(figures)
        _console.print(f"round {round_} of {rounds}" if round_ else "warmed up")
    return {key: _medians(each) for key, each in windows.items()}


_console = Console(stderr=True)


_COLUMNS = ("list", "server", "validates", "requests/s", "p50 ms", "p99 ms", "CPU ms a request", "MB", *_RATIOS)

_NOTE = """\
Each server has one process and one core (Go: GOMAXPROCS=1). sessions-api and the rows "over documents" read the documents
that it stores; all other servers read normalised tables with the same sessions, such as their tutorials make."""


def table(results: Results, scenarios: list[Scenario], servers: list[Server]) -> str:
    """The results as Markdown. CPU is that of the server, + that of PostgreSQL; the ratios are of the sum."""
    rows = [_COLUMNS, ("---",) * 3 + ("--:",) * (len(_COLUMNS) - 3)]
    for scenario in scenarios:
        title = scenario.title
        for server in servers:
            figures = results.get((scenario.name, server.name))
            if figures is None:
                continue
            cpu = number_text(figures.server_cpu) + (
                "" if server.database.on_sqlite else f" + {number_text(figures.database_cpu)}"
            )
            ratios = (
                _ratio(figures, _cheapest(results, scenario.like or scenario.name, names[server.database.on_sqlite]))
                for names in _RATIOS.values()
            )
            measured = (
                f"{figures.rate:,.0f}",
                number_text(figures.p50),
                number_text(figures.p99),
                cpu,
                f"{figures.memory:.0f}",
            )
            rows.append((title, server.title, server.validates, *measured, *ratios))
            title = ""
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cheapest(results: Results, scenario: str, names: tuple[str, ...]) -> float | None:
    return min((results[scenario, name].cpu for name in names if (scenario, name) in results), default=None)


def _ratio(figures: Figures, other: float | None) -> str:
    return f"{figures.cpu / other:.2f}" if other else "–"


def number_text(value: float) -> str:
    """A figure with as many digits as it is worth."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def main() -> None:
    """Check that all servers respond alike, measure them, and print the table."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2, help="of load in each window")
    parser.add_argument("--sessions", type=int, default=200_000, help="in the large workspace")
    parser.add_argument(
        "--only", default="", help="servers and scenarios, separated by commas; ours, floor and go mean several"
    )
    arguments = parser.parse_args()
    end_on_signal()
    chosen = arguments.only.split(",")
    scenarios = choose(scenarios_of(arguments.sessions), chosen)
    servers = [each for each in choose(all_servers(), chosen) if any(scenario.takes(each) for scenario in scenarios)]
    with opened_store(arguments.sessions) as store, running(servers, store, FOLDER / "logs") as started:
        number = check(started, store)
        _console.print(f"{len(started)} servers respond to {number} queries alike.")
        results = _measure_all(started, PostgreSQL(store.postgresql_pid), scenarios, arguments.rounds, arguments.seconds)
    print(table(results, scenarios, servers))
    print(
        f"\nMedians of {arguments.rounds} rounds of {arguments.seconds:g} s with {CONNECTIONS} connections, on"
        f" {os.cpu_count()} CPUs ({platform.machine()}), Python {platform.python_version()}, PostgreSQL 18.\n{_NOTE}"
    )


def choose(named: Sequence[_Named], chosen: Iterable[str]) -> list[_Named]:
    """Those whose name, or the beginning of it, is among the chosen words; all when there is none."""
    found = [each for each in named if any(each.name == word or each.name.startswith(f"{word}-") for word in chosen)]
    return found or list(named)


if __name__ == "__main__":
    main()
