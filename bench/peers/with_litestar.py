"""Litestar, msgspec, SQLAlchemy's ORM. The structs hold what the contract says of each field."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import Litestar, get
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.exceptions import HTTPException, NotFoundException
from litestar.handlers import BaseRouteHandler
from litestar.params import Parameter
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from bench.peers.orm import engine, find_sessions, open_session
from bench.peers.tokens import Refused, require

Id = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
Name = Annotated[str, Meta(max_length=1000)]
Timestamp = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9]\.[0-9]{3}Z$")]
TimeOfDay = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Status = Literal["scheduled", "in-progress", "completed", "cancelled"]


class SessionOut(msgspec.Struct, rename="camel"):
    id: Id
    workspace_id: Id
    client_id: Id
    client_name: Name
    service_ids: Annotated[list[Id], Meta(max_length=1000)]
    service_names: Annotated[list[Name], Meta(max_length=1000)]
    staff_id: Id
    staff_name: Name
    name: Name
    date: Timestamp
    start_time: TimeOfDay
    end_time: TimeOfDay
    duration_minutes: Annotated[int, Meta(ge=0, le=525600)]
    status: Status
    field_values: Annotated[list[dict[str, Any]], Meta(max_length=10000)]
    attachments: Annotated[list[dict[str, Any]], Meta(max_length=10000)]
    notes: Annotated[list[dict[str, Any]], Meta(max_length=10000)]
    invoice: dict[str, Any] | None
    created_at: Timestamp
    updated_at: Timestamp


class SessionList(msgspec.Struct):
    sessions: list[SessionOut]


async def database_session() -> AsyncIterator[AsyncSession]:
    async with open_session() as session:
        yield session


def may_view(connection: ASGIConnection, _handler: BaseRouteHandler) -> None:
    token = connection.headers.get("authorization", "").removeprefix("Bearer ")
    try:
        require(token, connection.path_params["workspace_id"])
    except Refused as refused:
        raise HTTPException(status_code=refused.status) from None


@get(
    "/v1/workspace/{workspace_id:str}/sessions",
    guards=[may_view],
    dependencies={"session": Provide(database_session)},
)
async def list_sessions(
    session: AsyncSession,
    workspace_id: str,
    client_id: Annotated[Id | None, Parameter(query="clientId")] = None,
    service_ids: Annotated[str | None, Parameter(query="serviceIds", description="separated by commas")] = None,
    date_from: Annotated[datetime | None, Parameter(query="dateFrom")] = None,
    date_to: Annotated[datetime | None, Parameter(query="dateTo")] = None,
    status: Status | None = None,
) -> SessionList:
    services = service_ids.split(",") if service_ids else None
    found = await find_sessions(session, workspace_id, client_id, services, date_from, date_to, status)
    if found is None:
        raise NotFoundException
    # msgspec checks what it converts, and trusts what it encodes.
    return SessionList(msgspec.convert(found, list[SessionOut], from_attributes=True))


app = Litestar([list_sessions], on_shutdown=[engine.dispose])
