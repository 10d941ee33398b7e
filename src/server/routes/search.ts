/** `POST /v1/collections/:name/search`: an answer, or a stream of events while the rationale is written. */
import type { FastifyReply } from "fastify";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import {
  MAX_LIMIT,
  MAX_RERANK,
  SEARCH_MODES,
  Searcher,
  type SearchAnswer,
  type SearchHit,
  type SearchQuery,
} from "../../search/searcher.ts";
import { ownCollection, signalOf, type ServerContext } from "../context.ts";
import { answerOf } from "../errors.ts";
import { imageOf } from "../image-input.ts";
import { errorResponses, filterSchema } from "../schemas.ts";
import { itemAnswer, itemAnswerOf } from "./collections.ts";

const params = z.object({ name: z.string().max(64) });
const body = z.object({
  text: z.string().max(20_000).optional(),
  image: z.string().optional().describe("A data: URL, or a file under the server's root."),
  instruction: z.string().max(10_000).optional().describe("Put before the text."),
  mode: z
    .enum(SEARCH_MODES)
    .default("auto")
    .describe("Whether the model reasons before it embeds: never, always, or where the direct result is unsure."),
  words: z
    .string()
    .max(2000)
    .optional()
    .describe("Searched for in captions and file names as well; both rankings are joined."),
  limit: z.int().min(1).max(MAX_LIMIT).default(10),
  where: filterSchema.optional(),
  least_chance: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe("Leaves out hits that are less likely right; needs a calibration."),
  rerank: z
    .int()
    .min(0)
    .max(MAX_RERANK)
    .default(0)
    .describe("How many of the best hits the model judges, yes or no, to be put in the order of its verdicts."),
  max_new_tokens: z.int().min(1).max(16_384).default(128).describe("Longest rationale."),
  compare: z.boolean().default(false).describe("Looks without reasoning as well."),
  exact: z.boolean().default(false).describe("Scans all vectors rather than an index."),
  stream: z
    .boolean()
    .default(false)
    .describe("Answers with server-sent events: `rationale` as it is written, then `result` or `error`."),
});
const hit = z.object({
  item: itemAnswer,
  score: z.number().describe("Cosine, or the sum of reciprocal ranks where words were searched for as well."),
  cosine: z.number().optional(),
  chance: z.number().optional().describe("Of being what was asked for, where a calibration tells."),
  judged: z.number().optional().describe("The same in the model's own opinion, where it was to rerank."),
});
const answer = z.object({
  hits: z.array(hit),
  direct_hits: z.array(hit).optional(),
  reasoned: z.boolean(),
  rationale: z.string(),
  rationale_tokens: z.int(),
  finish: z.enum(["emb", "budget", "direct"]),
  cached: z.boolean(),
  timings: z.object({ embed_ms: z.number(), search_ms: z.number(), rerank_ms: z.number() }),
});
type Answer = z.infer<typeof answer>;

/** The routes. */
export function searchRoutes(context: ServerContext): FastifyPluginAsyncZod {
  const { limits, queries, queue, metrics } = context;
  const searcherOf = async (name: string): Promise<Searcher> =>
    new Searcher(queries, await ownCollection(context, name), context.calibrationOf(name));
  return async (app) => {
    app.post(
      "/v1/collections/:name/search",
      {
        schema: {
          tags: ["Search"],
          summary: "Find items by words, a picture or both",
          params,
          body,
          response: { 200: answer, ...errorResponses },
        },
      },
      async (request, reply) => {
        const { name } = request.params;
        const { image, least_chance, max_new_tokens, compare, stream, ...rest } = request.body;
        const signal = signalOf(reply, limits.timeoutMs);
        const searcher = await searcherOf(name);
        const query: SearchQuery = {
          ...rest,
          image: image === undefined ? undefined : await imageOf(image, context.images, signal),
          leastChance: least_chance,
          maxNewTokens: max_new_tokens,
        };
        const events = stream ? new Events(reply) : undefined;
        const run = async (): Promise<Answer> => {
          const onRationale = events && ((text: string): void => events.send("rationale", { text }));
          const found = await queue.run(1 + rest.rerank, () =>
            searcher.search(query, { signal, compare, onRationale }),
          );
          if (!found.cached) metrics.embedded(found.rationaleTokens);
          return answerFor(name, found);
        };
        if (events === undefined) return await run();
        try {
          events.send("result", await run());
        } catch (error) {
          const { status, headers, body: problem } = answerOf(error);
          // Nothing was sent yet: the answer can still have its own status.
          if (!events.started) throw error;
          request.log.warn({ err: error, status, headers }, "search failed while it was streamed");
          events.send("error", problem);
        }
        events.end();
        return reply;
      },
    );
    app.get(
      "/v1/collections/:name/items/:id/similar",
      {
        schema: {
          tags: ["Search"],
          summary: "Items like one that is there",
          params: params.extend({ id: z.string().max(4096) }),
          querystring: z.object({ limit: z.coerce.number().int().min(1).max(MAX_LIMIT).default(10) }),
          response: { 200: z.object({ hits: z.array(hit) }), ...errorResponses },
        },
      },
      async ({ params: { name, id }, query: { limit } }) => {
        const hits = await (await searcherOf(name)).similar(id, { limit });
        return { hits: hits.map((it) => hitFor(name, { ...it, chance: undefined })) };
      },
    );
  };
}

/** Server-sent events; the head is sent with the first. */
class Events {
  readonly #reply: FastifyReply;
  #started = false;

  constructor(reply: FastifyReply) {
    this.#reply = reply;
  }

  get started(): boolean {
    return this.#started;
  }

  send(event: string, data: unknown): void {
    if (!this.#started) {
      this.#started = true;
      this.#reply.hijack();
      // Headers that hooks have set, such as the request's id.
      const set = Object.entries(this.#reply.getHeaders()).filter((it): it is [string, string] => it[1] !== undefined);
      this.#reply.raw.writeHead(200, {
        ...Object.fromEntries(set),
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-store",
        "x-accel-buffering": "no",
      });
    }
    this.#reply.raw.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  end(): void {
    this.#reply.raw.end();
  }
}

function answerFor(collection: string, found: SearchAnswer): Answer {
  const { hits, directHits, reasoned, rationale, rationaleTokens, finish, cached, timings } = found;
  return {
    hits: hits.map((it) => hitFor(collection, it)),
    ...(directHits && { direct_hits: directHits.map((it) => hitFor(collection, it)) }),
    reasoned,
    rationale,
    rationale_tokens: rationaleTokens,
    finish,
    cached,
    timings: { embed_ms: timings.embedMs, search_ms: timings.searchMs, rerank_ms: timings.rerankMs },
  };
}

function hitFor(collection: string, { item, score, cosine, chance, judged }: SearchHit): z.infer<typeof hit> {
  return {
    item: itemAnswerOf(collection, item),
    score,
    ...(cosine !== undefined && { cosine }),
    ...(chance !== undefined && { chance }),
    ...(judged !== undefined && { judged }),
  };
}
