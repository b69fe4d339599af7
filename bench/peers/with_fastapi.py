"""FastAPI, Pydantic, SQLAlchemy's ORM. The models hold what the contract says of each field."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, HTTPException, Path, Query
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from sqlalchemy.ext.asyncio import AsyncSession

from bench.peers.orm import engine, find_sessions, open_session
from bench.peers.tokens import Refused, require

Id = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
Name = Annotated[str, Field(max_length=1000)]
Timestamp = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9]\.[0-9]{3}Z$")]
TimeOfDay = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Status = Literal["scheduled", "in-progress", "completed", "cancelled"]


class SessionOut(BaseModel):
    model_config = ConfigDict(from_attributes=True, alias_generator=to_camel, populate_by_name=True)

    id: Id
    workspace_id: Id
    client_id: Id
    client_name: Name
    service_ids: Annotated[list[Id], Field(max_length=1000)]
    service_names: Annotated[list[Name], Field(max_length=1000)]
    staff_id: Id
    staff_name: Name
    name: Name
    date: Timestamp
    start_time: TimeOfDay
    end_time: TimeOfDay
    duration_minutes: Annotated[int, Field(ge=0, le=525600)]
    status: Status
    field_values: Annotated[list[dict[str, Any]], Field(max_length=10000)]
    attachments: Annotated[list[dict[str, Any]], Field(max_length=10000)]
    notes: Annotated[list[dict[str, Any]], Field(max_length=10000)]
    invoice: dict[str, Any] | None
    created_at: Timestamp
    updated_at: Timestamp


class SessionList(BaseModel):
    sessions: list[SessionOut]


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


async def database_session() -> AsyncIterator[AsyncSession]:
    async with open_session() as session:
        yield session


async def may_view(
    workspace_id: Annotated[Id, Path(alias="workspaceId")],
    credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())],
) -> None:
    try:
        require(credentials.credentials, workspace_id)
    except Refused as refused:
        raise HTTPException(refused.status) from None


@app.get("/v1/workspace/{workspaceId}/sessions", response_model=SessionList, dependencies=[Depends(may_view)])
async def list_sessions(
    session: Annotated[AsyncSession, Depends(database_session)],
    workspace_id: Annotated[Id, Path(alias="workspaceId")],
    client_id: Annotated[Id | None, Query(alias="clientId")] = None,
    service_ids: Annotated[str | None, Query(alias="serviceIds", description="separated by commas")] = None,
    date_from: Annotated[datetime | None, Query(alias="dateFrom")] = None,
    date_to: Annotated[datetime | None, Query(alias="dateTo")] = None,
    status: Annotated[Status | None, Query()] = None,
) -> Any:
    services = service_ids.split(",") if service_ids else None
    found = await find_sessions(session, workspace_id, client_id, services, date_from, date_to, status)
    if found is None:
        raise HTTPException(404)
    return {"sessions": found}
