/** The second stage: the model is asked of each of the best hits whether it is what is looked for. */
import type { Embedder } from "../embed/embedder.ts";
import type { JudgeItem } from "../embed/types.ts";
import { readImageBytes } from "../input/image-source.ts";
import type { ItemFields, VectorOrigin } from "../store/store.ts";
import { MAX_IMAGE_BYTES } from "./query-embedder.ts";
import { boundsOf } from "./target-item.ts";

/** What is looked for, as it was embedded. */
export interface Wanted {
  /** Instruction and text. */
  readonly words: string;
  readonly image: Uint8Array | undefined;
  /** What the model wrote about it; "" for nothing. */
  readonly rationale: string;
}

const QUESTION = "Is this what is asked for? Answer yes or no.";

/**
 * Chances, 0 to 1, that items are what is looked for, in the model's own opinion; none of an item whose picture cannot be
 * read any more.
 */
export async function judgeItems(
  embedder: Pick<Embedder, "judge">,
  wanted: Wanted,
  items: readonly ItemFields[],
  bounds: Pick<VectorOrigin, "minPixels" | "maxPixels">,
  signal: AbortSignal | undefined,
): Promise<(number | undefined)[]> {
  const asked = await Promise.all(items.map((item) => judgeItemOf(wanted, item)));
  const judged = await embedder.judge(
    asked.flatMap((item) => item ?? []).map((item) => ({ ...item, ...boundsOf(bounds) })),
    { signal },
  );
  let at = 0;
  return asked.map((item) => (item === undefined ? undefined : judged[at++]));
}

async function judgeItemOf(wanted: Wanted, item: ItemFields): Promise<JudgeItem | undefined> {
  const images = wanted.image === undefined ? [] : [wanted.image];
  if (item.path !== "") {
    const bytes = await readImageBytes(item.path, MAX_IMAGE_BYTES, item.path).catch(() => undefined);
    if (bytes === undefined) return undefined;
    images.push(bytes);
  }
  return { text: judgeTextOf(wanted, wanted.image !== undefined, item), images };
}

/** The question: what is looked for, the model's rationale, the item, each on lines of its own. */
export function judgeTextOf(
  { words, rationale }: Pick<Wanted, "words" | "rationale">,
  queryHasImage: boolean,
  { text, path }: Pick<ItemFields, "text" | "path">,
): string {
  const ofQuery = queryHasImage ? "<|image_1|>" : "";
  const ofItem = path === "" ? text : `<|image_${queryHasImage ? 2 : 1}|>`;
  return [ofQuery, words, rationale, ofItem, QUESTION].filter((line) => line !== "").join("\n");
}
