"""Where our server spends its time: samples while it serves, by the steps of a request."""

import argparse
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from threading import Event, Thread

from bench.load import Clients
from bench.queries import Query
from bench.run import CONNECTIONS, Scenario, choose, measure, number_text, scenarios_of
from bench.servers import PostgreSQL, Running, Server, all_servers, end_on_signal, running
from bench.store import FOLDER, opened_store

_RATE = 250  # samples a second

# The innermost frame that matches a pattern decides the step. Frames that match none (the interpreter, the C library, the
# event loop, code that the steps share) count for the frame around them.
_STEPS = (
    ("garbage collection", r"^gc_collect"),
    # Left when a step's own frame goes, with all that it held: the rows, the response.
    ("freeing memory", r"_dealloc\b|^RoutedMiddleware\.__call__"),
    ("token", r"handlers/(?:security|keys)\.py|jwt/"),
    ("parameters", r"openapi/(?:parameters|timestamps)\.py|read_parameters"),
    ("validation", r"jsonschema_rs|check \(openapi/documents\.py|openapi/schemas\.py"),
    ("memory of checked documents", r"handlers/checked_documents\.py"),
    ("joining documents", r"body \(openapi/documents\.py"),
    ("ETag", r"blake2"),
    ("database: statement", r"sqlalchemy/|_cy\.c|greenlet|db/"),
    ("database: driver", r"asyncpg|pgproto|sqlite3|_sqlite/"),
    ("our steps", r"handlers/|server/"),
    ("Connexion, Starlette", r"connexion/|starlette/"),
    ("uvicorn", r"uvicorn/(?:protocols|middleware)|httptools"),
)  # fmt: skip
_LOOP = "event loop"
_PATTERNS = [(step, re.compile(pattern)) for step, pattern in _STEPS]


def step_of(frames: list[str]) -> str:
    """The step that a stack belongs to; its frames run from the outermost to the innermost."""
    for frame in reversed(frames):
        for step, pattern in _PATTERNS:
            if pattern.search(frame):
                return step
    return _LOOP


def read_samples(raw: Path) -> Counter[str]:
    """How many samples fell on each step, from the output of py-spy: frames joined by semicolons, a space, their number."""
    samples: Counter[str] = Counter()
    for line in raw.read_text().splitlines():
        stack, _, number = line.rpartition(" ")
        samples[step_of(stack.split(";"))] += int(number)
    return samples


def _sample(server: Running, query: Query, seconds: float, raw: Path) -> Counter[str]:
    """Sample a server under load."""
    clients = Clients(server.port, [query.request(f"client-{each}") for each in range(CONNECTIONS)], query.status)
    over = Event()

    def send_on() -> None:
        while not over.is_set():
            clients.run(0.2)

    sender = Thread(target=send_on)
    sender.start()
    program = Path(sys.executable).with_name("py-spy")
    options = f"--native --format raw --rate {_RATE} --duration {max(1, round(seconds))} --pid {server.process.pid}".split()
    try:
        done = subprocess.run([program, "record", *options, "--output", raw], capture_output=True, text=True, check=False)
    finally:
        over.set()
        sender.join()
        clients.close()
    if done.returncode:
        raise SystemExit(
            f"py-spy cannot look at the server: {done.stderr.strip()[-500:]}\n"
            "It needs the permission to trace a process of the same user: run as root, or set kernel.yama.ptrace_scope to 0."
        )
    return read_samples(raw)


def _profile(server: Server, scenarios: list[Scenario], seconds: float, large: int) -> str:
    columns: list[tuple[Scenario, float, Counter[str]]] = []
    with opened_store(large) as store, running([server], store, FOLDER / "logs") as (started,):
        for scenario in scenarios:
            cost = measure(started, PostgreSQL(store.postgresql_pid), scenario, seconds).server_cpu
            columns.append((scenario, cost, _sample(started, scenario.query, seconds, FOLDER / f"{scenario.name}.raw")))
    rows = [["step", *(scenario.title for scenario, _, _ in columns)], ["---", *("--:" for _ in columns)]]
    for step in [*(step for step, _ in _STEPS), _LOOP]:
        if any(samples[step] for _, _, samples in columns):
            shares = [(cost, samples[step] / samples.total()) for _, cost, samples in columns]
            rows.append([step, *(f"{number_text(cost * share)} ({share:.0%})" for cost, share in shares)])
    rows.append(["**CPU ms a request**", *(number_text(cost) for _, cost, _ in columns)])
    rows.append(["samples", *(str(samples.total()) for _, _, samples in columns)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    """Print one table: the cost of each step in each scenario."""
    parser = argparse.ArgumentParser(prog="make profile", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="for each scenario")
    parser.add_argument("--sessions", type=int, default=200_000, help="in the large workspace")
    parser.add_argument("--only", default="", help="scenarios, and the server: ours or ours-sqlite")
    arguments = parser.parse_args()
    end_on_signal()
    chosen = arguments.only.split(",")
    name = "ours-sqlite" if "ours-sqlite" in chosen else "ours"
    server = next(each for each in all_servers() if each.name == name)
    scenarios = [each for each in scenarios_of(arguments.sessions) if each.takes(server)]
    print(_profile(server, choose(scenarios, chosen), arguments.seconds, arguments.sessions))
    print(f"\nShares of {_RATE} samples a second with native frames; the sum is from process accounting, without sampling.")


if __name__ == "__main__":
    main()
