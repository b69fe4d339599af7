"""The first tables.

The CHECK constraints mirror the contract, so that a row which would break an answer cannot be stored, whoever writes it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = ("session_services", "sessions", "services", "staff", "clients", "workspaces")


TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def on(*, sqlite: str, postgresql: str) -> str:
    """The spelling for the engine that is being migrated."""
    return {"sqlite": sqlite, "postgresql": postgresql}[op.get_bind().dialect.name]


def is_id(column: str) -> str:
    return on(
        sqlite=f"length({column}) BETWEEN 1 AND 64 AND {column} NOT GLOB '*[^A-Za-z0-9_-]*'",
        postgresql=f"{column} ~ '^[A-Za-z0-9_-]{{1,64}}$'",
    )


def is_name(column: str) -> str:
    # PostgreSQL holds no NUL in any text.
    return on(
        sqlite=f"length({column}) <= 1000 AND instr({column}, char(0)) = 0",
        postgresql=f"length({column}) <= 1000",
    )


def is_timestamp(column: str) -> str:
    return on(
        # The modifier makes SQLite compute the date anew, so the 30th of February becomes another day and is refused. For
        # what is no date at all strftime gives NULL, which would pass a constraint that compares with =.
        sqlite=f"length({column}) = 24 AND {column} >= '0001' AND substr({column}, 18, 2) < '60'"
        f" AND {column} IS strftime('%Y-%m-%dT%H:%M:%fZ', {column}, '+0 seconds')",
        # The 30th of February cannot be made a date; 24:00 and the 60th second can, hence the digits.
        postgresql=f"{column} ~ '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\\.[0-9]{{3}}Z$'"
        f" AND make_date(substr({column}, 1, 4)::int, substr({column}, 6, 2)::int, substr({column}, 9, 2)::int) IS NOT NULL",
    )


def is_time_of_day(column: str) -> str:
    return on(
        sqlite=f"{column} GLOB '[0-2][0-9]:[0-5][0-9]' AND {column} < '24:00'",
        postgresql=f"{column} ~ '^([01][0-9]|2[0-3]):[0-5][0-9]$'",
    )


def is_array_of_objects(column: str) -> str:
    return on(
        # That its items are objects needs a look into it, which SQLite allows in triggers only: see upgrade().
        sqlite=f"json_valid({column}) AND json_type({column}) = 'array' AND json_array_length({column}) <= 10000",
        postgresql=f"jsonb_typeof({column}::jsonb) = 'array' AND jsonb_array_length({column}::jsonb) <= 10000"
        f""" AND NOT jsonb_path_exists({column}::jsonb, 'strict $[*] ? (@.type() <> "object")')""",
    )


def is_object_or_null(column: str) -> str:
    return on(
        sqlite=f"{column} IS NULL OR (json_valid({column}) AND json_type({column}) = 'object')",
        postgresql=f"jsonb_typeof({column}::jsonb) = 'object'",
    )


def check(table: str, column: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(sa.text(condition), name=f"ck_{table}_{column}")


def create_named(table: str) -> None:
    op.create_table(
        table,
        sa.Column("workspace_id", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("updated_at", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=f"pk_{table}"),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name=f"fk_{table}_workspaces", ondelete="CASCADE"),
        check(table, "id", is_id("id")),
        check(table, "name", is_name("name")),
        check(table, "updated_at", is_timestamp("updated_at")),
        sqlite_strict=True,
    )


def upgrade() -> None:
    op.create_table(
        "workspaces",
        sa.Column("id", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workspaces"),
        check("workspaces", "id", is_id("id")),
        sqlite_strict=True,
    )
    create_named("clients")
    create_named("staff")
    create_named("services")
    op.create_table(
        "sessions",
        sa.Column("workspace_id", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("client_id", TEXT, nullable=False),
        sa.Column("staff_id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("date", TEXT, nullable=False),
        sa.Column("start_time", TEXT, nullable=False),
        sa.Column("end_time", TEXT, nullable=False),
        sa.Column("duration_minutes", sa.Integer, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("field_values", TEXT, nullable=False),
        sa.Column("attachments", TEXT, nullable=False),
        sa.Column("notes", TEXT, nullable=False),
        sa.Column("invoice", TEXT, nullable=True),
        sa.Column("created_at", TEXT, nullable=False),
        sa.Column("updated_at", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name="pk_sessions"),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name="fk_sessions_workspaces", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["workspace_id", "client_id"], ["clients.workspace_id", "clients.id"], name="fk_sessions_clients"
        ),
        sa.ForeignKeyConstraint(["workspace_id", "staff_id"], ["staff.workspace_id", "staff.id"], name="fk_sessions_staff"),
        check("sessions", "id", is_id("id")),
        check("sessions", "name", is_name("name")),
        check("sessions", "date", is_timestamp("date")),
        check("sessions", "start_time", is_time_of_day("start_time")),
        check("sessions", "end_time", is_time_of_day("end_time")),
        check("sessions", "duration_minutes", "duration_minutes BETWEEN 0 AND 525600"),
        check("sessions", "status", "status IN ('scheduled', 'in-progress', 'completed', 'cancelled')"),
        check("sessions", "field_values", is_array_of_objects("field_values")),
        check("sessions", "attachments", is_array_of_objects("attachments")),
        check("sessions", "notes", is_array_of_objects("notes")),
        check("sessions", "invoice", is_object_or_null("invoice")),
        check("sessions", "created_at", is_timestamp("created_at")),
        check("sessions", "updated_at", is_timestamp("updated_at")),
        sqlite_strict=True,
    )
    for columns in (
        ("date", "start_time", "id"),
        ("client_id", "date", "start_time", "id"),
        ("staff_id", "date", "start_time", "id"),
        ("status", "date", "start_time", "id"),
        ("updated_at", "id"),
    ):
        op.create_index(f"ix_sessions_workspace_id_{'_'.join(columns)}", "sessions", ["workspace_id", *columns])
    op.create_table(
        "session_services",
        sa.Column("workspace_id", TEXT, nullable=False),
        sa.Column("session_id", TEXT, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("service_id", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "session_id", "position", name="pk_session_services"),
        sa.ForeignKeyConstraint(
            ["workspace_id", "session_id"],
            ["sessions.workspace_id", "sessions.id"],
            name="fk_session_services_sessions",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "service_id"],
            ["services.workspace_id", "services.id"],
            name="fk_session_services_services",
        ),
        check("session_services", "position", "position BETWEEN 0 AND 999"),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_session_services_workspace_id_service_id_session_id",
        "session_services",
        ["workspace_id", "service_id", "session_id"],
    )
    if op.get_bind().dialect.name != "sqlite":
        return
    for column in ("field_values", "attachments", "notes"):
        for event in ("INSERT", f"UPDATE OF {column}"):
            op.execute(
                f"CREATE TRIGGER sessions_{column}_{event.split()[0].lower()} BEFORE {event} ON sessions"
                f" WHEN EXISTS (SELECT 1 FROM json_each(NEW.{column}) WHERE type <> 'object')"
                f" BEGIN SELECT RAISE(ABORT, '{column} holds something that is no object'); END"
            )


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
