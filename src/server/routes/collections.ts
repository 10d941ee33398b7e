/** Collections and their items: `/v1/collections`. */
import { readFile } from "node:fs/promises";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { DEFAULT_INSTRUCTION } from "../../search/indexer.ts";
import { contentHashOf, targetItemOf } from "../../search/target-item.ts";
import { thumbnailOf } from "../../input/thumbnail.ts";
import type { Collection, ItemFields, VectorOrigin } from "../../store/store.ts";
import type { EmbedItem } from "../../embed/types.ts";
import { readImageBytes } from "../../input/image-source.ts";
import { ownCollection, signalOf, type ServerContext } from "../context.ts";
import { HttpError } from "../errors.ts";
import { fileUnder, imageOf } from "../image-input.ts";
import { errorResponses } from "../schemas.ts";
import { messageOf } from "../../errors.ts";

const nameParams = z.object({ name: z.string().max(64) });
const itemParams = nameParams.extend({ id: z.string().max(4096) });

const counts = z.object({
  seen: z.int(),
  embedded: z.int(),
  unchanged: z.int(),
  moved: z.int(),
  failed: z.int(),
  removed: z.int(),
});
const indexing = z.object({
  state: z.enum(["running", "done", "failed", "stopped"]),
  counts,
  total: z.int().optional().describe("Entries of the source, where counting them is cheap."),
  started_at: z.string(),
  seconds: z.number(),
  problems: z.array(z.object({ place: z.string(), reason: z.string() })),
  error: z.string().optional(),
});
const collectionAnswer = z.object({
  name: z.string(),
  count: z.int(),
  model: z.string(),
  model_hash: z.string(),
  instruction: z.string(),
  dimension: z.int(),
  searchable: z.boolean().describe("Whether this server's model made its vectors."),
  calibrated: z.boolean(),
  examples: z
    .array(z.object({ text: z.string(), picture: z.string().nullable() }))
    .describe("Questions to try, with where their pictures can be fetched."),
  indexing: indexing.optional(),
});
const metadata = z.record(z.string().max(64), z.union([z.string().max(10_000), z.number(), z.boolean()]));
export const itemAnswer: z.ZodType<ItemAnswer> = z.object({
  id: z.string(),
  text: z.string(),
  metadata,
  image: z.string().nullable().describe("Where its picture can be fetched."),
});

/** An item as clients see it: no paths of the server's. */
export interface ItemAnswer {
  readonly id: string;
  readonly text: string;
  readonly metadata: Record<string, string | number | boolean>;
  readonly image: string | null;
}

export function itemAnswerOf(collection: string, { id, text, metadata: own, path }: ItemFields): ItemAnswer {
  return { id, text, metadata: { ...own }, image: path === "" ? null : pictureOf(collection, id) };
}

function pictureOf(collection: string, id: string): string {
  return `/v1/collections/${collection}/items/${encodeURIComponent(id)}/image`;
}

const newItem = z.object({
  id: z.string().min(1).max(4096),
  text: z.string().max(100_000).default("").describe("Caption, or what is embedded where there is no picture."),
  image: z.string().optional().describe("A data: URL, or a file under the server's root."),
  metadata: metadata.default({}),
});

/** What vectors of this server's model are. */
function originOf({ modelName, embedder }: ServerContext, instruction: string): VectorOrigin {
  const { hash, hidden } = embedder.info;
  return { model: modelName, modelHash: hash, instruction, minPixels: null, maxPixels: null, dimension: hidden };
}

/** The routes. */
export function collectionRoutes(context: ServerContext): FastifyPluginAsyncZod {
  const { store, jobs, embedder, limits } = context;
  const describe = async (collection: Collection): Promise<z.infer<typeof collectionAnswer>> => {
    const { origin, name } = collection;
    const job = jobs.statusOf(name);
    return {
      name,
      count: await collection.count(),
      model: origin.model,
      model_hash: origin.modelHash,
      instruction: origin.instruction,
      dimension: origin.dimension,
      searchable: origin.modelHash === embedder.info.hash,
      calibrated: context.calibrationOf(name) !== undefined,
      examples: context.examplesOf(name).map(({ text, item }) => ({
        text,
        picture: item === undefined ? null : pictureOf(name, item),
      })),
      ...(job && {
        indexing: {
          state: job.state,
          counts: job.counts,
          ...(job.total !== undefined && { total: job.total }),
          started_at: job.startedAt,
          seconds: job.seconds,
          problems: [...job.problems],
          ...(job.error !== undefined && { error: job.error }),
        },
      }),
    };
  };
  return async (app) => {
    app.get(
      "/v1/collections",
      {
        schema: {
          tags: ["Collections"],
          summary: "All collections",
          response: { 200: z.object({ data: z.array(collectionAnswer) }), ...errorResponses },
        },
      },
      async () => ({
        data: await Promise.all((await store.list()).map(async (name) => await describe(await store.open(name)))),
      }),
    );
    app.post(
      "/v1/collections",
      {
        schema: {
          tags: ["Collections"],
          summary: "Make a collection",
          body: z.object({
            name: z.string().max(64),
            instruction: z
              .string()
              .max(10_000)
              .default(DEFAULT_INSTRUCTION)
              .describe("What pictures are embedded with."),
          }),
          response: { 201: collectionAnswer, ...errorResponses },
        },
      },
      async (request, reply) => {
        const { name, instruction } = request.body;
        if ((await store.list()).includes(name))
          throw new HttpError(409, "exists", `there is a collection ${name} already`);
        const collection = await store.create(name, originOf(context, instruction));
        return await reply.code(201).send(await describe(collection));
      },
    );
    app.get(
      "/v1/collections/:name",
      {
        schema: {
          tags: ["Collections"],
          summary: "One collection",
          params: nameParams,
          response: { 200: collectionAnswer, ...errorResponses },
        },
      },
      async ({ params }) => await describe(await store.open(params.name)),
    );
    app.delete(
      "/v1/collections/:name",
      {
        schema: {
          tags: ["Collections"],
          summary: "Remove a collection with all its items",
          params: nameParams,
          response: { 200: z.object({ removed: z.string() }), ...errorResponses },
        },
      },
      async ({ params: { name } }) => {
        if (jobs.statusOf(name)?.state === "running")
          throw new HttpError(409, "indexing", `collection ${name} is being indexed`);
        await store.drop(name);
        return { removed: name };
      },
    );
    app.post(
      "/v1/collections/:name/index",
      {
        schema: {
          tags: ["Collections"],
          summary: "Index a folder, JSONL, CSV or parquet file under the server's root; goes on after the answer",
          params: nameParams,
          body: z.object({ path: z.string().max(4096) }),
          response: { 202: collectionAnswer, ...errorResponses },
        },
      },
      async ({ params, body }, reply) => {
        const collection = await ownCollection(context, params.name);
        jobs.start(collection, await fileUnder(context.images.filesRoot, body.path));
        return await reply.code(202).send(await describe(collection));
      },
    );
    app.post(
      "/v1/collections/:name/items",
      {
        schema: {
          tags: ["Items"],
          summary: "Embed items and add them, each in place of the one with its id",
          params: nameParams,
          body: z.object({ items: z.array(newItem).min(1).max(limits.itemsPerRequest) }),
          response: {
            200: z.object({
              added: z.int(),
              failed: z
                .array(z.object({ id: z.string(), reason: z.string() }))
                .describe("Items that were not added; the others were."),
            }),
            ...errorResponses,
          },
        },
      },
      async (request, reply) => {
        const collection = await ownCollection(context, request.params.name);
        const signal = signalOf(reply, limits.timeoutMs);
        const { items } = request.body;
        if (new Set(items.map(({ id }) => id)).size < items.length)
          throw new HttpError(400, "invalid_request", "two items have the same id", { param: "items" });
        const failed: { id: string; reason: string }[] = [];
        const ready: { item: z.infer<typeof newItem>; embed: EmbedItem; path: string; contentHash: string }[] = [];
        for (const item of items)
          try {
            ready.push({ item, ...(await contentOf(item, collection.origin, context, signal)) });
          } catch (error) {
            if (error instanceof HttpError) throw error;
            failed.push({ id: item.id, reason: messageOf(error) });
          }
        await context.queue.run(ready.length, async () => {
          const stored = [];
          for await (const outcome of embedder.stream(
            ready.map(({ embed }) => embed),
            { signal },
          )) {
            const { item, path, contentHash } = ready[outcome.index]!;
            if ("error" in outcome) failed.push({ id: item.id, reason: outcome.error.message });
            else {
              context.metrics.embedded(0);
              stored.push({
                id: item.id,
                vector: outcome.result.embedding,
                text: item.text,
                path,
                contentHash,
                stamp: "",
                metadata: item.metadata,
              });
            }
          }
          await collection.upsert(stored);
        });
        return { added: items.length - failed.length, failed };
      },
    );
    app.get(
      "/v1/collections/:name/items/:id",
      {
        schema: {
          tags: ["Items"],
          summary: "One item",
          params: itemParams,
          response: { 200: itemAnswer, ...errorResponses },
        },
      },
      async ({ params: { name, id } }) => itemAnswerOf(name, await itemIn(await store.open(name), id)),
    );
    app.delete(
      "/v1/collections/:name/items/:id",
      {
        schema: {
          tags: ["Items"],
          summary: "Remove an item",
          params: itemParams,
          response: { 200: z.object({ removed: z.string() }), ...errorResponses },
        },
      },
      async ({ params: { name, id } }) => {
        if ((await (await store.open(name)).delete([id])) === 0) throw absent(id);
        return { removed: id };
      },
    );
    app.get(
      "/v1/collections/:name/items/:id/image",
      {
        schema: {
          tags: ["Items"],
          summary: "An item's picture, or a small one of it",
          params: itemParams,
          querystring: z.object({
            size: z.coerce.number().int().min(16).max(2048).optional().describe("Longest side in pixels."),
          }),
        },
      },
      async ({ params: { name, id }, query: { size } }, reply) => {
        const { path } = await itemIn(await store.open(name), id);
        if (path === "") throw new HttpError(404, "no_picture", `item ${JSON.stringify(id)} has no picture`);
        const bytes = await readFile(path).catch(() => {
          throw new HttpError(404, "no_picture", `the picture of item ${JSON.stringify(id)} is not there any more`);
        });
        reply.header("cache-control", "private, max-age=3600").header("x-content-type-options", "nosniff");
        if (size === undefined) return await reply.type("application/octet-stream").send(bytes);
        return await reply.type("image/webp").send(await thumbnailOf(bytes, size));
      },
    );
  };
}

async function itemIn(collection: Collection, id: string): Promise<ItemFields> {
  const [item] = await collection.get([id]);
  if (item === undefined) throw absent(id);
  return item;
}

function absent(id: string): HttpError {
  return new HttpError(404, "not_found", `there is no item ${JSON.stringify(id.slice(0, 200))}`);
}

/** What of an item is embedded, and where its picture is kept; a picture that came with the request is not kept. */
async function contentOf(
  { text, image }: z.infer<typeof newItem>,
  origin: VectorOrigin,
  { images: policy }: ServerContext,
  signal: AbortSignal,
): Promise<{ embed: EmbedItem; path: string; contentHash: string }> {
  const source = image === undefined ? undefined : await imageOf(image, policy, signal);
  const bytes = source === undefined ? undefined : await readImageBytes(source, policy.maxBytes, "image");
  return {
    embed: targetItemOf(text, bytes, origin),
    path: typeof source === "string" && !/^data:/i.test(source) ? source : "",
    contentHash: contentHashOf(bytes ?? text),
  };
}
