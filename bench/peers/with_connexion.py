"""Connexion 3.3 as its documentation shows it, with responses validated, and SQLAlchemy's ORM.

Its contract is the product's."""

from datetime import datetime
from pathlib import Path
from typing import Any

import connexion
import jwt
import yaml
from connexion.exceptions import Forbidden
from connexion.resolver import RelativeResolver

from bench.peers.orm import Session, find_sessions, open_session
from bench.peers.tokens import SECRET

CONTRACT = Path(__file__).parents[2] / "openapi" / "openapi.yaml"


def bearer_info(token: str) -> dict[str, Any] | None:
    """The claims of a token; Connexion answers 401 for None."""
    try:
        return jwt.decode(token, SECRET, algorithms=["HS256"], options={"require": ["exp"]})
    except jwt.PyJWTError:
        return None


def _as_dict(session: Session) -> dict[str, Any]:
    return {
        "id": session.id,
        "workspaceId": session.workspace_id,
        "clientId": session.client_id,
        "clientName": session.client_name,
        "serviceIds": session.service_ids,
        "serviceNames": session.service_names,
        "staffId": session.staff_id,
        "staffName": session.staff_name,
        "name": session.name,
        "date": session.date,
        "startTime": session.start_time,
        "endTime": session.end_time,
        "durationMinutes": session.duration_minutes,
        "status": session.status,
        "fieldValues": session.field_values,
        "attachments": session.attachments,
        "notes": session.notes,
        "invoice": session.invoice,
        "createdAt": session.created_at,
        "updatedAt": session.updated_at,
    }


async def list_sessions(
    workspace_id: str,
    token_info: dict[str, Any],
    client_id: str | None = None,
    service_ids: list[str] | None = None,
    date_from: str | None = None,
    date_to: str | None = None,
    status: str | None = None,
) -> Any:
    if "sessions.view" not in token_info.get("scope", "").split() or workspace_id not in token_info.get("workspaces", ()):
        raise Forbidden
    moments = [None if text is None else datetime.fromisoformat(text) for text in (date_from, date_to)]
    async with open_session() as session:
        found = await find_sessions(session, workspace_id, client_id, service_ids, *moments, status)
    if found is None:
        return connexion.problem(404, "Not Found", "There is no workspace with this id.")
    return {"sessions": [_as_dict(each) for each in found]}, 200, {"Content-Type": "application/json"}


contract = yaml.safe_load(CONTRACT.read_text(encoding="utf-8"))
contract["components"]["securitySchemes"]["bearerAuth"]["x-bearerInfoFunc"] = f"{__name__}.bearer_info"

app = connexion.AsyncApp(__name__)
app.add_api(
    contract,
    base_path="",
    resolver=RelativeResolver(__name__),
    pythonic_params=True,
    strict_validation=True,
    validate_responses=True,
)
