"""Queries of a list, and their results as plain Python works them out: the oracle of the tests of lists and pages."""

from typing import Any

from hypothesis import strategies as st

from db.demo import DOCUMENTED_SESSION
from openapi import timestamps

STATUSES = ["scheduled", "in-progress", "completed", "cancelled"]
WORKSPACES = ["w1", "w2"]
IDS = ["a", "b", "c", "A", "_", "-", "0" * 64]
MOMENTS = st.integers(-5, 5).map(lambda hours: timestamps.write(1_705_708_800_000 + hours * 3_600_000))
TIMES = st.sampled_from(["00:00", "09:30", "10:00", "23:59"])


def in_order(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(documents, key=lambda document: (document["date"], document["startTime"], document["id"]))


def expected(documents: list[dict[str, Any]], query: dict[str, Any]) -> list[str]:
    """The ids that a query should give, worked out without the program's own code."""

    def passes(document: dict[str, Any]) -> bool:
        return (
            ("clientId" not in query or document["clientId"] == query["clientId"])
            and ("serviceIds" not in query or bool(set(document["serviceIds"]) & set(query["serviceIds"])))
            and ("dateFrom" not in query or document["date"] >= query["dateFrom"])
            and ("dateTo" not in query or document["date"] <= query["dateTo"])
            and ("status" not in query or document["status"] == query["status"])
            and ("staffId" not in query or document["staffId"] == query["staffId"])
            and ("updatedSince" not in query or document["updatedAt"] >= query["updatedSince"])
        )

    return [document["id"] for document in in_order(documents) if passes(document)]


def as_parameters(query: dict[str, Any]) -> dict[str, str]:
    return {name: ",".join(value) if isinstance(value, list) else value for name, value in query.items()}


def document(workspace_id: str, session_id: str, draw: Any) -> dict[str, Any]:
    services = draw(st.lists(st.sampled_from(IDS), max_size=3))
    return {
        **DOCUMENTED_SESSION,
        "id": session_id,
        "workspaceId": workspace_id,
        "clientId": draw(st.sampled_from(IDS)),
        "staffId": draw(st.sampled_from(IDS)),
        "serviceIds": services,
        "serviceNames": [f"service {service}" for service in services],
        "date": draw(MOMENTS),
        "startTime": draw(TIMES),
        "status": draw(st.sampled_from(STATUSES)),
        "updatedAt": draw(MOMENTS),
    }


@st.composite
def data_sets(draw: Any) -> list[dict[str, Any]]:
    """Sessions of two workspaces whose ids collide."""
    keys = draw(st.lists(st.tuples(st.sampled_from(WORKSPACES), st.sampled_from(IDS)), unique=True))
    return [document(workspace_id, session_id, draw) for workspace_id, session_id in keys]


queries = st.fixed_dictionaries(
    {},
    optional={
        "clientId": st.sampled_from(IDS),
        "serviceIds": st.lists(st.sampled_from(IDS), min_size=1, max_size=4),
        "dateFrom": MOMENTS,
        "dateTo": MOMENTS,
        "status": st.sampled_from(STATUSES),
        "staffId": st.sampled_from(IDS),
        "updatedSince": MOMENTS,
    },
)
