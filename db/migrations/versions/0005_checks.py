"""Constraints that cost PostgreSQL less and refuse the same: an import spent a fifth of the server's time in the old ones.

A regular expression is costly by the number of states it passes through, so by the length of what it counts. The old ones
counted the characters of an id and of a moment; these count them otherwise. SQLite keeps what it has: it has no regular
expressions.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ID = "{column} !~ '[^A-Za-z0-9_-]' AND octet_length({column}) BETWEEN 1 AND 64"
# Read as a moment and written again, it is the same text. So it is a day that there is, in this one form, which every
# setting of the server reads alike; what is in another form is refused, however it is read. The length refuses the year
# 10000.
TIMESTAMP = """octet_length({column}) = 24 AND to_char({column}::timestamp, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') = {column}"""
# Most are empty. The others are parsed once. What gives NULL would pass.
ARRAY_OF_OBJECTS = (
    "{column} = '[]' OR jsonb_path_match({column}::jsonb,"
    """ 'strict $.type() == "array" && $.size() <= 10000 && !exists($[*] ? (@.type() <> "object"))') IS TRUE"""
)

OLD_ID = "{column} ~ '^[A-Za-z0-9_-]{{1,64}}$'"
OLD_TIMESTAMP = (
    "{column} ~ '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\\.[0-9]{{3}}Z$'"
    " AND make_date(substr({column}, 1, 4)::int, substr({column}, 6, 2)::int, substr({column}, 9, 2)::int) IS NOT NULL"
)
OLD_ARRAY_OF_OBJECTS = (
    "jsonb_typeof({column}::jsonb) = 'array' AND jsonb_array_length({column}::jsonb) <= 10000"
    """ AND NOT jsonb_path_exists({column}::jsonb, 'strict $[*] ? (@.type() <> "object")')"""
)

COLUMNS = [
    *((table, "id", ID, OLD_ID) for table in ("workspaces", "clients", "staff", "services", "sessions")),
    *((table, "updated_at", TIMESTAMP, OLD_TIMESTAMP) for table in ("clients", "staff", "services", "sessions")),
    *(("sessions", column, TIMESTAMP, OLD_TIMESTAMP) for column in ("date", "created_at")),
    *(("sessions", column, ARRAY_OF_OBJECTS, OLD_ARRAY_OF_OBJECTS) for column in ("field_values", "attachments", "notes")),
]


def upgrade() -> None:
    for table, column, new, _ in COLUMNS:
        replace(table, column, new)


def downgrade() -> None:
    for table, column, _, old in COLUMNS:
        replace(table, column, old)


def replace(table: str, column: str, condition: str) -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    name = f"ck_{table}_{column}"
    for action in (f"DROP CONSTRAINT {name}", f"ADD CONSTRAINT {name} CHECK ({condition.format(column=column)})"):
        # As it stands: in SQLAlchemy's text, a colon may begin a parameter.
        op.get_bind().exec_driver_sql(f"ALTER TABLE {table} {action}")
