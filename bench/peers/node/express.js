// Express 5: requests and answers validated by the product's contract, through express-openapi-validator.

import { fileURLToPath } from "node:url";

import express from "express";
import { middleware } from "express-openapi-validator";
import jwt from "jsonwebtoken";

import { listSessions, mayView } from "./sessions.js";

const refusal = (status) => Object.assign(new Error("refused"), { status });

const app = express();
app.disable("x-powered-by");
app.use(
  middleware({
    apiSpec: fileURLToPath(new URL("../../../openapi/openapi.yaml", import.meta.url)),
    validateRequests: true,
    validateResponses: true,
    validateSecurity: {
      handlers: {
        bearerAuth: (request) => {
          try {
            const token = request.headers.authorization.replace(/^Bearer /, "");
            request.claims = jwt.verify(token, process.env.JWT_SECRET, { algorithms: ["HS256"] });
          } catch {
            throw refusal(401);
          }
          return true;
        },
      },
    },
  }),
);
app.get("/v1/workspace/:workspaceId/sessions", async (request, response) => {
  const { workspaceId } = request.params;
  if (!mayView(request.claims, workspaceId)) throw refusal(403);
  const sessions = await listSessions(workspaceId, request.query);
  if (sessions === undefined) throw refusal(404);
  response.json({ sessions });
});
app.use((error, _request, response, _next) => {
  const status = error.status ?? 500;
  response.status(status).type("application/problem+json");
  response.send(JSON.stringify({ type: "about:blank", title: "Refused", status, detail: error.message }));
});

app.listen(Number(process.env.PORT), "127.0.0.1");
