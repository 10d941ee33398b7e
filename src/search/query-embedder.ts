/** Embeds queries, each once: what was asked before is remembered with its rationale. */
import { createHash } from "node:crypto";
import type { CallOptions, Embedder } from "../embed/embedder.ts";
import type { EmbedItem, EmbedResult } from "../embed/types.ts";
import { readImageBytes } from "../input/image-source.ts";

/** About ten kilobytes each. */
const DEFAULT_ENTRIES = 1000;
export const MAX_IMAGE_BYTES: number = 64 * 1024 * 1024;

/** A result, and whether it was remembered. */
export interface QueryResult {
  readonly result: EmbedResult;
  readonly cached: boolean;
}

/** A query whose pictures are bytes: read once, so that what is hashed is what is embedded. */
export interface LoadedQuery extends EmbedItem {
  readonly images: readonly Uint8Array[];
}

/** Reads the pictures of an item. */
export async function loadQuery(item: EmbedItem): Promise<LoadedQuery> {
  const images = (item.images ?? []).map((image, i) => readImageBytes(image, MAX_IMAGE_BYTES, `image ${i + 1}`));
  return { ...item, images: await Promise.all(images) };
}

/** What it needs of an Embedder. */
export type QueryModel = Pick<Embedder, "embed" | "judge">;

/** An Embedder with a memory for its latest results, the least recently used forgotten first. */
export class QueryEmbedder {
  /** The model itself, which remembers nothing. */
  readonly model: QueryModel;
  readonly #maxEntries: number;
  readonly #results = new Map<string, EmbedResult>();

  constructor(model: QueryModel, maxEntries: number = DEFAULT_ENTRIES) {
    this.model = model;
    this.#maxEntries = maxEntries;
  }

  /**
   * Embeds a query, or remembers it.
   * @throws {InputError} for a query that cannot be embedded
   */
  async embed(
    query: LoadedQuery,
    { signal, onRationale }: Omit<CallOptions, "onRationale"> & OnRationale = {},
  ): Promise<QueryResult> {
    const key = keyOf(query);
    const known = this.#results.get(key);
    if (known !== undefined) {
      // Put at the end of the order.
      this.#results.delete(key);
      this.#results.set(key, known);
      onRationale?.(known.rationale);
      return { result: known, cached: true };
    }
    const [result] = await this.model.embed([query], {
      signal,
      onRationale: onRationale && ((_, text) => onRationale(text)),
    });
    this.#results.set(key, result!);
    if (this.#results.size > this.#maxEntries) this.#results.delete(this.#results.keys().next().value!);
    return { result: result!, cached: false };
  }
}

/** Who is told what a rationale says so far. */
export interface OnRationale {
  readonly onRationale?: ((text: string) => void) | undefined;
}

/** Everything of an item that decides its embedding and rationale; the model is the Embedder's own. */
function keyOf({ images, ...rest }: LoadedQuery): string {
  const hash = createHash("sha256").update(JSON.stringify(Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1))));
  for (const image of images) hash.update(` ${image.length} `).update(image);
  return hash.digest("base64");
}
