/** @hey-api/openapi-ts writes functions, types and a client of its own. */

import { listSessions, type ListSessionsData, type Problem, type Session } from "./.sdk/hey-api/index.js";
import { createClient } from "./.sdk/hey-api/client/index.js";
import { report, type Types } from "./report.js";

[true, true, true] satisfies Types<NonNullable<ListSessionsData["query"]>, Session, Problem>;

await report(async (query, { workspaceId, server, token, etag }) => {
  const { data, error, response } = await listSessions({
    client: createClient({ baseUrl: server, auth: token }),
    path: { workspaceId },
    query,
    ...(etag !== undefined && { headers: { "If-None-Match": etag } }),
  });
  if (response === undefined) throw error; // the server was not reached
  const { status, headers } = response;
  return { status, headers, sessions: data?.sessions, problem: status === 304 ? undefined : error };
});
