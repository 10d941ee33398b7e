/** OpenAI's embeddings: `POST /v1/embeddings`, with `messages` as vLLM takes them, and `GET /v1/models`. */
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import type { EmbedItem } from "../../embed/types.ts";
import { withBreak } from "../../embed/line-break.ts";
import { embedFor, signalOf, type ServerContext } from "../context.ts";
import { checkDimension, checkModel, contentOf, contentPart, textPart, type ContentPart } from "../content.ts";
import { HttpError } from "../errors.ts";
import { errorResponses } from "../schemas.ts";
import { encoded, shortened } from "../vectors.ts";

/** A model name with this ending embeds queries: after a rationale. */
const QUERY_SUFFIX = ":query";
const MAX_TOKENS = 32_768;

const tokens = z.array(z.int().nonnegative()).min(1).max(MAX_TOKENS);
const message = z.object({
  role: z.enum(["system", "user", "assistant"]),
  content: z.union([textPart, z.array(contentPart).max(256)]),
});
type Message = z.infer<typeof message>;

const body = z.object({
  model: z
    .string()
    .max(500)
    .describe("As GET /v1/models lists it; with `:query` at its end, items are embedded after a rationale."),
  input: z
    .union([textPart, z.array(textPart).min(1), tokens, z.array(tokens).min(1)])
    .optional()
    .describe("Texts, or tokens of this model's own tokenizer."),
  messages: z
    .array(message)
    .min(1)
    .max(16)
    .optional()
    .describe(
      "In place of input: one sample of text and pictures (data: URLs). A last message of the assistant is its rationale.",
    ),
  encoding_format: z.enum(["float", "base64"]).default("float"),
  dimensions: z
    .int()
    .positive()
    .optional()
    .describe("Keeps the first so many numbers, brought to length 1. Lossy: models are rarely trained for it."),
  user: z.string().optional(),
  reason: z.boolean().optional().describe("Whether to reason first. [where the model's name ends in :query]"),
  max_new_tokens: z.int().positive().max(16_384).default(128).describe("Longest rationale."),
});

const answer = z.object({
  object: z.literal("list"),
  data: z.array(
    z.object({
      object: z.literal("embedding"),
      index: z.int(),
      embedding: z.union([z.array(z.number()), z.string()]),
      rationale: z.string().optional().describe("What was reasoned, where it was."),
    }),
  ),
  model: z.string(),
  usage: z.object({ prompt_tokens: z.int(), total_tokens: z.int() }),
});

const models = z.object({
  object: z.literal("list"),
  data: z.array(z.object({ id: z.string(), object: z.literal("model"), created: z.int(), owned_by: z.string() })),
});

/** The routes. */
export function openaiRoutes(context: ServerContext): FastifyPluginAsyncZod {
  const { modelName, limits, embedder } = context;
  const names = [modelName, `${modelName}${QUERY_SUFFIX}`];
  return async (app) => {
    app.get(
      "/v1/models",
      {
        schema: {
          tags: ["OpenAI"],
          summary: "The models that there are",
          response: { 200: models, ...errorResponses },
        },
      },
      async () => ({
        object: "list" as const,
        data: names.map((id) => ({
          id,
          object: "model" as const,
          created: 0,
          owned_by: "rge",
        })),
      }),
    );
    app.post(
      "/v1/embeddings",
      {
        schema: {
          tags: ["OpenAI"],
          summary: "Embed texts, tokens or messages",
          body,
          response: { 200: answer, ...errorResponses },
        },
      },
      async (request, reply) => {
        const { model, input, messages, dimensions, encoding_format, max_new_tokens } = request.body;
        checkModel(model, names);
        if ((input === undefined) === (messages === undefined))
          throw new HttpError(400, "invalid_request", "give either input or messages", { param: "input" });
        checkDimension(dimensions, embedder.info.hidden, "dimensions");
        const signal = signalOf(reply, limits.timeoutMs);
        const reasons = request.body.reason ?? model.endsWith(QUERY_SUFFIX);
        const reason = reasons ? { maxNewTokens: max_new_tokens, onBudget: "force-emb" as const } : false;
        const role = reasons ? ("query" as const) : ("target" as const);
        const items: EmbedItem[] =
          messages === undefined
            ? textsOf(input!, context).map((it) => ({ role, text: it, reason }))
            : [await itemOf(messages, { role, reason }, context, signal)];
        const results = await embedFor(context, items, signal);
        const promptTokens = results.reduce((sum, result) => sum + result.promptTokens, 0);
        const written = results.reduce((sum, { rationaleTokens }) => sum + rationaleTokens, 0);
        return {
          object: "list" as const,
          data: results.map((result, index) => ({
            object: "embedding" as const,
            index,
            embedding: encoded(shortened(result.embedding, dimensions), encoding_format),
            ...(result.finish !== "direct" && { rationale: result.rationale }),
          })),
          model,
          usage: { prompt_tokens: promptTokens, total_tokens: promptTokens + written },
        };
      },
    );
  };
}

function textsOf(input: NonNullable<z.infer<typeof body>["input"]>, { tokenizer }: ServerContext): string[] {
  if (typeof input === "string") return [withBreak(input)];
  if (input.every((it) => typeof it === "string")) return input.map(withBreak);
  const lists = (typeof input[0] === "number" ? [input] : input) as number[][];
  return lists.map((ids) => tokenizer.decode(ids));
}

/** Messages as one item: system as instruction, the user's parts in order, the assistant's words as a given rationale. */
async function itemOf(
  messages: readonly Message[],
  { role, reason }: Pick<EmbedItem, "role" | "reason">,
  { images: policy }: ServerContext,
  signal: AbortSignal,
): Promise<EmbedItem> {
  const last = messages.at(-1)!;
  const rationale = last.role === "assistant" ? plainText(last) : undefined;
  const asked = rationale === undefined ? messages : messages.slice(0, -1);
  const system = asked.filter((it) => it.role === "system").map(plainText);
  if (asked.some((it) => it.role === "assistant"))
    throw new HttpError(400, "invalid_request", "only the last message may be the assistant's", { param: "messages" });
  const users = asked.filter((it) => it.role === "user").flatMap(({ content }) => partsOf(content));
  const { words, images } = await contentOf(users, policy, signal);
  return {
    role,
    text: withBreak(words),
    images,
    ...(system.length > 0 && { instruction: system.join("\n") }),
    ...(rationale === undefined ? { reason } : { rationale }),
  };
}

function partsOf(content: Message["content"]): readonly ContentPart[] {
  return typeof content === "string" ? [{ type: "text", text: content }] : content;
}

function plainText({ content }: Message): string {
  return partsOf(content)
    .map((it) => {
      if (it.type === "text") return it.text;
      throw new HttpError(400, "invalid_request", "pictures belong to the user's messages", { param: "messages" });
    })
    .join("");
}
