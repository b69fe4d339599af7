// What the peers on Node share: the statement, its rows as sessions, and the check of a token's claims.

import pg from "pg";

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10, idleTimeoutMillis: 0 });

const LIST = `
  SELECT s.*, c.name AS client_name, t.name AS staff_name, b.ids AS service_ids, b.names AS service_names
  FROM sessions s
  JOIN clients c ON c.workspace_id = s.workspace_id AND c.id = s.client_id
  JOIN staff t ON t.workspace_id = s.workspace_id AND t.id = s.staff_id
  LEFT JOIN LATERAL (
    SELECT json_agg(x.service_id ORDER BY x.position) AS ids, json_agg(v.name ORDER BY x.position) AS names
    FROM session_services x
    JOIN services v ON v.workspace_id = x.workspace_id AND v.id = x.service_id
    WHERE x.workspace_id = s.workspace_id AND x.session_id = s.id
  ) b ON true`;

const FILTERS = {
  clientId: (mark) => `s.client_id = ${mark}`,
  serviceIds: (mark) =>
    `EXISTS (SELECT FROM session_services x WHERE x.workspace_id = $1 AND x.session_id = s.id AND x.service_id = ANY(${mark}))`,
  dateFrom: (mark) => `s.date >= ${mark}`,
  dateTo: (mark) => `s.date <= ${mark}`,
  status: (mark) => `s.status = ${mark}`,
};

export const mayView = (claims, workspaceId) =>
  typeof claims.exp === "number" &&
  (claims.scope ?? "").split(" ").includes("sessions.view") &&
  (claims.workspaces ?? []).includes(workspaceId);

/** The sessions of a workspace that pass the filters; undefined when there is no such workspace. */
export async function listSessions(workspaceId, query) {
  const values = [workspaceId];
  const conditions = ["s.workspace_id = $1"];
  const names = [];
  for (const [name, condition] of Object.entries(FILTERS)) {
    if (query[name] !== undefined) {
      values.push(name.startsWith("date") ? new Date(query[name]).toISOString() : query[name]);
      conditions.push(condition(`$${values.length}`));
      names.push(name);
    }
  }
  const text = `${LIST} WHERE ${conditions.join(" AND ")} ORDER BY s.date, s.start_time, s.id`;
  const { rows } = await pool.query({ name: `sessions ${names}`, text, values });
  if (rows.length === 0) {
    const known = await pool.query({ name: "workspace", text: "SELECT FROM workspaces WHERE id = $1", values: [workspaceId] });
    if (known.rowCount === 0) return undefined;
  }
  return rows.map((row) => ({
    id: row.id,
    workspaceId: row.workspace_id,
    clientId: row.client_id,
    clientName: row.client_name,
    serviceIds: row.service_ids ?? [],
    serviceNames: row.service_names ?? [],
    staffId: row.staff_id,
    staffName: row.staff_name,
    name: row.name,
    date: row.date,
    startTime: row.start_time,
    endTime: row.end_time,
    durationMinutes: row.duration_minutes,
    status: row.status,
    fieldValues: JSON.parse(row.field_values),
    attachments: JSON.parse(row.attachments),
    notes: JSON.parse(row.notes),
    invoice: row.invoice === null ? null : JSON.parse(row.invoice),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }));
}
