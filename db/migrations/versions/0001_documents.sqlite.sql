CREATE TABLE workspaces (
  id TEXT NOT NULL,
  -- Microseconds since 1970, or one more than the last revision if the clock has not advanced. So a revision never repeats,
  -- not even when a workspace is removed and added again, or when a backup is restored. SQLite's clock has milliseconds; a
  -- random number stands for the rest.
  revision INTEGER NOT NULL
    DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000 + abs(random() % 1000)),
  CONSTRAINT pk_workspaces PRIMARY KEY (id),
  CONSTRAINT ck_workspaces_id CHECK (length(id) BETWEEN 1 AND 64 AND id NOT GLOB '*[^A-Za-z0-9_-]*')
) STRICT;

-- Timestamps are text that sorts in the order of time. A text that is equal to its own timestamp, formatted again, has this one
-- form. The modifier '+0 seconds' makes SQLite compute the date: the 30th of February becomes another day, and is refused.
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
  CONSTRAINT ck_sessions_status CHECK (status IN ('scheduled', 'in-progress', 'completed', 'cancelled')),
  CONSTRAINT ck_sessions_date CHECK (
    length(date) = 24 AND date >= '0001' AND substr(date, 18, 2) < '60'
    AND date IS strftime('%Y-%m-%dT%H:%M:%fZ', date, '+0 seconds')
  ),
  CONSTRAINT ck_sessions_start_time CHECK (start_time GLOB '[0-2][0-9]:[0-5][0-9]' AND start_time < '24:00'),
  CONSTRAINT ck_sessions_updated_at CHECK (
    length(updated_at) = 24 AND updated_at >= '0001' AND substr(updated_at, 18, 2) < '60'
    AND updated_at IS strftime('%Y-%m-%dT%H:%M:%fZ', updated_at, '+0 seconds')
  ),
  CONSTRAINT ck_sessions_created_at CHECK (
    (length(document ->> '$.createdAt') = 24 AND document ->> '$.createdAt' >= '0001'
      AND substr(document ->> '$.createdAt', 18, 2) < '60'
      AND document ->> '$.createdAt' IS strftime('%Y-%m-%dT%H:%M:%fZ', document ->> '$.createdAt', '+0 seconds')) IS TRUE
  )
) STRICT;

-- The indexes hold the order of every list. The last one also holds the columns that lists of recent changes filter by, so
-- that such a list finds its sessions without looking at their rows.
CREATE INDEX ix_sessions_date ON sessions (workspace_id, date, start_time, id);

CREATE INDEX ix_sessions_client ON sessions (workspace_id, client_id, date, start_time, id);

CREATE INDEX ix_sessions_staff ON sessions (workspace_id, staff_id, date, start_time, id);

CREATE INDEX ix_sessions_status ON sessions (workspace_id, status, date, start_time, id);

CREATE INDEX ix_sessions_updated ON sessions (workspace_id, updated_at, id, date, start_time, status, staff_id);

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
) STRICT, WITHOUT ROWID;

-- INSERT OR REPLACE removes a row without firing a trigger (unless recursive_triggers is on), so the trigger for the new row
-- has to find the old row's services without knowing its date.
CREATE INDEX ix_session_services_session ON session_services (workspace_id, session_id);

-- Not INSERT OR IGNORE: inside a trigger, the conflict clause of the statement that fired it decides.
CREATE TRIGGER sessions_insert AFTER INSERT ON sessions BEGIN
  SELECT RAISE(ABORT, 'there is no such workspace') WHERE NOT EXISTS (SELECT 1 FROM workspaces WHERE id = NEW.workspace_id);
  DELETE FROM session_services WHERE workspace_id = NEW.workspace_id AND session_id = NEW.id;
  INSERT INTO session_services
    (workspace_id, service_id, date, start_time, session_id, status, staff_id, updated_at)
  SELECT DISTINCT NEW.workspace_id, value, NEW.date, NEW.start_time, NEW.id, NEW.status, NEW.staff_id, NEW.updated_at
  FROM json_each(NEW.document, '$.serviceIds');
  UPDATE workspaces
  SET revision = max(revision + 1, CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000 + abs(random() % 1000))
  WHERE id = NEW.workspace_id;
END;

CREATE TRIGGER sessions_update AFTER UPDATE ON sessions BEGIN
  DELETE FROM session_services WHERE workspace_id = OLD.workspace_id AND session_id = OLD.id;
  INSERT INTO session_services
    (workspace_id, service_id, date, start_time, session_id, status, staff_id, updated_at)
  SELECT DISTINCT NEW.workspace_id, value, NEW.date, NEW.start_time, NEW.id, NEW.status, NEW.staff_id, NEW.updated_at
  FROM json_each(NEW.document, '$.serviceIds');
  UPDATE workspaces
  SET revision = max(revision + 1, CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000 + abs(random() % 1000))
  WHERE id IN (OLD.workspace_id, NEW.workspace_id);
END;

CREATE TRIGGER sessions_delete AFTER DELETE ON sessions BEGIN
  DELETE FROM session_services WHERE workspace_id = OLD.workspace_id AND session_id = OLD.id;
  UPDATE workspaces
  SET revision = max(revision + 1, CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000 + abs(random() % 1000))
  WHERE id = OLD.workspace_id;
END;

-- For programs that do not turn foreign keys on.
CREATE TRIGGER workspaces_delete AFTER DELETE ON workspaces BEGIN
  DELETE FROM sessions WHERE workspace_id = OLD.id;
END;
