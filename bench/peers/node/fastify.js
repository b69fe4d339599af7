// Fastify 5: requests validated and answers serialised by the product's contract, through fastify-openapi-glue.

import { readFileSync } from "node:fs";
import { parse } from "node:querystring";

import jwt from "@fastify/jwt";
import Fastify from "fastify";
import glue from "fastify-openapi-glue";
import yaml from "js-yaml";

import { listSessions, mayView } from "./sessions.js";

const specification = yaml.load(readFileSync(new URL("../../../openapi/openapi.yaml", import.meta.url), "utf8"), {
  schema: yaml.JSON_SCHEMA,
});

const refusal = (statusCode) => Object.assign(new Error("refused"), { statusCode });

const app = Fastify({
  ajv: { customOptions: { strict: false } }, // the contract says more (x-…, style) than JSON Schema knows
  // fastify-openapi-glue leaves style: form, explode: false to the application.
  routerOptions: {
    querystringParser: (text) => {
      const query = parse(text);
      return "serviceIds" in query ? { ...query, serviceIds: String(query.serviceIds).split(",") } : query;
    },
  },
});
app.register(jwt, { secret: process.env.JWT_SECRET, verify: { algorithms: ["HS256"], requiredClaims: ["exp"] } });
app.register(glue, {
  specification,
  securityHandlers: {
    bearerAuth: (request) => request.jwtVerify(),
  },
  serviceHandlers: {
    async list_sessions(request) {
      const { workspaceId } = request.params;
      if (!mayView(request.user, workspaceId)) throw refusal(403);
      const sessions = await listSessions(workspaceId, request.query);
      if (sessions === undefined) throw refusal(404);
      return { sessions };
    },
  },
});

await app.listen({ host: "127.0.0.1", port: Number(process.env.PORT) });
