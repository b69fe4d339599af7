CREATE TABLE workspaces (
  id text COLLATE "C" NOT NULL,
  -- Microseconds since 1970, or one more than the last revision if the clock has not advanced. So a revision never repeats,
  -- not even when a workspace is removed and added again, or when a backup is restored.
  revision bigint NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
  CONSTRAINT pk_workspaces PRIMARY KEY (id),
  CONSTRAINT ck_workspaces_id CHECK (id ~ '^[A-Za-z0-9_-]{1,64}$')
);

-- Timestamps are text that sorts in the order of time. A text that is equal to its own timestamp, formatted again, names a day
-- that exists and has this one form. left() refuses the year 10000.
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
  CONSTRAINT ck_sessions_status CHECK (status IN ('scheduled', 'in-progress', 'completed', 'cancelled')),
  CONSTRAINT ck_sessions_date CHECK (date = left(to_char(date::timestamp, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 24)),
  CONSTRAINT ck_sessions_start_time CHECK (start_time ~ '^([01][0-9]|2[0-3]):[0-5][0-9]$'),
  CONSTRAINT ck_sessions_updated_at
    CHECK (updated_at = left(to_char(updated_at::timestamp, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 24)),
  CONSTRAINT ck_sessions_created_at
    CHECK ((document ->> 'createdAt'
      = left(to_char((document ->> 'createdAt')::timestamp, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 24)) IS TRUE)
);

-- Documents are not compressed, so that the size of a document is known without reading it.
ALTER TABLE sessions ALTER COLUMN document SET STORAGE EXTERNAL;

-- The indexes hold the order of every list. The last one also holds the columns that lists of recent changes filter by, so
-- that such a list finds its sessions without looking at their rows.
CREATE INDEX ix_sessions_date ON sessions (workspace_id, date, start_time, id);

CREATE INDEX ix_sessions_client ON sessions (workspace_id, client_id, date, start_time, id);

CREATE INDEX ix_sessions_staff ON sessions (workspace_id, staff_id, date, start_time, id);

CREATE INDEX ix_sessions_status ON sessions (workspace_id, status, date, start_time, id);

CREATE INDEX ix_sessions_updated ON sessions (workspace_id, updated_at, id, date, start_time, status, staff_id);

-- The primary key is the only index: it holds the order of a service's sessions, and all columns that such lists filter by.
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
);

-- Runs once for each statement. An update leaves alone the services of sessions whose derived values stay the same.
-- Citus cannot see transition tables inside a distributed statement, and refuses clock_timestamp() in an UPDATE. So variables
-- hold both. One variable holds 10,000 sessions at most, because a value has at most 1 GB.
CREATE FUNCTION derive_from_sessions() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  clock bigint := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
  derived text := 'SELECT workspace_id, id, date, start_time, status, staff_id, updated_at,'
    ' (document -> ''serviceIds'')::text AS services FROM ';
  removed text := CASE TG_OP
    WHEN 'UPDATE' THEN derived || 'rows_before EXCEPT ' || derived || 'rows_after'
    WHEN 'DELETE' THEN derived || 'rows_before'
  END;
  added text := CASE TG_OP
    WHEN 'UPDATE' THEN derived || 'rows_after EXCEPT ' || derived || 'rows_before'
    WHEN 'INSERT' THEN derived || 'rows_after'
  END;
  parts text := 'SELECT workspace_id, array_agg(id) AS ids, array_agg(date) AS dates, array_agg(start_time) AS start_times,'
    ' array_agg(status) AS statuses, array_agg(staff_id) AS staff_ids, array_agg(updated_at) AS changes,'
    ' array_agg(services) AS services'
    ' FROM (SELECT *, row_number() OVER (PARTITION BY workspace_id) / 10000 AS number FROM (%s) AS derived) AS numbered'
    ' GROUP BY workspace_id, number';
  workspaces_touched text := CASE TG_OP
    WHEN 'UPDATE' THEN 'SELECT workspace_id FROM rows_before UNION SELECT workspace_id FROM rows_after ORDER BY 1'
    WHEN 'DELETE' THEN 'SELECT DISTINCT workspace_id FROM rows_before ORDER BY 1'
    WHEN 'INSERT' THEN 'SELECT DISTINCT workspace_id FROM rows_after ORDER BY 1'
  END;
  part record;
BEGIN
  IF removed IS NOT NULL THEN
    FOR part IN EXECUTE format(parts, removed) LOOP
      DELETE FROM session_services
      USING (
        SELECT s.id, s.date, s.start_time, service_id
        FROM unnest(part.ids, part.dates, part.start_times, part.services) AS s (id, date, start_time, services),
          json_array_elements_text(s.services::json) AS service_id
      ) AS before
      WHERE session_services.workspace_id = part.workspace_id
        AND session_services.service_id = before.service_id
        AND session_services.date = before.date
        AND session_services.start_time = before.start_time
        AND session_services.session_id = before.id;
    END LOOP;
  END IF;
  IF added IS NOT NULL THEN
    FOR part IN EXECUTE format(parts, added) LOOP
      INSERT INTO session_services
        (workspace_id, service_id, date, start_time, session_id, status, staff_id, updated_at)
      SELECT DISTINCT part.workspace_id, service_id, s.date, s.start_time, s.id, s.status, s.staff_id, s.updated_at
      FROM unnest(
          part.ids, part.dates, part.start_times, part.statuses, part.staff_ids, part.changes, part.services
        ) AS s (id, date, start_time, status, staff_id, updated_at, services),
        json_array_elements_text(s.services::json) AS service_id;
    END LOOP;
  END IF;
  FOR part IN EXECUTE workspaces_touched LOOP
    UPDATE workspaces SET revision = greatest(revision + 1, clock) WHERE id = part.workspace_id;
  END LOOP;
  RETURN NULL;
END $$;

CREATE TRIGGER sessions_insert AFTER INSERT ON sessions REFERENCING NEW TABLE AS rows_after
  FOR EACH STATEMENT EXECUTE FUNCTION derive_from_sessions();

CREATE TRIGGER sessions_update AFTER UPDATE ON sessions REFERENCING OLD TABLE AS rows_before NEW TABLE AS rows_after
  FOR EACH STATEMENT EXECUTE FUNCTION derive_from_sessions();

CREATE TRIGGER sessions_delete AFTER DELETE ON sessions REFERENCING OLD TABLE AS rows_before
  FOR EACH STATEMENT EXECUTE FUNCTION derive_from_sessions();

CREATE FUNCTION derive_from_no_sessions() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  clock bigint := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
BEGIN
  DELETE FROM session_services; -- TRUNCATE would fail inside of TRUNCATE sessions, session_services
  UPDATE workspaces SET revision = greatest(revision + 1, clock);
  RETURN NULL;
END $$;

CREATE TRIGGER sessions_truncate AFTER TRUNCATE ON sessions
  FOR EACH STATEMENT EXECUTE FUNCTION derive_from_no_sessions();
