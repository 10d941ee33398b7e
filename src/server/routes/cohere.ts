/** Cohere's `POST /v2/embed`. */
import { randomUUID } from "node:crypto";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import type { EmbedItem } from "../../embed/types.ts";
import { withBreak } from "../../embed/line-break.ts";
import { embedFor, signalOf, type ServerContext } from "../context.ts";
import { checkDimension, checkModel, contentOf, contentPart, textPart } from "../content.ts";
import { HttpError } from "../errors.ts";
import { errorResponses } from "../schemas.ts";
import { encoded, shortened } from "../vectors.ts";

/** Cohere's own. */
const MAX_INPUTS = 96;
const TYPES = ["float", "int8", "uint8", "binary", "ubinary", "base64"] as const;

const body = z.object({
  model: z.string().max(500),
  input_type: z
    .enum(["search_query", "search_document", "classification", "clustering", "image"])
    .describe("search_query is embedded after a rationale, the others directly."),
  texts: z.array(textPart).min(1).max(MAX_INPUTS).optional(),
  images: z.array(z.string()).min(1).max(MAX_INPUTS).optional().describe("data: URLs."),
  inputs: z
    .array(
      z.object({
        content: z.array(contentPart).min(1).max(64),
      }),
    )
    .min(1)
    .max(MAX_INPUTS)
    .optional()
    .describe("Texts and pictures of one embedding each."),
  embedding_types: z.array(z.enum(TYPES)).min(1).default(["float"]),
  output_dimension: z.int().positive().optional(),
  truncate: z
    .enum(["NONE", "START", "END"])
    .optional()
    .describe("Taken for compatibility of clients: what is too long is refused."),
});

const numbers = z.array(z.array(z.number())).optional();
const answer = z.object({
  id: z.string(),
  response_type: z.literal("embeddings_by_type"),
  embeddings: z.object({
    float: numbers,
    int8: numbers,
    uint8: numbers,
    binary: numbers,
    ubinary: numbers,
    base64: z.array(z.string()).optional(),
  }),
  texts: z.array(z.string()),
  rationales: z.array(z.string()).optional(),
  meta: z.object({
    api_version: z.object({ version: z.literal("2") }),
    billed_units: z.object({ input_tokens: z.int() }),
  }),
});

/** The route. */
export function cohereRoutes(context: ServerContext): FastifyPluginAsyncZod {
  const { modelName, limits, embedder } = context;
  return async (app) => {
    app.post(
      "/v2/embed",
      {
        schema: {
          tags: ["Cohere"],
          summary: "Embed texts and pictures",
          body,
          response: { 200: answer, ...errorResponses },
        },
      },
      async (request, reply) => {
        const { model, input_type, texts, images, inputs, embedding_types, output_dimension } = request.body;
        checkModel(model, [modelName]);
        if ([texts, images, inputs].filter((it) => it !== undefined).length !== 1)
          throw new HttpError(400, "invalid_request", "give one of texts, images and inputs", { param: "texts" });
        checkDimension(output_dimension, embedder.info.hidden, "output_dimension");
        const signal = signalOf(reply, limits.timeoutMs);
        const contents =
          inputs?.map(({ content }) => content) ??
          texts?.map((it) => [{ type: "text" as const, text: it }]) ??
          images!.map((url) => [{ type: "image_url" as const, image_url: { url } }]);
        const role = input_type === "search_query" ? ("query" as const) : ("target" as const);
        const reason = role === "query" ? { onBudget: "force-emb" as const } : false;
        const items: EmbedItem[] = [];
        for (const content of contents) {
          const { words, images: pictures } = await contentOf(content, context.images, signal);
          items.push({ role, text: withBreak(words), images: pictures, reason });
        }
        const results = await embedFor(context, items, signal);
        const vectors = results.map(({ embedding }) => shortened(embedding, output_dimension));
        return {
          id: randomUUID(),
          response_type: "embeddings_by_type" as const,
          embeddings: Object.fromEntries(embedding_types.map((type) => [type, vectors.map(CODINGS[type])])),
          texts: texts ?? [],
          ...(role === "query" && { rationales: results.map(({ rationale }) => rationale) }),
          meta: {
            api_version: { version: "2" as const },
            billed_units: { input_tokens: results.reduce((sum, { promptTokens }) => sum + promptTokens, 0) },
          },
        };
      },
    );
  };
}

/** Numbers of a vector of length 1 as Cohere's types; bytes are of -1 to 1, bits of the sign. */
const CODINGS: Readonly<Record<(typeof TYPES)[number], (vector: Float32Array) => number[] | string>> = {
  float: (vector) => [...vector],
  base64: (vector) => encoded(vector, "base64"),
  int8: (vector) => Array.from(vector, (value) => Math.round(127 * value)),
  uint8: (vector) => Array.from(vector, (value) => Math.round(127 * value) + 128),
  binary: (vector) => bitsOf(vector).map((byte) => byte - 128),
  ubinary: bitsOf,
};

/** Eight signs a byte, the first the highest bit. */
function bitsOf(vector: Float32Array): number[] {
  return Array.from({ length: Math.ceil(vector.length / 8) }, (_, i) =>
    vector.subarray(8 * i, 8 * i + 8).reduce((byte, value, bit) => byte | (value > 0 ? 128 >> bit : 0), 0),
  );
}
