/** Embeds the items of a dataset that are not kept yet, in batches that are always the same. */
import type { Embedder } from "../embed/embedder.ts";
import type { EmbedItem } from "../embed/types.ts";
import { RuntimeError } from "../errors.ts";
import { isUnit, type KeptItem, type VectorCache } from "./vector-cache.ts";

/** Which of several processes this one is, from 1. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

/** With what items are embedded. */
export interface EmbedPlan {
  /** Copies of one model, that take turns. */
  readonly embedders: readonly Embedder[];
  /** Items embedded together; at most that of the embedders. */
  readonly batch: number;
  /** Does only this part of the batches. @default all */
  readonly shard?: Shard | undefined;
}

/** How a call is carried out. */
export interface EvaluateOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told how many items are done of all that this process does: at first those that were kept already. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Batches that each copy of the model has at a time: one is embedded, one is on its way. */
const AHEAD = 2;

/**
 * Embeds the items of several lists, each under its key, and keeps them. Batches are cut from whole lists before it is
 * looked up what is kept: a run that goes on after a stop has the same batches, and so the same bits, as one that was
 * never stopped.
 * @throws {InputError} an item that cannot be embedded; it is named, and nothing of its batch is kept
 */
export async function embedItems(
  lists: readonly ReadonlyMap<string, EmbedItem>[],
  cache: VectorCache,
  { embedders, batch, shard = { index: 1, count: 1 } }: EmbedPlan,
  { signal, onProgress }: EvaluateOptions,
): Promise<void> {
  const batches = lists
    .flatMap((items) => batchesOf([...items], batch))
    .filter((_, i) => i % shard.count === shard.index - 1);
  const missing = batches.map((group) => group.filter(([key]) => cache.get(key) === undefined));
  const total = batches.flat().length;
  let done = total - missing.flat().length;
  onProgress?.(done, total);
  const left = missing.filter((group) => group.length > 0).values();
  const stop = new AbortController();
  const either = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  const work = async (embedder: Embedder): Promise<void> => {
    for (const group of left) {
      const results = await embedder.embedTogether(
        group.map(([, item]) => item),
        { signal: either, nameOf: (i) => nameOf(group[i]![1]) },
      );
      const kept = results.map(({ embedding, rationale, rationaleTokens, finish, promptTokens }): KeptItem => ({
        embedding,
        rationale,
        rationaleTokens,
        finish,
        promptTokens,
      }));
      results.forEach(({ embedding }, i) => {
        if (!isUnit(embedding))
          throw new RuntimeError(`${nameOf(group[i]![1])}: the model gave NaN or zeros. Its weights may be damaged.`);
      });
      await cache.put(new Map(group.map(([key], i) => [key, kept[i]!])));
      onProgress?.((done += group.length), total);
    }
  };
  const workers = embedders.flatMap((embedder) => Array.from({ length: AHEAD }, () => work(embedder)));
  try {
    await Promise.all(workers);
  } finally {
    // What the others had begun ends at its next step, and is waited for.
    stop.abort();
    await Promise.allSettled(workers);
  }
}

function batchesOf<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}

/** `query "Count the objects" images/0.png`. */
function nameOf({ role, text = "", images = [] }: EmbedItem): string {
  const paths = images.map((image) => (typeof image === "string" ? image : "a picture"));
  return [role, JSON.stringify(text.slice(0, 80)), ...paths].join(" ");
}
