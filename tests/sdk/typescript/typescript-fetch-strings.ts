/** openapi-generator's typescript-fetch writes a class, with date-times as strings (`dateLibrary=string`). */

import {
  Configuration,
  type ListSessionsRequest,
  type Problem,
  ProblemFromJSON,
  ResponseError,
  type Session,
  SessionsApi,
  SessionSort,
} from "./.sdk/typescript-fetch-strings/index.js";
import type * as Contract from "./report.js";
import { report, type Same } from "./report.js";

type Query = Omit<ListSessionsRequest, "workspaceId" | "ifNoneMatch">;
[true, true] satisfies [Same<Query, Contract.Query>, Same<Problem, Contract.Problem>];
// Open members hold `any`.
type Open = "fieldValues" | "attachments" | "notes" | "invoice";
true satisfies Same<Omit<Session, Open>, Omit<Contract.Session, Open>>;
SessionSort.UPDATED_AT_DESC satisfies "-updatedAt";

await report(async (query, { workspaceId, server, token, etag }) => {
  const api = new SessionsApi(new Configuration({ basePath: server, accessToken: token }));
  const request = { ...query, workspaceId, ...(etag !== undefined && { ifNoneMatch: etag }) };
  try {
    const response = await api.listSessionsRaw(request);
    return { status: response.raw.status, headers: response.raw.headers, sessions: (await response.value()).sessions };
  } catch (error) {
    if (!(error instanceof ResponseError)) throw error;
    const { status, headers } = error.response;
    return { status, headers, problem: status === 304 ? undefined : ProblemFromJSON(await error.response.json()) };
  }
});
