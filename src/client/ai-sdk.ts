/** A provider for the Vercel AI SDK: `embed({ model: createRge({ baseUrl }).embeddingModel("nano:query"), value })`. */
import type { EmbeddingModelV4, EmbeddingModelV4CallOptions, EmbeddingModelV4Result } from "@ai-sdk/provider";
import { askServer, type EmbeddingsAnswer, type ServerAddress } from "./http.ts";

/** The server's own limit is higher. */
const MAX_PER_CALL = 256;

/** Models of one server. */
export interface RgeProvider {
  /** A model by the name that the server lists; with `:query` at its end it reasons before it embeds. */
  embeddingModel(modelId: string): EmbeddingModelV4;
}

/** A provider for one server. */
export function createRge(address: ServerAddress): RgeProvider {
  return {
    embeddingModel: (modelId) => ({
      specificationVersion: "v4",
      provider: "rge",
      modelId,
      maxEmbeddingsPerCall: MAX_PER_CALL,
      supportsParallelCalls: true,
      doEmbed: async (options) => await embed(address, modelId, options),
    }),
  };
}

/**
 * Pictures come as `providerOptions.rge.images`: a list for each value, of data: URLs; a value with any is sent as
 * messages of its own. Rationales come back as `providerMetadata.rge.rationales`.
 */
async function embed(
  address: ServerAddress,
  model: string,
  { values, dimensions, abortSignal, headers, providerOptions }: EmbeddingModelV4CallOptions,
): Promise<EmbeddingModelV4Result> {
  const images = (providerOptions?.["rge"]?.["images"] ?? []) as unknown as readonly (readonly string[])[];
  const options = { signal: abortSignal, headers };
  const common = { model, ...(dimensions !== undefined && { dimensions }) };
  const ask = async (body: object): Promise<EmbeddingsAnswer> =>
    await askServer(address, "/v1/embeddings", { ...common, ...body }, options);
  const answers = images.some((some) => some.length > 0)
    ? await Promise.all(values.map((value, i) => ask({ messages: [messageOf(value, images[i] ?? [])] })))
    : [await ask({ input: values })];
  const data = answers.flatMap((answer) => answer.data);
  return {
    embeddings: data.map(({ embedding }) => embedding),
    usage: { tokens: answers.reduce((sum, { usage }) => sum + usage.total_tokens, 0) },
    ...(data.some(({ rationale }) => rationale !== undefined) && {
      providerMetadata: { rge: { rationales: data.map(({ rationale }) => rationale ?? null) } },
    }),
    warnings: [],
  };
}

function messageOf(text: string, images: readonly string[]): object {
  return {
    role: "user",
    content: [...images.map((url) => ({ type: "image_url", image_url: { url } })), { type: "text", text }],
  };
}
