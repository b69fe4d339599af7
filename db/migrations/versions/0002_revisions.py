"""A revision of each workspace, which every change to what it holds moves forward, whoever makes the change.

An answer is as good as new while the revision of its workspace stands. So a revision must never stand for two states, not
even when a workspace is removed and made anew, or when the database is restored from a backup: it is taken from the clock
(microseconds since 1970) unless that has not moved on, and then counted.
"""

from collections.abc import Iterator

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = ("clients", "staff", "services", "sessions", "session_services")


def upgrade() -> None:
    statements = on_sqlite() if op.get_bind().dialect.name == "sqlite" else on_postgresql()
    for statement in statements:
        op.execute(statement)


# ---- SQLite ---------------------------------------------------------------------------------------------------------

# The clock has milliseconds; what is below them is drawn by lot.
NOW = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000 + abs(random() % 1000)"


def on_sqlite() -> Iterator[str]:
    yield "ALTER TABLE workspaces ADD COLUMN revision INTEGER NOT NULL DEFAULT 0"
    yield f"UPDATE workspaces SET revision = {NOW}"
    bump = f"UPDATE workspaces SET revision = max(revision + 1, {NOW}) WHERE id"
    yield f"CREATE TRIGGER workspaces_revision_insert AFTER INSERT ON workspaces BEGIN {bump} = NEW.id; END"
    yield (
        "CREATE TRIGGER workspaces_revision_update AFTER UPDATE ON workspaces"
        f" WHEN NEW.revision <= OLD.revision BEGIN {bump} = NEW.id; END"
    )
    for table in TABLES:
        for event, touched in {
            "INSERT": "= NEW.workspace_id",
            "UPDATE": "IN (OLD.workspace_id, NEW.workspace_id)",
            "DELETE": "= OLD.workspace_id",
        }.items():
            yield f"CREATE TRIGGER {table}_revision_{event.lower()} AFTER {event} ON {table} BEGIN {bump} {touched}; END"


# ---- PostgreSQL -----------------------------------------------------------------------------------------------------

CLOCK = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"

# Once for each statement, however many rows it writes. The ids are read into a variable first: a distributed UPDATE (Citus)
# cannot see the rows that a trigger is handed.
FUNCTIONS = f"""
CREATE FUNCTION bump_revisions() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  touched text[];
  others text[];
BEGIN
  IF TG_OP <> 'DELETE' THEN
    SELECT array_agg(DISTINCT workspace_id) INTO touched FROM rows_after;
  END IF;
  IF TG_OP <> 'INSERT' THEN
    SELECT array_agg(DISTINCT workspace_id) INTO others FROM rows_before;
  END IF;
  touched := touched || others;
  IF cardinality(touched) > 0 THEN
    UPDATE workspaces SET revision = greatest(revision + 1, {CLOCK}) WHERE id = ANY (touched);
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION bump_all_revisions() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  UPDATE workspaces SET revision = greatest(revision + 1, {CLOCK});
  RETURN NULL;
END $$;

CREATE FUNCTION bump_own_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.revision := greatest(OLD.revision + 1, {CLOCK});
  RETURN NEW;
END $$
"""

ROWS = {
    "INSERT": "NEW TABLE AS rows_after",
    "UPDATE": "OLD TABLE AS rows_before NEW TABLE AS rows_after",
    "DELETE": "OLD TABLE AS rows_before",
}


def on_postgresql() -> Iterator[str]:
    yield f"ALTER TABLE workspaces ADD COLUMN revision bigint NOT NULL DEFAULT {CLOCK}"
    yield from FUNCTIONS.split(";\n\n")
    yield (
        "CREATE TRIGGER workspaces_revision_update BEFORE UPDATE ON workspaces FOR EACH ROW"
        " WHEN (OLD.* IS DISTINCT FROM NEW.* AND NEW.revision <= OLD.revision) EXECUTE FUNCTION bump_own_revision()"
    )
    for table in TABLES:
        for event, rows in ROWS.items():
            yield (
                f"CREATE TRIGGER {table}_revision_{event.lower()} AFTER {event} ON {table} REFERENCING {rows}"
                " FOR EACH STATEMENT EXECUTE FUNCTION bump_revisions()"
            )
        yield (
            f"CREATE TRIGGER {table}_revision_truncate AFTER TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION bump_all_revisions()"
        )


def downgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    for table in ("workspaces", *TABLES):
        for event in ("insert", "update", "delete", "truncate"):
            op.execute(f"DROP TRIGGER IF EXISTS {table}_revision_{event}" + ("" if sqlite else f" ON {table}"))
    if not sqlite:
        for function in ("bump_revisions", "bump_all_revisions", "bump_own_revision"):
            op.execute(f"DROP FUNCTION {function}()")
    op.drop_column("workspaces", "revision")
