/** orval writes functions on fetch, and types. */

import { listSessions, type ListSessionsParams, type Problem, type Session, SessionSort } from "./.sdk/orval/sessions.js";
import { report, type Types } from "./report.js";

[true, true, true] satisfies Types<ListSessionsParams, Session, Problem>;
SessionSort.UPDATED_AT_DESC satisfies "-updatedAt";

await report(async (query, { workspaceId, server, token, etag }) => {
  process.env.SERVER = server; // where orval.config.ts says that the address is
  const headers = etag === undefined ? {} : { "If-None-Match": etag };
  const answer = await listSessions(workspaceId, query, headers, { headers: { Authorization: `Bearer ${token}` } });
  return {
    status: answer.status,
    headers: answer.headers,
    sessions: answer.status === 200 ? answer.data.sessions : undefined,
    problem: answer.status === 200 || answer.status === 304 ? undefined : answer.data,
  };
});
