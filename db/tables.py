"""The tables, as the queries see them. `migrations/` builds them and holds the CHECK constraints that mirror the contract.

Every primary key and every index is led by the workspace, so the schema can be partitioned or distributed by it. Moments
are stored as the contract writes them (UTC, milliseconds, `Z`): that text sorts as time does. The open parts of a session
(`field_values`, `attachments`, `notes`, `invoice`) are stored as the JSON text that came in.
"""

import sqlalchemy as sa
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    FetchedValue,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
)

Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""Text that is compared by its bytes, on both engines: ids and moments have no language, and indexes serve their order."""

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

workspaces = Table(
    "workspaces",
    metadata,
    Column("id", Text, nullable=False),
    Column("revision", BigInteger().with_variant(Integer, "sqlite"), nullable=False, server_default=FetchedValue()),
    PrimaryKeyConstraint("id"),
)
"""`revision` grows with every change to the workspace and to what it holds: triggers see to it, whoever writes."""


def _named(table: str) -> Table:
    """A table of things that sessions refer to by id and answers show by name.

    `updated_at` is the `updatedAt` of the document that gave the name: the newest gives it.
    """
    return Table(
        table,
        metadata,
        Column("workspace_id", Text, nullable=False),
        Column("id", Text, nullable=False),
        Column("name", Text, nullable=False),
        Column("updated_at", Text, nullable=False),
        PrimaryKeyConstraint("workspace_id", "id"),
        ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], ondelete="CASCADE"),
    )


clients = _named("clients")
staff = _named("staff")
services = _named("services")

sessions = Table(
    "sessions",
    metadata,
    Column("workspace_id", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("client_id", Text, nullable=False),
    Column("staff_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("date", Text, nullable=False),
    Column("start_time", Text, nullable=False),
    Column("end_time", Text, nullable=False),
    Column("duration_minutes", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("field_values", Text, nullable=False),
    Column("attachments", Text, nullable=False),
    Column("notes", Text, nullable=False),
    Column("invoice", Text, nullable=True),
    Column("created_at", Text, nullable=False),
    Column("updated_at", Text, nullable=False),
    PrimaryKeyConstraint("workspace_id", "id"),
    ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["workspace_id", "client_id"], ["clients.workspace_id", "clients.id"]),
    ForeignKeyConstraint(["workspace_id", "staff_id"], ["staff.workspace_id", "staff.id"]),
    Index(None, "workspace_id", "date", "start_time", "id"),
    Index(None, "workspace_id", "client_id", "date", "start_time", "id"),
    Index(None, "workspace_id", "staff_id", "date", "start_time", "id", "updated_at"),
    Index(None, "workspace_id", "status", "date", "start_time", "id"),
    Index(None, "workspace_id", "updated_at", "id"),
)


def stretch_of(date: ColumnElement[str]) -> ColumnElement[str]:
    """The stretch of the calendar that a date is in: days of a month whose number begins alike, up to ten of them.

    It is not stored; indexes hold it.
    """
    return sa.func.substr(date, sa.literal_column("1"), sa.literal_column("9"), type_=Text)


Index(
    "ix_sessions_workspace_id_stretch_updated_at",
    *(sessions.c.workspace_id, stretch_of(sessions.c.date), sessions.c.updated_at),
    *(sessions.c.date, sessions.c.start_time, sessions.c.id, sessions.c.status),
)

session_services = Table(
    "session_services",
    metadata,
    Column("workspace_id", Text, nullable=False),
    Column("session_id", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("service_id", Text, nullable=False),
    Column("status", Text, nullable=False, server_default=""),
    Column("date", Text, nullable=False, server_default=""),
    Column("start_time", Text, nullable=False, server_default=""),
    Column("staff_id", Text, nullable=False, server_default=""),
    Column("updated_at", Text, nullable=False, server_default=""),
    PrimaryKeyConstraint("workspace_id", "session_id", "position"),
    ForeignKeyConstraint(["workspace_id", "session_id"], ["sessions.workspace_id", "sessions.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["workspace_id", "service_id"], ["services.workspace_id", "services.id"]),
    Index(
        "ix_session_services_workspace_id_service_id_status_date",
        *("workspace_id", "service_id", "status", "date", "start_time", "session_id", "updated_at"),
    ),
    Index(
        "ix_session_services_workspace_id_staff_id_service_id_status",
        *("workspace_id", "staff_id", "service_id", "status", "date", "start_time", "session_id"),
    ),
)
"""The services of sessions. From `status` on, columns are copies of the session's: triggers see to it, whoever writes."""

Index(
    "ix_session_services_workspace_id_service_id_stretch_updated_at",
    *(session_services.c.workspace_id, session_services.c.service_id, stretch_of(session_services.c.date)),
    *(session_services.c[name] for name in ("updated_at", "date", "start_time", "session_id")),
)
