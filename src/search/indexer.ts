/** From a source to a collection: what is new is embedded, what moved is not embedded again, what is there is skipped. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import type { Embedder } from "../embed/embedder.ts";
import { inOrder } from "../embed/in-order.ts";
import type { EmbedItem } from "../embed/types.ts";
import { messageOf } from "../errors.ts";
import type { Collection, ItemFields, StoredItem } from "../store/store.ts";
import type { SourceEntry, SourceItem } from "./source.ts";

/** What is being done, in counts. */
export interface IndexCounts {
  /** Entries of the source that are through. */
  readonly seen: number;
  readonly embedded: number;
  /** There already, under the same id. */
  readonly unchanged: number;
  /** There already, under another id: its vector is taken. */
  readonly moved: number;
  readonly failed: number;
  /** Items whose file is gone, removed at the end. */
  readonly removed: number;
}

/** How an index is made. */
export interface IndexOptions {
  /** Removes items whose picture is not there any more. @default true */
  readonly removeGone?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((counts: IndexCounts) => void) | undefined;
  /** Told each entry that cannot be indexed. */
  readonly onProblem?: ((place: string, reason: string) => void) | undefined;
}

/** Entries that go to the store in one write: as many as are lost to a kill at most. */
const AT_A_TIME = 256;
/** Files read at a time for their hashes. */
const READ_AHEAD = 16;

/** An item with the hash of what is embedded. */
interface Hashed {
  readonly item: SourceItem;
  readonly contentHash: string;
}

/**
 * Brings a collection up to a source. Every part that was written stays: a run that is killed goes on where it was, as
 * what is there is skipped.
 * @throws {StoreError} a store that fails
 */
export async function indexSource(
  collection: Collection,
  embedder: Embedder,
  source: AsyncIterable<SourceEntry>,
  options: IndexOptions = {},
): Promise<IndexCounts> {
  const { signal, onProgress, onProblem, removeGone = true } = options;
  const counts = { seen: 0, embedded: 0, unchanged: 0, moved: 0, failed: 0, removed: 0 };
  const fail = (place: string, reason: string): void => {
    counts.failed++;
    onProblem?.(place, reason);
  };
  let part: Hashed[] = [];
  const write = async (): Promise<void> => {
    const entries = lastOfEachId(part);
    part = [];
    const there = await collection.get(entries.map(({ item }) => item.id));
    const changed = entries.filter(({ item, contentHash }, i) => {
      const known = there[i];
      return (
        known === undefined || known.contentHash !== contentHash || !sameFields(known, fieldsOf(item, contentHash))
      );
    });
    counts.unchanged += entries.length - changed.length;
    const known = await collection.withContent(changed.map(({ contentHash }) => contentHash));
    const items: StoredItem[] = [];
    const wanted: Hashed[] = [];
    for (const entry of changed) {
      const same = known.get(entry.contentHash);
      if (same === undefined) wanted.push(entry);
      else items.push({ ...fieldsOf(entry.item, entry.contentHash), vector: same.vector });
    }
    counts.moved += items.length;
    let next = 0;
    for await (const outcome of embedder.stream(
      wanted.map(({ item }) => embedItemOf(item, collection.origin)),
      { signal },
    )) {
      const { item, contentHash } = wanted[next++]!;
      if ("result" in outcome) items.push({ ...fieldsOf(item, contentHash), vector: outcome.result.embedding });
      else {
        signal?.throwIfAborted();
        fail(item.id, outcome.error.message);
      }
    }
    await collection.upsert(items);
    counts.embedded += items.length - (changed.length - wanted.length);
    counts.seen += entries.length;
    onProgress?.({ ...counts });
  };
  for await (const outcome of inOrder(source, hashed, READ_AHEAD, signal)) {
    if ("reason" in outcome) {
      fail(outcome.place, outcome.reason);
      counts.seen++;
      continue;
    }
    part.push(outcome);
    if (part.length >= AT_A_TIME) await write();
  }
  if (part.length > 0) await write();
  if (removeGone) counts.removed = await removeMissing(collection, signal);
  onProgress?.({ ...counts });
  return counts;
}

/** Reads what an item is made of; does not reject. */
async function hashed(entry: SourceEntry): Promise<Hashed | { place: string; reason: string }> {
  if (!("item" in entry)) return entry;
  const { item } = entry;
  const hash = createHash("sha256");
  try {
    if (item.image !== undefined) hash.update(await readFile(item.image));
  } catch (error) {
    return { place: item.id, reason: messageOf(error) };
  }
  // A picture is embedded without its caption; an item of text is its caption.
  if (item.image === undefined) hash.update(`text ${item.caption}`);
  return { item, contentHash: hash.digest("hex") };
}

function fieldsOf({ id, caption, image, metadata }: SourceItem, contentHash: string): ItemFields {
  const words = image === undefined ? caption : `${caption} ${basename(image).replaceAll(/[._-]+/g, " ")}`.trim();
  return { id, text: words, path: image ?? "", contentHash, metadata };
}

function sameFields(a: ItemFields, b: ItemFields): boolean {
  const key = ({ text, path, metadata }: ItemFields): string =>
    JSON.stringify([text, path, Object.entries(metadata).sort()]);
  return key(a) === key(b);
}

function embedItemOf({ image, caption }: SourceItem, origin: Collection["origin"]): EmbedItem {
  const bounds = { minPixels: origin.minPixels ?? undefined, maxPixels: origin.maxPixels ?? undefined };
  if (image === undefined) return { role: "target", text: `${caption}\n` };
  return { role: "target", text: `<|image_1|>\n${origin.instruction}\n`, images: [image], ...bounds };
}

/** A source may name an id twice; the last counts. */
function lastOfEachId(entries: readonly Hashed[]): Hashed[] {
  return [...new Map(entries.map((entry) => [entry.item.id, entry])).values()];
}

/** Removes items whose picture is gone. */
async function removeMissing(collection: Collection, signal: AbortSignal | undefined): Promise<number> {
  const gone: string[] = [];
  for await (const { id, path } of collection.scan()) {
    signal?.throwIfAborted();
    if (path !== "" && !existsSync(path)) gone.push(id);
  }
  return await collection.delete(gone);
}
