/** What handlers work with. */
import type { FastifyReply } from "fastify";
import type { Embedder } from "../embed/embedder.ts";
import type { EmbedItem, EmbedResult } from "../embed/types.ts";
import type { Tokenizer } from "../input/tokenizer.ts";
import type { Calibration } from "../search/calibration.ts";
import type { ExampleQuestion } from "../search/examples.ts";
import type { QueryEmbedder } from "../search/query-embedder.ts";
import type { Collection, Store } from "../store/store.ts";
import { HttpError } from "./errors.ts";
import type { ImagePolicy } from "./image-input.ts";
import type { IndexJobs } from "./index-jobs.ts";
import type { Metrics } from "./metrics.ts";
import type { WorkQueue } from "./work-queue.ts";

/** What a server takes on. */
export interface ServerLimits {
  /** Bytes of a request's body. @default 32 MiB */
  readonly bodyBytes: number;
  /** Bytes of one picture. @default 16 MiB */
  readonly imageBytes: number;
  /** Items of one request. @default 512 */
  readonly itemsPerRequest: number;
  /** Items under way, of all requests together; fewer where they would take half the timeout. @default 1024 */
  readonly itemsUnderWay: number;
  /** Milliseconds until a request is given up. @default 120,000 */
  readonly timeoutMs: number;
}

/** A running server's parts. */
export interface ServerContext {
  /** What clients call the model. */
  readonly modelName: string;
  readonly embedder: Embedder;
  /** Embeds queries, and remembers them. */
  readonly queries: QueryEmbedder;
  readonly tokenizer: Tokenizer;
  readonly store: Store;
  /** Of this model, by collection. */
  readonly calibrationOf: (collection: string) => Calibration | undefined;
  /** Questions to try, by collection. */
  readonly examplesOf: (collection: string) => readonly ExampleQuestion[];
  readonly queue: WorkQueue;
  readonly jobs: IndexJobs;
  readonly images: ImagePolicy;
  readonly limits: ServerLimits;
  readonly metrics: Metrics;
}

/** A signal that stops work when the client has gone or waited too long. */
export function signalOf(reply: FastifyReply, timeoutMs: number): AbortSignal {
  const gone = new AbortController();
  reply.raw.once("close", () => {
    if (!reply.raw.writableFinished) gone.abort(new HttpError(499, "client_gone", "the client has gone"));
  });
  const late = new AbortController();
  const timer = setTimeout(
    () => late.abort(new HttpError(504, "timeout", `not done within ${timeoutMs / 1000} s`)),
    timeoutMs,
  );
  reply.raw.once("close", () => clearTimeout(timer));
  if (reply.raw.destroyed) gone.abort(new HttpError(499, "client_gone", "the client has gone"));
  return AbortSignal.any([gone.signal, late.signal]);
}

/**
 * A collection whose vectors this server's model made.
 * @throws {AbsentError} no such collection
 * @throws {HttpError} 409 for another model's
 */
export async function ownCollection({ store, embedder }: ServerContext, name: string): Promise<Collection> {
  const collection = await store.open(name);
  if (collection.origin.modelHash !== embedder.info.hash)
    throw new HttpError(
      409,
      "another_model",
      `collection ${name} holds vectors of another model (${collection.origin.model}); index it anew with this one`,
    );
  return collection;
}

/**
 * Embeds what a request asks for.
 * @throws {HttpError} 413 for too many items, 429 when the server has too much to do
 */
export async function embedFor(
  { queue, embedder, limits, metrics }: ServerContext,
  items: readonly EmbedItem[],
  signal: AbortSignal,
): Promise<EmbedResult[]> {
  if (items.length > limits.itemsPerRequest)
    throw new HttpError(413, "too_many_items", `${items.length} items, at most ${limits.itemsPerRequest} a request`);
  const results = await queue.run(items.length, () => embedder.embed(items, { signal }));
  for (const { rationaleTokens } of results) metrics.embedded(rationaleTokens);
  return results;
}
