/**
 * The checks of a generated client: every parameter, every page, 304, and each error as a typed Problem.
 *
 * A program wraps its client in a function `List`. `report` calls it, and prints one JSON object: the outcome of each check by
 * its name. The expected outcomes are in ../expectations.py.
 */

export interface Query {
  clientId?: string;
  serviceIds?: string[];
  dateFrom?: string;
  dateTo?: string;
  status?: "scheduled" | "in-progress" | "completed" | "cancelled";
  staffId?: string;
  updatedSince?: string;
  sort?: "date" | "-date" | "updatedAt" | "-updatedAt";
  limit?: number;
  cursor?: string;
}

type Open = { [name: string]: unknown };

export interface Session {
  id: string;
  workspaceId: string;
  clientId: string;
  clientName: string;
  serviceIds: string[];
  serviceNames: string[];
  staffId: string;
  staffName: string;
  name: string;
  date: string;
  startTime: string;
  endTime: string;
  durationMinutes: number;
  status: "scheduled" | "in-progress" | "completed" | "cancelled";
  fieldValues: Open[];
  attachments: Open[];
  notes: Open[];
  invoice: Open | null;
  createdAt: string;
  updatedAt: string;
}

export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  errors?: { location: "path" | "query" | "header"; name: string; message: string }[];
}

/** True if two types are the same; `any` is the same as nothing else. */
export type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Holds only for a generator whose types are those of the contract: `[true, true, true] satisfies Types<…>`. */
export type Types<Q, S, P> = [Same<Q, Query>, Same<S, Session>, Same<P, Problem>];

export interface Request {
  workspaceId: string;
  /** The address of the server. */
  server: string;
  token: string;
  etag?: string;
}

export interface Answer {
  status: number;
  headers: Headers;
  /** The sessions of a 200. */
  sessions?: Session[] | undefined;
  /** The problem of an error. */
  problem?: Problem | undefined;
}

export type List = (query: Query, request: Request) => Promise<Answer>;

export async function report(list: List): Promise<void> {
  const usual = { workspaceId: "507f191e810c19729de860ea", server: variable("SERVER"), token: variable("TOKEN") };

  async function sessions(query: Query, request: Partial<Request> = {}): Promise<Session[]> {
    const answer = await list(query, { ...usual, ...request });
    if (answer.status !== 200 || answer.sessions === undefined) throw new Error(JSON.stringify(answer));
    return answer.sessions;
  }

  async function ids(query: Query): Promise<string[]> {
    return (await sessions(query)).map((session) => session.id);
  }

  async function pages(query: Query, request: Partial<Request> = {}): Promise<string[]> {
    const answer = await list(query, { ...usual, ...request });
    const found = (answer.sessions ?? []).map((session) => session.id);
    const cursor = answer.headers.get("Next-Cursor");
    return cursor === null ? found : [...found, ...(await pages({ ...query, cursor }, request))];
  }

  async function notModified(): Promise<string> {
    const etag = (await list({ limit: 1 }, usual)).headers.get("ETag") ?? "";
    const answer = await list({ limit: 1 }, { ...usual, etag });
    if (answer.status !== 304 || answer.sessions || answer.problem) throw new Error(JSON.stringify(answer));
    return "not modified";
  }

  async function problem(query: Query, request: Partial<Request> = {}): Promise<Problem> {
    const { status, problem } = await list(query, { ...usual, ...request });
    if (problem === undefined || problem.status !== status) throw new Error(`no problem in a response ${status}`);
    return problem;
  }

  const limited = { server: variable("LIMITED_SERVER") };
  await list({ limit: 1 }, { ...usual, ...limited }); // uses up the limit
  const everyParameter: Query = {
    clientId: "65a000200000000000000007",
    serviceIds: ["507f1f77bcf86cd799439014", "65a000300000000000000005"],
    dateFrom: "2024-01-23T00:00:00Z",
    dateTo: "2024-04-30T12:30:00.000500",
    status: "scheduled",
    staffId: "65a000400000000000000003",
    updatedSince: "2024-02-01T00:00:00+03:00",
    sort: "-date",
    limit: 1,
  };
  const checks: Record<string, () => Promise<unknown>> = {
    "all sessions": () => sessions({}),
    "Arabic text": async () => [...new Set((await sessions({})).map((session) => session.clientName))].sort(),
    clientId: () => ids({ clientId: "65a000200000000000000007" }),
    "one service": () => ids({ serviceIds: ["65a000300000000000000005"] }),
    "two services": () => ids({ serviceIds: ["507f1f77bcf86cd799439014", "65a000300000000000000005"] }),
    status: () => ids({ status: "in-progress" }),
    staffId: () => ids({ staffId: "65a000400000000000000003" }),
    "aware date-times": () => ids({ dateFrom: "2024-02-01T02:30:00+03:00", dateTo: "2024-02-10T03:00:00+03:00" }),
    "naive date-times": () => ids({ dateFrom: "2024-02-01T00:00:00", dateTo: "2024-02-10T12:00" }),
    updatedSince: () => ids({ updatedSince: "2024-04-01T23:59:59.999Z" }),
    "sort by date": () => ids({ sort: "date" }),
    "sort by -date": () => ids({ sort: "-date" }),
    "sort by updatedAt": () => ids({ sort: "updatedAt" }),
    "sort by -updatedAt": () => ids({ sort: "-updatedAt" }),
    limit: () => ids({ limit: 3 }),
    "all pages": () => pages({ limit: 70 }),
    "every parameter": () => pages(everyParameter, { etag: 'W/"0"' }),
    304: notModified,
    400: () => problem({ clientId: "not an id", staffId: "س" }),
    401: () => problem({}, { token: variable("EXPIRED_TOKEN") }),
    403: () => problem({}, { workspaceId: "another" }),
    "404 workspace": () => problem({}, { workspaceId: "none" }),
    "404 page": () => problem({ cursor: "WyJkYXRlIl0" }),
    429: () => problem({ limit: 1 }, limited),
    500: () => problem({}, { workspaceId: "broken" }),
    503: () => problem({}, { server: variable("SERVER_WITHOUT_DATABASE") }),
  };
  const outcomes: Record<string, unknown> = {};
  for (const [name, check] of Object.entries(checks)) outcomes[name] = await check().catch(String);
  console.log(JSON.stringify(outcomes));
}

function variable(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}
