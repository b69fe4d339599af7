"""The tables, as statements see them; `migrations/` creates them.

Each session is one JSON document, the bytes that are answered. The other columns are derived from it by the database. Every
key and index is led by the workspace, so the tables can be distributed by it. Timestamps are text as the contract writes
them (UTC, milliseconds, `Z`), which sorts as time does.
"""

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, Integer, MetaData, Table

Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""Text that is compared by its bytes on both engines."""

metadata = MetaData()

workspaces = Table(
    "workspaces",
    metadata,
    Column("id", Text, primary_key=True),
    Column("revision", BigInteger().with_variant(Integer, "sqlite")),
)
"""`revision` increases with every change of the workspace's sessions; see `migrations/`."""

sessions = Table(
    "sessions",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("client_id", Text),
    Column("staff_id", Text),
    Column("status", Text),
    Column("date", Text),
    Column("start_time", Text),
    Column("updated_at", Text),
    Column("document", sa.Text()),
)

session_services = Table(
    "session_services",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("service_id", Text, primary_key=True),
    Column("date", Text, primary_key=True),
    Column("start_time", Text, primary_key=True),
    Column("session_id", Text, primary_key=True),
    Column("status", Text),
    Column("staff_id", Text),
    Column("updated_at", Text),
)
"""Which sessions have a service, in the order of their dates; written by triggers only."""
