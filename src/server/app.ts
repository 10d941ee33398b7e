/** The HTTP server: routes, who may ask, logs, limits, and how it stops. */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import fastifyStatic from "@fastify/static";
import fastifySwagger from "@fastify/swagger";
import fastifySwaggerUi from "@fastify/swagger-ui";
import Fastify, { type FastifyInstance } from "fastify";
import {
  jsonSchemaTransform,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from "fastify-type-provider-zod";
import type { Embedder } from "../embed/embedder.ts";
import type { Tokenizer } from "../input/tokenizer.ts";
import { packageVersion } from "../provenance.ts";
import type { Calibration } from "../search/calibration.ts";
import type { ExampleQuestion } from "../search/examples.ts";
import { QueryEmbedder } from "../search/query-embedder.ts";
import type { Store } from "../store/store.ts";
import type { ServerContext, ServerLimits } from "./context.ts";
import { answerOf, HttpError } from "./errors.ts";
import { IndexJobs } from "./index-jobs.ts";
import type { KeyRing } from "./keys.ts";
import { Metrics } from "./metrics.ts";
import { cohereRoutes } from "./routes/cohere.ts";
import { collectionRoutes } from "./routes/collections.ts";
import { healthRoutes } from "./routes/health.ts";
import { openaiRoutes } from "./routes/openai.ts";
import { searchRoutes } from "./routes/search.ts";
import { WorkQueue } from "./work-queue.ts";

/** What a server is made of and allows. */
export interface ServerOptions {
  /** What clients call the model. */
  readonly modelName: string;
  readonly embedder: Embedder;
  readonly tokenizer: Tokenizer;
  readonly store: Store;
  readonly calibrationOf?: ((collection: string) => Calibration | undefined) | undefined;
  /** Questions that the page offers. */
  readonly examplesOf?: ((collection: string) => readonly ExampleQuestion[]) | undefined;
  /** Keys that are let in; everyone is, without. */
  readonly keys?: KeyRing | undefined;
  /** Folder under which clients may name files. */
  readonly filesRoot?: string | undefined;
  /** Whether pictures are fetched from public addresses. @default false */
  readonly allowRemoteImages?: boolean | undefined;
  readonly limits?: Partial<ServerLimits> | undefined;
  /** @default "info" */
  readonly logLevel?: "silent" | "warn" | "info" | undefined;
}

/** A server that can be listened with, and stopped. */
export interface RgeServer {
  readonly app: FastifyInstance;
  readonly jobs: IndexJobs;
  /** Finishes what was accepted, refuses the rest, and closes. The Embedder and the store stay open. */
  stop(): Promise<void>;
}

const DEFAULT_LIMITS: ServerLimits = {
  bodyBytes: 32 * 2 ** 20,
  imageBytes: 16 * 2 ** 20,
  itemsPerRequest: 512,
  itemsUnderWay: 1024,
  timeoutMs: 120_000,
};
/** Answered without a key. */
const OPEN = /^\/(?:healthz|readyz|docs(?:\/.*)?|favicon\.ico|(?:page\/.*)?)$/;
const PAGE = join(import.meta.dirname, "page");

/** Makes a server; it does not listen yet. */
export async function createServer(options: ServerOptions): Promise<RgeServer> {
  const { embedder, store, tokenizer, modelName, keys, allowRemoteImages = false, logLevel = "info" } = options;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const queue = new WorkQueue(limits.itemsUnderWay, limits.timeoutMs / 1000 / 2);
  const context: ServerContext = {
    modelName,
    embedder,
    queries: new QueryEmbedder(embedder),
    tokenizer,
    store,
    calibrationOf: options.calibrationOf ?? (() => undefined),
    examplesOf: options.examplesOf ?? (() => []),
    queue,
    jobs: new IndexJobs(embedder),
    images: { filesRoot: options.filesRoot, allowRemote: allowRemoteImages, maxBytes: limits.imageBytes },
    limits,
    metrics: new Metrics(queue),
  };
  const app = Fastify({
    bodyLimit: limits.bodyBytes,
    // A client's own id is kept, so that its log and ours can be joined.
    genReqId: (request) => clientId(request.headers["x-request-id"]) ?? randomUUID(),
    logger: logLevel === "silent" ? false : { level: logLevel, redact: ["req.headers.authorization"] },
    forceCloseConnections: "idle",
    return503OnClosing: true,
    routerOptions: { maxParamLength: 4096 },
  }).withTypeProvider<ZodTypeProvider>();
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  let ready = true;

  app.addHook("onRequest", async (request, reply) => {
    reply.header("x-request-id", request.id);
    if (keys === undefined || OPEN.test(request.url.split("?", 1)[0]!)) return;
    const name = keys.nameOf(request.headers.authorization);
    if (name === undefined)
      throw new HttpError(401, "invalid_api_key", "a key is needed: Authorization: Bearer KEY", {
        headers: { "www-authenticate": "Bearer" },
      });
    // Both, as the line that ends a request is the reply's.
    request.log = reply.log = request.log.child({ key: name });
  });
  app.addHook("onResponse", async (request, reply) => {
    const route = request.routeOptions.url ?? "none";
    context.metrics.answered(route, request.method, reply.statusCode, reply.elapsedTime / 1000);
  });
  app.setErrorHandler(async (error, request, reply) => {
    const { status, headers, body } = answerOf(error);
    if (status >= 500) request.log.error({ err: error }, "failed");
    return await reply.code(status).headers(headers).send(body);
  });
  app.setNotFoundHandler(async (request) => {
    throw new HttpError(
      404,
      "no_route",
      `there is no ${request.method} ${request.url.split("?", 1)[0]} here; /docs lists what there is`,
    );
  });

  await app.register(fastifySwagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "rge",
        version: packageVersion(),
        description: "Reasoning-guided multimodal embeddings and search.",
      },
      components: { securitySchemes: { key: { type: "http", scheme: "bearer" } } },
      ...(keys && { security: [{ key: [] }] }),
    },
    transform: jsonSchemaTransform,
  });
  await app.register(fastifySwaggerUi, { routePrefix: "/docs" });
  await app.register(fastifyStatic, { root: PAGE, prefix: "/page/" });
  app.get("/", { schema: { hide: true } }, async (_, reply) => await reply.sendFile("index.html"));
  for (const routes of [
    openaiRoutes(context),
    cohereRoutes(context),
    collectionRoutes(context),
    searchRoutes(context),
    healthRoutes(context, () => ready),
  ])
    await app.register(routes);

  return {
    app,
    jobs: context.jobs,
    async stop() {
      ready = false;
      await context.jobs.close();
      await queue.close();
      await app.close();
    },
  };
}

function clientId(header: string | string[] | undefined): string | undefined {
  return typeof header === "string" && /^[\w.:-]{1,128}$/.test(header) ? header : undefined;
}
