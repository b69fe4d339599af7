"""The tables as an application on SQLAlchemy's ORM maps them, and the query that its peers share."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import ForeignKey, ForeignKeyConstraint, Text, TypeDecorator, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, joinedload, mapped_column, relationship, selectinload

engine = create_async_engine(os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://"), pool_size=10)
open_session = async_sessionmaker(engine, expire_on_commit=False)


class JSONText(TypeDecorator[Any]):
    """JSON in a text column."""

    impl = Text
    cache_ok = True

    def process_result_value(self, value: str | None, _dialect: Any) -> Any:
        return None if value is None else orjson.loads(value)


class Base(DeclarativeBase):
    pass


class Workspace(Base):
    __tablename__ = "workspaces"

    id: Mapped[str] = mapped_column(primary_key=True)


class Client(Base):
    __tablename__ = "clients"

    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"), primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]


class Staff(Base):
    __tablename__ = "staff"

    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"), primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]


class Service(Base):
    __tablename__ = "services"

    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"), primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]


class Booking(Base):
    __tablename__ = "session_services"

    workspace_id: Mapped[str] = mapped_column(primary_key=True)
    session_id: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    service_id: Mapped[str]

    __table_args__ = (
        ForeignKeyConstraint(["workspace_id", "session_id"], ["sessions.workspace_id", "sessions.id"]),
        ForeignKeyConstraint(["workspace_id", "service_id"], ["services.workspace_id", "services.id"]),
    )


class Session(Base):
    __tablename__ = "sessions"

    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"), primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    client_id: Mapped[str]
    staff_id: Mapped[str]
    name: Mapped[str]
    date: Mapped[str]
    start_time: Mapped[str]
    end_time: Mapped[str]
    duration_minutes: Mapped[int]
    status: Mapped[str]
    field_values: Mapped[list[dict[str, Any]]] = mapped_column(JSONText)
    attachments: Mapped[list[dict[str, Any]]] = mapped_column(JSONText)
    notes: Mapped[list[dict[str, Any]]] = mapped_column(JSONText)
    invoice: Mapped[dict[str, Any] | None] = mapped_column(JSONText)
    created_at: Mapped[str]
    updated_at: Mapped[str]

    client: Mapped[Client] = relationship(viewonly=True)
    staff: Mapped[Staff] = relationship(viewonly=True)
    services: Mapped[list[Service]] = relationship(secondary="session_services", order_by=Booking.position, viewonly=True)

    __table_args__ = (
        ForeignKeyConstraint(["workspace_id", "client_id"], ["clients.workspace_id", "clients.id"]),
        ForeignKeyConstraint(["workspace_id", "staff_id"], ["staff.workspace_id", "staff.id"]),
    )

    @property
    def client_name(self) -> str:
        return self.client.name

    @property
    def staff_name(self) -> str:
        return self.staff.name

    @property
    def service_ids(self) -> list[str]:
        return [service.id for service in self.services]

    @property
    def service_names(self) -> list[str]:
        return [service.name for service in self.services]


def _stored(moment: datetime) -> str:
    utc = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return utc.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def find_sessions(
    session: AsyncSession,
    workspace_id: str,
    client_id: str | None,
    service_ids: list[str] | None,
    date_from: datetime | None,
    date_to: datetime | None,
    status: str | None,
) -> Sequence[Session] | None:
    """The sessions of a workspace that pass the filters; None when there is no such workspace."""
    query = (
        select(Session)
        .where(Session.workspace_id == workspace_id)
        .options(
            joinedload(Session.client, innerjoin=True),
            joinedload(Session.staff, innerjoin=True),
            selectinload(Session.services),
        )
        .order_by(Session.date, Session.start_time, Session.id)
    )
    if client_id is not None:
        query = query.where(Session.client_id == client_id)
    if service_ids is not None:
        query = query.where(Session.services.any(Service.id.in_(service_ids)))
    if date_from is not None:
        query = query.where(Session.date >= _stored(date_from))
    if date_to is not None:
        query = query.where(Session.date <= _stored(date_to))
    if status is not None:
        query = query.where(Session.status == status)
    found = (await session.scalars(query)).all()
    if not found and await session.get(Workspace, workspace_id) is None:
        return None
    return found
