import { defineConfig } from "orval";

export default defineConfig({
  sessions: {
    input: "../../../openapi/openapi.yaml",
    output: {
      target: ".sdk/orval/sessions.ts",
      client: "fetch",
      // The contract does not know the address of the server.
      baseUrl: { runtime: "process.env.SERVER" },
      // Header parameters: If-None-Match.
      headers: true,
    },
  },
});
