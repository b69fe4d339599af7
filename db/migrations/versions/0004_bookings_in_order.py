"""Indexes that hold all that the lists of a service, or of a member of the staff, are sorted and filtered by.

For services, bookings hold copies of what their sessions say: see `Way.BY_SERVICE` in db/lists.py. Triggers keep them
equal, whoever writes.
"""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLE = "session_services"
BEFORE = "ix_session_services_workspace_id_service_id_session_id"
INDEX = "ix_session_services_workspace_id_service_id_status_date"
COPIED = ("status", "date", "start_time", "staff_id", "updated_at")
STAFF = "ix_sessions_workspace_id_staff_id_date_start_time_id"
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.drop_index(BEFORE, TABLE)
    for column in COPIED:
        op.add_column(TABLE, sa.Column(column, TEXT, nullable=False, server_default=""))
    sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in on_sqlite() if sqlite else on_postgresql():
        op.execute(statement)
    op.create_index(INDEX, TABLE, ["workspace_id", "service_id", *COPIED[:3], "session_id", *COPIED[3:]])
    op.drop_index(STAFF, "sessions")
    in_order = ["workspace_id", "staff_id", "date", "start_time", "id"]
    op.create_index(f"{STAFF}_updated_at", "sessions", [*in_order, "updated_at"])


def listed(prefix: str) -> str:
    return ", ".join(f"{prefix}{column}" for column in COPIED)


SET = ", ".join(f"{column} = s.{column}" for column in COPIED)

# ---- SQLite ---------------------------------------------------------------------------------------------------------


def on_sqlite() -> Iterator[str]:
    # What a booking says has not changed: there is no need to move the revision, which would be done for each row.
    moves = "session_services_revision_update"
    [(definition,)] = op.get_bind().execute(sa.text(f"SELECT sql FROM sqlite_schema WHERE name = '{moves}'"))
    yield f"DROP TRIGGER {moves}"
    yield f"UPDATE {TABLE} SET {SET} FROM sessions s WHERE s.workspace_id = {TABLE}.workspace_id AND s.id = session_id"
    yield definition
    # What differs is written again, which ends when nothing does.
    of = "workspace_id = NEW.workspace_id AND id = NEW.session_id"
    for event in ("INSERT", f"UPDATE OF workspace_id, session_id, {listed('')}"):
        yield (
            f"CREATE TRIGGER {TABLE}_times_{event[:6].lower()} AFTER {event} ON {TABLE}"
            f" WHEN ({listed('NEW.')}) IS NOT (SELECT {listed('')} FROM sessions WHERE {of})"
            f" BEGIN UPDATE {TABLE} SET {SET} FROM (SELECT {listed('')} FROM sessions WHERE {of}) AS s"
            " WHERE workspace_id = NEW.workspace_id AND session_id = NEW.session_id AND position = NEW.position; END"
        )
    # Where foreign keys are off, as they are for programs that do not ask for them, REPLACE leaves a session's bookings.
    for event in ("INSERT", f"UPDATE OF workspace_id, id, {listed('')}"):
        yield (
            f"CREATE TRIGGER sessions_times_{event[:6].lower()} AFTER {event} ON sessions"
            f" BEGIN UPDATE {TABLE} SET ({listed('')}) = ({listed('NEW.')})"
            # The bound shows SQLite which index to take.
            " WHERE workspace_id = NEW.workspace_id AND session_id = NEW.id AND position >= 0"
            f" AND ({listed('')}) IS NOT ({listed('NEW.')}); END"
        )


# ---- PostgreSQL -----------------------------------------------------------------------------------------------------

# Once for each statement, and of a kind that works on shards (Citus), like bump_revisions(): the keys are read into
# variables first, and each workspace has a statement of its own, which goes to one shard. No id contains a comma. With the
# settings, both tables are read by their keys, once, and joined then, whatever the planner knows of tables that are just
# being filled: 5,000 rows that are right take 12 ms instead of 35.
FUNCTION = f"""
CREATE FUNCTION keep_bookings_in_step() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT
SET enable_nestloop = off SET enable_seqscan = off AS $$
DECLARE
  touched text[];
  their_sessions text[];
  one text;
  of_one text[];
BEGIN
  IF TG_ARGV[0] = 'sessions' THEN
    SELECT array_agg(workspace_id), array_agg(ids) INTO touched, their_sessions FROM (
      SELECT workspace_id, string_agg(id, ',') AS ids FROM (
        SELECT workspace_id, id, {listed("")} FROM rows_after
        EXCEPT SELECT workspace_id, id, {listed("")} FROM rows_before
      ) AS changed GROUP BY workspace_id
    ) AS of_workspaces;
  ELSE
    SELECT array_agg(workspace_id), array_agg(ids) INTO touched, their_sessions FROM (
      SELECT workspace_id, string_agg(DISTINCT session_id, ',') AS ids FROM rows_after GROUP BY workspace_id
    ) AS of_workspaces;
  END IF;
  FOR i IN 1 .. coalesce(cardinality(touched), 0) LOOP
    one := touched[i];
    of_one := string_to_array(their_sessions[i], ',');
    UPDATE {TABLE} AS b SET {SET} FROM sessions AS s
    WHERE b.workspace_id = one AND b.session_id = ANY (of_one)
      AND s.workspace_id = one AND s.id = ANY (of_one) AND s.id = b.session_id
      AND ({listed("b.")}) IS DISTINCT FROM ({listed("s.")});
  END LOOP;
  RETURN NULL;
END $$
"""

# PostgreSQL fires triggers in the order of their names, so these come behind those that move the revision, and must: moving
# it locks the workspace, so that of two transactions which write to one, the later goes on when the earlier has ended, and
# what the function asks then sees what the earlier did (READ COMMITTED; in stricter isolation the later one fails).
TRIGGERS = {
    f"{TABLE}_times_insert": f"INSERT ON {TABLE} REFERENCING NEW TABLE AS rows_after",
    f"{TABLE}_times_update": f"UPDATE ON {TABLE} REFERENCING NEW TABLE AS rows_after",
    "sessions_times_update": "UPDATE ON sessions REFERENCING OLD TABLE AS rows_before NEW TABLE AS rows_after",
}


def on_postgresql() -> Iterator[str]:
    yield f"UPDATE {TABLE} AS b SET {SET} FROM sessions AS s WHERE s.workspace_id = b.workspace_id AND s.id = b.session_id"
    yield FUNCTION
    for name, event in TRIGGERS.items():
        table = name.partition("_times_")[0]
        yield (f"CREATE TRIGGER {name} AFTER {event} FOR EACH STATEMENT EXECUTE FUNCTION keep_bookings_in_step('{table}')")


def downgrade() -> None:
    op.drop_index(f"{STAFF}_updated_at", "sessions")
    op.create_index(STAFF, "sessions", ["workspace_id", "staff_id", "date", "start_time", "id"])
    if op.get_bind().dialect.name == "sqlite":
        for trigger in (*TRIGGERS, "sessions_times_insert"):
            op.execute(f"DROP TRIGGER {trigger}")
    else:
        op.execute("DROP FUNCTION keep_bookings_in_step() CASCADE")
    op.drop_index(INDEX, TABLE)
    for column in COPIED:
        op.drop_column(TABLE, column)
    op.create_index(BEFORE, TABLE, ["workspace_id", "service_id", "session_id"])
