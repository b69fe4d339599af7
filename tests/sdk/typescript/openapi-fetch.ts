/** openapi-typescript writes the types, and openapi-fetch sends the requests. */

import createClient from "openapi-fetch";

import type { components, operations, paths } from "./.sdk/openapi-fetch/sessions.js";
import { report, type Types } from "./report.js";

type Query = NonNullable<operations["list_sessions"]["parameters"]["query"]>;
type Schemas = components["schemas"];
[true, true, true] satisfies Types<Query, Schemas["Session"], Schemas["Problem"]>;

await report(async (query, { workspaceId, server, token, etag }) => {
  const client = createClient<paths>({ baseUrl: server, headers: { Authorization: `Bearer ${token}` } });
  const header = etag === undefined ? {} : { "If-None-Match": etag };
  const { data, error, response } = await client.GET("/v1/workspace/{workspaceId}/sessions", {
    params: { path: { workspaceId }, query, header },
  });
  return { status: response.status, headers: response.headers, sessions: data?.sessions, problem: error || undefined };
});
