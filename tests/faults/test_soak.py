"""Many mixed requests, after which a server holds as much memory and as many descriptors and threads as before.

`make soak` sends 500,000; `make faults` fewer.
"""

import asyncio
import http.client
import os
import random
import re
import threading
from collections import Counter
from pathlib import Path

import pytest

from db.limits import CONNECTIONS
from tests.conftest import Databases, Mint
from tests.faults.conftest import Launch
from tests.faults.service import Record, descriptors_of
from tests.scale.practice import PRACTICE, fill

REQUESTS = int(os.environ.get("SOAK_REQUESTS", "20000"))
CLIENTS = 4
SESSIONS = 2_000
PATH = f"/v1/workspace/{PRACTICE}/sessions"
MAX_GROWTH = 0.05

# Lists of every kind, whole ones rarely, and every refusal that a client can cause.
TARGETS = {
    f"{PATH}?limit=1": 20,
    f"{PATH}?limit=50": 20,
    f"{PATH}?limit=50&sort=-updatedAt": 10,
    f"{PATH}?limit=20&clientId=client1": 10,
    f"{PATH}?limit=20&staffId=staff0&status=completed": 10,
    f"{PATH}?serviceIds=service00,service12&limit=20": 10,
    f"{PATH}?dateFrom=2025-06-01&dateTo=2025-06-07": 10,
    f"{PATH}?updatedSince=2025-12-01T00:00Z": 5,
    PATH: 1,
    f"{PATH}?limit=0&clientID=a": 5,
    f"{PATH}?cursor=junk": 5,
    "/v1/workspace/elsewhere/sessions": 5,
    "/nowhere": 2,
    "/healthz": 2,
    "/readyz": 2,
    "/openapi.json": 1,
    "/docs": 1,
}


def memory_of(process: int) -> int:
    """Resident memory in KiB."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
    assert found
    return int(found[1])


def threads_of(process: int) -> int:
    return len(list(Path(f"/proc/{process}/task").iterdir()))


def send(port: int, token: str, requests: int, seed: int) -> Counter[int]:
    """Send this many requests on one connection; an eighth without a token, a quarter with the ETag that came last."""
    chosen = random.Random(seed)  # noqa: S311 - the same requests at every run
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    etags: dict[str, str] = {}
    statuses = Counter[int]()
    for target in chosen.choices(list(TARGETS), list(TARGETS.values()), k=requests):
        headers = {"Authorization": f"Bearer {token}"} if chosen.randrange(8) else {}
        headers["Accept-Encoding"] = chosen.choice(["identity", "gzip", "zstd"])
        if target in etags and not chosen.randrange(4):
            headers["If-None-Match"] = etags[target]
        connection.request("GET", target, headers=headers)
        response = connection.getresponse()
        response.read()
        statuses[response.status] += 1
        if etag := response.getheader("ETag"):
            etags[target] = etag
    connection.close()
    return statuses


def send_from_all_clients(port: int, token: str, requests: int, seed: int) -> Counter[int]:
    statuses = Counter[int]()

    def run(number: int) -> None:
        statuses.update(send(port, token, requests // CLIENTS, seed + number))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


@pytest.mark.slow
def test_memory_descriptors_and_threads_are_constant(
    postgresql_databases: Databases, launch: Launch, mint: Mint, record: Record
) -> None:
    url = postgresql_databases.migrated()
    asyncio.run(fill(url, {PRACTICE: SESSIONS}))
    token = mint(workspaces=[PRACTICE])
    service = launch(url)

    send_from_all_clients(service.port, token, REQUESTS // 5, seed=0)
    before = memory_of(service.pid), descriptors_of(service.pid), threads_of(service.pid)
    statuses = send_from_all_clients(service.port, token, REQUESTS, seed=CLIENTS)
    after = memory_of(service.pid), descriptors_of(service.pid), threads_of(service.pid)

    assert set(statuses) == {200, 304, 400, 401, 403, 404}
    assert after[0] <= before[0] * (1 + MAX_GROWTH), (before, after)
    assert after[1] <= before[1] + CONNECTIONS  # the pool may have grown to its limit
    assert after[2] <= before[2]
    record(f"{REQUESTS:,} mixed requests: {before[0] >> 10} → {after[0] >> 10} MiB", statuses, None)
