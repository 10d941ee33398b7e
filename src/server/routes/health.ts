/** What whoever runs the server asks: alive, ready, metrics. */
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import type { ServerContext } from "../context.ts";

const state = z.object({ status: z.string() });

/** The routes. @param isReady false while the server is stopping */
export function healthRoutes({ metrics }: ServerContext, isReady: () => boolean): FastifyPluginAsyncZod {
  return async (app) => {
    app.get(
      "/healthz",
      { schema: { tags: ["Operation"], summary: "Whether it is alive", response: { 200: state } }, logLevel: "warn" },
      async () => ({ status: "ok" }),
    );
    app.get(
      "/readyz",
      {
        schema: { tags: ["Operation"], summary: "Whether it takes requests", response: { 200: state, 503: state } },
        logLevel: "warn",
      },
      async (_, reply) => await reply.code(isReady() ? 200 : 503).send({ status: isReady() ? "ready" : "stopping" }),
    );
    app.get(
      "/metrics",
      { schema: { tags: ["Operation"], summary: "Prometheus metrics" }, logLevel: "warn" },
      async (_, reply) => await reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
    );
  };
}
