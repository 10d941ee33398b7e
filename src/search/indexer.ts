/** From a source to a collection: what is new is embedded, what moved is not embedded again, what is there is skipped. */
import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { basename } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Embedder } from "../embed/embedder.ts";
import type { EmbedItem } from "../embed/types.ts";
import { messageOf } from "../errors.ts";
import type { Collection, ItemFields, StoredItem } from "../store/store.ts";
import { CollectionWriter } from "./collection-writer.ts";
import type { SourceEntry, SourceItem } from "./source.ts";
import { contentHashOf, targetItemOf } from "./target-item.ts";

/** What is being done, in counts. */
export interface IndexCounts {
  /** Entries of the source that have been looked at. */
  readonly seen: number;
  readonly embedded: number;
  /** There already: nothing was embedded, though a caption or metadata may have changed. */
  readonly unchanged: number;
  /** Their content is there under another id: its vector is taken. */
  readonly moved: number;
  readonly failed: number;
  /** Items whose picture is gone, removed at the end. */
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

/** What pictures are embedded with where nothing else is said. */
export const DEFAULT_INSTRUCTION = "Represent the given image.";
/** Entries that the collection is asked about at a time. */
const AT_A_TIME = 256;
/** Files read at a time for their hashes. */
const READ_AT_A_TIME = 8;

/** An item with what is known of its content. */
interface Hashed {
  readonly item: SourceItem;
  readonly contentHash: string;
  readonly stamp: string;
}

/**
 * Brings a collection up to a source. What was written stays: a run that is killed goes on where it was, as what is
 * there is skipped.
 * @throws {StoreFailure} a store that fails, and whatever reading the source throws
 */
export async function indexSource(
  collection: Collection,
  embedder: Pick<Embedder, "stream">,
  source: AsyncIterable<SourceEntry>,
  { signal, onProgress, onProblem, removeGone = true }: IndexOptions = {},
): Promise<IndexCounts> {
  const counts = { seen: 0, embedded: 0, unchanged: 0, moved: 0, failed: 0, removed: 0 };
  const writer = new CollectionWriter(collection);
  const waiting: Hashed[] = [];
  const fail = (place: string, reason: string): void => {
    counts.failed++;
    onProblem?.(place, reason);
  };
  /** Deals with what needs no embedding, and yields the rest as the embedder asks for it. */
  const toEmbed = async function* (): AsyncGenerator<EmbedItem, void, void> {
    for await (const part of inParts(source, AT_A_TIME, signal)) {
      counts.seen += part.length;
      for (const entry of part) if ("reason" in entry) fail(entry.place, entry.reason);
      const items = lastOfEachId(part.flatMap((entry) => ("item" in entry ? [entry.item] : [])));
      const there = new Map(
        (await collection.get(items.map(({ id }) => id))).flatMap((known) => (known ? [[known.id, known]] : [])),
      );
      const changed: Hashed[] = [];
      for (const entry of await hashedAll(items, there, fail, signal)) {
        const known = there.get(entry.item.id);
        if (known?.contentHash !== entry.contentHash) {
          changed.push(entry);
          continue;
        }
        counts.unchanged++;
        const fields = fieldsOf(entry);
        if (!sameFields(known, fields)) await writer.add({ ...fields, vector: known.vector });
      }
      const elsewhere = await collection.withContent(changed.map(({ contentHash }) => contentHash));
      for (const entry of changed) {
        const same = elsewhere.get(entry.contentHash);
        if (same !== undefined) {
          counts.moved++;
          await writer.add({ ...fieldsOf(entry), vector: same.vector });
          continue;
        }
        waiting.push(entry);
        yield targetItemOf(entry.item.caption, entry.item.image, collection.origin);
      }
      onProgress?.({ ...counts });
    }
  };
  try {
    for await (const outcome of embedder.stream(toEmbed(), { signal })) {
      const entry = waiting.shift()!;
      const problem = "error" in outcome ? outcome.error.message : await changeOf(entry);
      if (problem !== undefined) fail(entry.item.id, problem);
      else if ("result" in outcome) {
        counts.embedded++;
        await writer.add({ ...fieldsOf(entry), vector: outcome.result.embedding });
      }
      onProgress?.({ ...counts });
    }
  } finally {
    // What has been embedded is not lost to Ctrl-C.
    await writer.flush();
  }
  if (removeGone) counts.removed = await removeMissing(collection, signal);
  onProgress?.({ ...counts });
  return counts;
}

async function* inParts<T>(values: AsyncIterable<T>, size: number, signal?: AbortSignal): AsyncGenerator<T[]> {
  let part: T[] = [];
  for await (const value of values) {
    signal?.throwIfAborted();
    part.push(value);
    if (part.length < size) continue;
    yield part;
    part = [];
  }
  if (part.length > 0) yield part;
}

/** Contents of items, a few files at a time; a file with the stamp that the collection knows is not read. */
async function hashedAll(
  items: readonly SourceItem[],
  there: ReadonlyMap<string, StoredItem>,
  fail: (place: string, reason: string) => void,
  signal: AbortSignal | undefined,
): Promise<Hashed[]> {
  const hashed: Hashed[] = [];
  for (let at = 0; at < items.length; at += READ_AT_A_TIME) {
    signal?.throwIfAborted();
    const some = items.slice(at, at + READ_AT_A_TIME);
    const found = await Promise.all(some.map((item) => hashOf(item, there.get(item.id))));
    found.forEach((it, i) => ("reason" in it ? fail(some[i]!.id, it.reason) : hashed.push(it)));
  }
  return hashed;
}

/** Reads what an item is made of; does not reject. */
async function hashOf(item: SourceItem, known: StoredItem | undefined): Promise<Hashed | { reason: string }> {
  const { image, caption } = item;
  if (image === undefined) return { item, contentHash: contentHashOf(caption), stamp: "" };
  try {
    const stamp = await stampOf(image);
    if (known?.stamp === stamp && known.path === image) return { item, contentHash: known.contentHash, stamp };
    return { item, contentHash: contentHashOf(await readFile(image)), stamp };
  } catch (error) {
    return { reason: messageOf(error) };
  }
}

async function stampOf(file: string): Promise<string> {
  const { size, mtimeMs } = await stat(file);
  return `${size} ${mtimeMs}`;
}

/** Why what was embedded may not be what was hashed. */
async function changeOf({ item, stamp }: Hashed): Promise<string | undefined> {
  if (item.image === undefined) return undefined;
  const now = await stampOf(item.image).catch(() => undefined);
  return now === stamp ? undefined : "changed while it was embedded; index again";
}

function fieldsOf({ item: { id, caption, image, metadata }, contentHash, stamp }: Hashed): ItemFields {
  const words = image === undefined ? caption : `${caption}\n${basename(image).replaceAll(/[._-]+/g, " ")}`.trim();
  return { id, text: words, path: image ?? "", contentHash, stamp, metadata };
}

function sameFields(a: ItemFields, b: ItemFields): boolean {
  return a.text === b.text && a.path === b.path && a.stamp === b.stamp && isDeepStrictEqual(a.metadata, b.metadata);
}

/** A source may name an id twice; the last counts. */
function lastOfEachId(items: readonly SourceItem[]): SourceItem[] {
  return [...new Map(items.map((item) => [item.id, item])).values()];
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
