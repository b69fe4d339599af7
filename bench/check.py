"""Check that all servers respond alike, before anything is measured."""

import http.client
from typing import Any

import orjson

from bench.queries import Query, expected_response, queries_to_check
from bench.servers import Running
from bench.store import Store, read_documents


def send(port: int, query: Query) -> http.client.HTTPResponse:
    """Send one request on a connection of its own."""
    head, _, _ = query.request().partition(b"\r\n\r\n")
    first, *rest = head.decode().split("\r\n")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", first.split()[1], headers=dict(line.split(": ", 1) for line in rest))
    return connection.getresponse()


def check(servers: list[Running], store: Store) -> int:
    """Send every server the same queries, and return how many.

    Raises:
        SystemExit: naming each response that is wrong.
    """
    sessions = list(read_documents(store))
    queries = queries_to_check(sessions)
    wrong: list[str] = []
    for query in queries:
        expected = expected_response(sessions, query)
        for server in servers:
            response = send(server.port, query)
            body = response.read()
            name = f"{server.server.name}: {query}"
            if response.status != query.status:
                wrong.append(f"{name}: {response.status} instead of {query.status}: {body[:300]!r}")
            elif query.status == 200 and (difference := _difference(orjson.loads(body), expected, "$")):
                wrong.append(f"{name}: {difference}")
    if wrong:
        raise SystemExit("Not all servers respond alike:\n" + "\n".join(wrong))
    return len(queries)


def _difference(found: Any, expected: Any, place: str) -> str | None:
    """Where two JSON values differ first."""
    if isinstance(found, (int, float)) and isinstance(expected, (int, float)) and found == expected:
        return None  # JSON does not tell 238 from 238.0
    if type(found) is not type(expected):
        return f"{place} is {found!r:.80} instead of {expected!r:.80}"
    if isinstance(expected, dict) and found.keys() == expected.keys():
        pairs = [(found[name], expected[name], f"{place}.{name}") for name in expected]
    elif isinstance(expected, list) and len(found) == len(expected):
        pairs = [(*pair, f"{place}[{number}]") for number, pair in enumerate(zip(found, expected, strict=True))]
    else:
        return None if found == expected else f"{place} is {found!r:.80} instead of {expected!r:.80}"
    return next((difference for pair in pairs if (difference := _difference(*pair))), None)
