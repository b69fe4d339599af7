/** openapi-generator's typescript-fetch writes a class, with date-times as `Date`. */

import {
  Configuration,
  type Problem,
  ProblemFromJSON,
  ResponseError,
  type Session,
  SessionsApi,
  SessionSort,
} from "./.sdk/typescript-fetch/index.js";
import type * as Contract from "./report.js";
import { report, type Same } from "./report.js";

type Moments<T, M> = { [Name in keyof T]: Name extends "date" | "createdAt" | "updatedAt" ? M : T[Name] };
// Open members hold `any`.
type Open = "fieldValues" | "attachments" | "notes" | "invoice";
true satisfies Same<Omit<Session, Open>, Omit<Moments<Contract.Session, Date>, Open>>;
true satisfies Same<Problem, Contract.Problem>;
SessionSort.UPDATED_AT_DESC satisfies "-updatedAt";

await report(async ({ dateFrom, dateTo, updatedSince, ...query }, { workspaceId, server, token, etag }) => {
  const api = new SessionsApi(new Configuration({ basePath: server, accessToken: token }));
  try {
    const response = await api.listSessionsRaw({
      ...query,
      ...(dateFrom && { dateFrom: new Date(dateFrom) }),
      ...(dateTo && { dateTo: new Date(dateTo) }),
      ...(updatedSince && { updatedSince: new Date(updatedSince) }),
      ...(etag && { ifNoneMatch: etag }),
      workspaceId,
    });
    const { sessions } = await response.value();
    return { status: response.raw.status, headers: response.raw.headers, sessions: sessions.map(withStrings) };
  } catch (error) {
    if (!(error instanceof ResponseError)) throw error;
    const { status, headers } = error.response;
    return { status, headers, problem: status === 304 ? undefined : ProblemFromJSON(await error.response.json()) };
  }
});

function withStrings(session: Session): Contract.Session {
  const { date, createdAt, updatedAt, ...others } = session;
  const moments = { date: date.toISOString(), createdAt: createdAt.toISOString(), updatedAt: updatedAt.toISOString() };
  return { ...others, ...moments };
}
