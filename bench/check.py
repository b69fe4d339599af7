"""Whether all servers answer alike, before anything is measured."""

import http.client
from typing import Any

import orjson

from bench.questions import Question, read_documents, right_answer, to_check
from bench.servers import Running
from bench.store import Store


def ask(port: int, question: Question) -> http.client.HTTPResponse:
    """Ask one question, on a connection of its own; the answer is whole when it is returned."""
    head, _, _ = question.request().partition(b"\r\n\r\n")
    first, *rest = head.decode().split("\r\n")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", first.split()[1], headers=dict(line.split(": ", 1) for line in rest))
    return connection.getresponse()


def check(servers: list[Running], store: Store) -> int:
    """Ask every server the same questions, and return how many.

    Raises:
        SystemExit: naming each answer that is not right.
    """
    sessions = read_documents(store.documents)
    questions = to_check(sessions)
    wrong: list[str] = []
    for question in questions:
        right = right_answer(sessions, question)
        for server in servers:
            response = ask(server.port, question)
            body = response.read()
            if response.status != question.status:
                wrong.append(
                    f"{server.server.name}: {question}: {response.status} instead of {question.status}: {body[:300]!r}"
                )
            elif question.status == 200 and (difference := _difference(orjson.loads(body), right, "$")):
                wrong.append(f"{server.server.name}: {question}: {difference}")
    if wrong:
        raise SystemExit("Not all servers answer alike:\n" + "\n".join(wrong))
    return len(questions)


def _difference(found: Any, right: Any, place: str) -> str | None:
    """Where two JSON values differ first."""
    if isinstance(found, (int, float)) and isinstance(right, (int, float)) and found == right:
        return None  # JSON does not tell 238 from 238.0
    if type(found) is not type(right):
        return f"{place} is {found!r:.80} instead of {right!r:.80}"
    if isinstance(right, dict) and found.keys() == right.keys():
        pairs = [(found[name], right[name], f"{place}.{name}") for name in right]
    elif isinstance(right, list) and len(found) == len(right):
        pairs = [(*pair, f"{place}[{number}]") for number, pair in enumerate(zip(found, right, strict=True))]
    else:
        return None if found == right else f"{place} is {found!r:.80} instead of {right!r:.80}"
    return next((difference for pair in pairs if (difference := _difference(*pair))), None)
