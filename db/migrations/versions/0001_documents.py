"""The tables: sessions as whole documents, and what the database derives from them.

A program that knows only SQL can write: `INSERT INTO sessions (workspace_id, id, document)` is enough. Generated columns
hold the values that lists filter and sort by. Triggers on `sessions` maintain `session_services` and increment the revision
of the workspace, for every writer.

Constraints refuse what would sort, filter or route wrongly: a document whose ids differ from its row's, a member that is
missing, a date or time in another form, an unknown status. Everything else is checked against the contract before a document
leaves the server.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STATUSES = "'scheduled', 'in-progress', 'completed', 'cancelled'"


def upgrade() -> None:
    for statement in SQLITE if op.get_bind().dialect.name == "sqlite" else POSTGRESQL:
        # As it stands: in SQLAlchemy's text, a colon may begin a parameter.
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    for table in ("session_services", "sessions", "workspaces"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION derive_from_sessions")
        op.execute("DROP FUNCTION derive_from_no_sessions")


# The indexes hold the order of every list. The last one also holds the columns that lists of recent changes filter by, so
# that such a list finds its sessions without looking at their rows.
INDEXES = {
    "date": "date, start_time, id",
    "client": "client_id, date, start_time, id",
    "staff": "staff_id, date, start_time, id",
    "status": "status, date, start_time, id",
    "updated": "updated_at, id, date, start_time, status, staff_id",
}
CREATE_INDEXES = [
    f"CREATE INDEX ix_sessions_{name} ON sessions (workspace_id, {columns})" for name, columns in INDEXES.items()
]

# ---- PostgreSQL -----------------------------------------------------------------------------------------------------

# A timestamp that is read and written again is the same text only if it names a day that exists, in this one form. The
# length refuses the year 10000. Such text sorts as time does.
POSTGRESQL_TIMESTAMP = """octet_length({0}) = 24 AND to_char(({0})::timestamp, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') = {0}"""

# Revisions are microseconds since 1970, or one more than the last where the clock has not moved on. So no revision stands
# for two states, not even when a workspace is removed and added again, or when a backup is restored.
POSTGRESQL_CLOCK = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"

POSTGRESQL = [
    f"""
CREATE TABLE workspaces (
  id text COLLATE "C" NOT NULL,
  revision bigint NOT NULL DEFAULT {POSTGRESQL_CLOCK},
  CONSTRAINT pk_workspaces PRIMARY KEY (id),
  CONSTRAINT ck_workspaces_id CHECK (id ~ '^[A-Za-z0-9_-]{{1,64}}$')
)""",
    f"""
CREATE TABLE sessions (
  workspace_id text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  client_id text COLLATE "C" NOT NULL GENERATED ALWAYS AS (document ->> 'clientId') STORED,
  staff_id text COLLATE "C" NOT NULL GENERATED ALWAYS AS (document ->> 'staffId') STORED,
  status text COLLATE "C" NOT NULL GENERATED ALWAYS AS (document ->> 'status') STORED,
  date text COLLATE "C" NOT NULL GENERATED ALWAYS AS (document ->> 'date') STORED,
  start_time text COLLATE "C" NOT NULL GENERATED ALWAYS AS (document ->> 'startTime') STORED,
  updated_at text COLLATE "C" NOT NULL GENERATED ALWAYS AS (document ->> 'updatedAt') STORED,
  document json NOT NULL,
  CONSTRAINT pk_sessions PRIMARY KEY (workspace_id, id),
  CONSTRAINT fk_sessions_workspaces FOREIGN KEY (workspace_id) REFERENCES workspaces (id) ON DELETE CASCADE,
  CONSTRAINT ck_sessions_document
    CHECK ((document ->> 'id' = id AND document ->> 'workspaceId' = workspace_id) IS TRUE),
  CONSTRAINT ck_sessions_services CHECK ((json_typeof(document -> 'serviceIds') = 'array') IS TRUE),
  CONSTRAINT ck_sessions_status CHECK (status IN ({STATUSES})),
  CONSTRAINT ck_sessions_date CHECK ({POSTGRESQL_TIMESTAMP.format("date")}),
  CONSTRAINT ck_sessions_start_time CHECK (start_time ~ '^([01][0-9]|2[0-3]):[0-5][0-9]$'),
  CONSTRAINT ck_sessions_updated_at CHECK ({POSTGRESQL_TIMESTAMP.format("updated_at")}),
  CONSTRAINT ck_sessions_created_at CHECK (({POSTGRESQL_TIMESTAMP.format("document ->> 'createdAt'")}) IS TRUE)
)""",
    # Uncompressed, so that the size of a document is known without reading it.
    "ALTER TABLE sessions ALTER COLUMN document SET STORAGE EXTERNAL",
    *CREATE_INDEXES,
    # The primary key is the only index: it holds the order of a service's sessions, and all that such lists filter by.
    """
CREATE TABLE session_services (
  workspace_id text COLLATE "C" NOT NULL,
  service_id text COLLATE "C" NOT NULL,
  date text COLLATE "C" NOT NULL,
  start_time text COLLATE "C" NOT NULL,
  session_id text COLLATE "C" NOT NULL,
  status text COLLATE "C" NOT NULL,
  staff_id text COLLATE "C" NOT NULL,
  updated_at text COLLATE "C" NOT NULL,
  CONSTRAINT pk_session_services PRIMARY KEY (workspace_id, service_id, date, start_time, session_id)
    INCLUDE (status, staff_id, updated_at)
)""",
    # Once for each statement. Citus cannot see the rows that a trigger is handed inside a distributed statement, and refuses
    # clock_timestamp() in an UPDATE: so both are read into variables first. An array has 10,000 rows at most, since one of
    # millions would be larger than a value may be.
    f"""
CREATE FUNCTION derive_from_sessions() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  clock bigint := {POSTGRESQL_CLOCK};
  part record;
BEGIN
  IF TG_OP <> 'INSERT' THEN
    FOR part IN
      SELECT workspace_id, array_agg(id) AS ids, array_agg(date) AS dates, array_agg(start_time) AS start_times,
        array_agg(document -> 'serviceIds') AS services
      FROM (SELECT *, row_number() OVER (PARTITION BY workspace_id) / 10000 AS number FROM rows_before) AS numbered
      GROUP BY workspace_id, number
      ORDER BY workspace_id
    LOOP
      DELETE FROM session_services
      USING (
        SELECT s.id, s.date, s.start_time, service_id
        FROM unnest(part.ids, part.dates, part.start_times, part.services) AS s (id, date, start_time, services),
          json_array_elements_text(s.services) AS service_id
      ) AS before
      WHERE session_services.workspace_id = part.workspace_id
        AND session_services.service_id = before.service_id
        AND session_services.date = before.date
        AND session_services.start_time = before.start_time
        AND session_services.session_id = before.id;
      UPDATE workspaces SET revision = greatest(revision + 1, clock) WHERE id = part.workspace_id;
    END LOOP;
  END IF;
  IF TG_OP <> 'DELETE' THEN
    FOR part IN
      SELECT workspace_id, array_agg(id) AS ids, array_agg(date) AS dates, array_agg(start_time) AS start_times,
        array_agg(status) AS statuses, array_agg(staff_id) AS staff_ids, array_agg(updated_at) AS changes,
        array_agg(document -> 'serviceIds') AS services
      FROM (SELECT *, row_number() OVER (PARTITION BY workspace_id) / 10000 AS number FROM rows_after) AS numbered
      GROUP BY workspace_id, number
      ORDER BY workspace_id
    LOOP
      INSERT INTO session_services
        (workspace_id, service_id, date, start_time, session_id, status, staff_id, updated_at)
      SELECT DISTINCT part.workspace_id, service_id, s.date, s.start_time, s.id, s.status, s.staff_id, s.updated_at
      FROM unnest(
          part.ids, part.dates, part.start_times, part.statuses, part.staff_ids, part.changes, part.services
        ) AS s (id, date, start_time, status, staff_id, updated_at, services),
        json_array_elements_text(s.services) AS service_id;
      UPDATE workspaces SET revision = greatest(revision + 1, clock) WHERE id = part.workspace_id;
    END LOOP;
  END IF;
  RETURN NULL;
END $$""",
    f"""
CREATE FUNCTION derive_from_no_sessions() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  clock bigint := {POSTGRESQL_CLOCK};
BEGIN
  DELETE FROM session_services; -- TRUNCATE would fail inside of TRUNCATE sessions, session_services
  UPDATE workspaces SET revision = greatest(revision + 1, clock);
  RETURN NULL;
END $$""",
    *(
        f"CREATE TRIGGER sessions_{event.lower()} AFTER {event} ON sessions REFERENCING {rows}"
        " FOR EACH STATEMENT EXECUTE FUNCTION derive_from_sessions()"
        for event, rows in {
            "INSERT": "NEW TABLE AS rows_after",
            "UPDATE": "OLD TABLE AS rows_before NEW TABLE AS rows_after",
            "DELETE": "OLD TABLE AS rows_before",
        }.items()
    ),
    """
CREATE TRIGGER sessions_truncate AFTER TRUNCATE ON sessions
  FOR EACH STATEMENT EXECUTE FUNCTION derive_from_no_sessions()""",
]

# ---- SQLite ---------------------------------------------------------------------------------------------------------

# SQLite computes the date anew because of the modifier: the 30th of February becomes another day, and is refused.
SQLITE_TIMESTAMP = (
    "length({0}) = 24 AND {0} >= '0001' AND substr({0}, 18, 2) < '60'"
    " AND {0} IS strftime('%Y-%m-%dT%H:%M:%fZ', {0}, '+0 seconds')"
)

# The clock has milliseconds; a random number stands below them.
SQLITE_CLOCK = "(CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000 + abs(random() % 1000))"

# Not INSERT OR IGNORE: inside a trigger, the conflict clause of the statement that fired it decides.
DERIVE = """
  INSERT INTO session_services
    (workspace_id, service_id, date, start_time, session_id, status, staff_id, updated_at)
  SELECT DISTINCT NEW.workspace_id, value, NEW.date, NEW.start_time, NEW.id, NEW.status, NEW.staff_id, NEW.updated_at
  FROM json_each(NEW.document, '$.serviceIds');
"""
REMOVE = "DELETE FROM session_services WHERE workspace_id = {0}.workspace_id AND session_id = {0}.id;"
INCREMENT = f"UPDATE workspaces SET revision = max(revision + 1, {SQLITE_CLOCK}) WHERE id = {{0}}.workspace_id;"

SQLITE = [
    f"""
CREATE TABLE workspaces (
  id TEXT NOT NULL,
  revision INTEGER NOT NULL DEFAULT {SQLITE_CLOCK},
  CONSTRAINT pk_workspaces PRIMARY KEY (id),
  CONSTRAINT ck_workspaces_id CHECK (length(id) BETWEEN 1 AND 64 AND id NOT GLOB '*[^A-Za-z0-9_-]*')
) STRICT""",
    f"""
CREATE TABLE sessions (
  workspace_id TEXT NOT NULL,
  id TEXT NOT NULL,
  client_id TEXT NOT NULL GENERATED ALWAYS AS (document ->> '$.clientId') STORED,
  staff_id TEXT NOT NULL GENERATED ALWAYS AS (document ->> '$.staffId') STORED,
  status TEXT NOT NULL GENERATED ALWAYS AS (document ->> '$.status') STORED,
  date TEXT NOT NULL GENERATED ALWAYS AS (document ->> '$.date') STORED,
  start_time TEXT NOT NULL GENERATED ALWAYS AS (document ->> '$.startTime') STORED,
  updated_at TEXT NOT NULL GENERATED ALWAYS AS (document ->> '$.updatedAt') STORED,
  document TEXT NOT NULL,
  CONSTRAINT pk_sessions PRIMARY KEY (workspace_id, id),
  CONSTRAINT fk_sessions_workspaces FOREIGN KEY (workspace_id) REFERENCES workspaces (id) ON DELETE CASCADE,
  CONSTRAINT ck_sessions_json CHECK (json_valid(document)),
  CONSTRAINT ck_sessions_document
    CHECK (document ->> '$.id' IS id AND document ->> '$.workspaceId' IS workspace_id),
  CONSTRAINT ck_sessions_services CHECK (json_type(document, '$.serviceIds') IS 'array'),
  CONSTRAINT ck_sessions_status CHECK (status IN ({STATUSES})),
  CONSTRAINT ck_sessions_date CHECK ({SQLITE_TIMESTAMP.format("date")}),
  CONSTRAINT ck_sessions_start_time CHECK (start_time GLOB '[0-2][0-9]:[0-5][0-9]' AND start_time < '24:00'),
  CONSTRAINT ck_sessions_updated_at CHECK ({SQLITE_TIMESTAMP.format("updated_at")}),
  CONSTRAINT ck_sessions_created_at CHECK (({SQLITE_TIMESTAMP.format("document ->> '$.createdAt'")}) IS TRUE)
) STRICT""",
    *CREATE_INDEXES,
    """
CREATE TABLE session_services (
  workspace_id TEXT NOT NULL,
  service_id TEXT NOT NULL,
  date TEXT NOT NULL,
  start_time TEXT NOT NULL,
  session_id TEXT NOT NULL,
  status TEXT NOT NULL,
  staff_id TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  CONSTRAINT pk_session_services PRIMARY KEY (workspace_id, service_id, date, start_time, session_id)
) STRICT, WITHOUT ROWID""",
    # INSERT OR REPLACE removes a row without a trigger (unless recursive_triggers is on), so its date is not known by then.
    "CREATE INDEX ix_session_services_session ON session_services (workspace_id, session_id)",
    f"""
CREATE TRIGGER sessions_insert AFTER INSERT ON sessions BEGIN
  SELECT RAISE(ABORT, 'there is no such workspace')
  WHERE NOT EXISTS (SELECT 1 FROM workspaces WHERE id = NEW.workspace_id);
  {REMOVE.format("NEW")}
  {DERIVE}
  {INCREMENT.format("NEW")}
END""",
    f"""
CREATE TRIGGER sessions_update AFTER UPDATE ON sessions BEGIN
  {REMOVE.format("OLD")}
  {DERIVE}
  {INCREMENT.format("OLD")}
  {INCREMENT.format("NEW")}
END""",
    f"""
CREATE TRIGGER sessions_delete AFTER DELETE ON sessions BEGIN
  {REMOVE.format("OLD")}
  {INCREMENT.format("OLD")}
END""",
    # For programs that do not turn foreign keys on.
    """
CREATE TRIGGER workspaces_delete AFTER DELETE ON workspaces BEGIN
  DELETE FROM sessions WHERE workspace_id = OLD.id;
END""",
]
