/** Writes items to a collection in parts. */
import type { Collection, StoredItem } from "../store/store.ts";

/** Items of one write: each makes a file, and every further look-up opens them all. */
const AT_A_TIME = 2048;
/** Where embedding is slow, items are written after this long, so that a kill loses little. */
const PATIENCE_MS = 5000;

/**
 * The files are joined when so many writes have been made, and with them as large a share of new items: all items are written
 * anew then, and what they were before is kept for a week.
 */
const WRITES_TO_COMPACT = 128;
const GROWTH_TO_COMPACT = 0.25;

/** Collects items and writes them when there are many or some have waited long; the last of an id counts. */
export class CollectionWriter {
  readonly #collection: Collection;
  #items = new Map<string, StoredItem>();
  #lastMs = performance.now();
  #writes = 0;
  #written = 0;

  constructor(collection: Collection) {
    this.#collection = collection;
  }

  async add(item: StoredItem): Promise<void> {
    this.#items.set(item.id, item);
    if (this.#items.size >= AT_A_TIME || performance.now() - this.#lastMs > PATIENCE_MS) await this.flush();
  }

  /** Writes what is held. */
  async flush(): Promise<void> {
    const items = [...this.#items.values()];
    this.#items = new Map();
    this.#lastMs = performance.now();
    await this.#collection.upsert(items);
    this.#writes++;
    this.#written += items.length;
    if (this.#writes < WRITES_TO_COMPACT) return;
    const before = (await this.#collection.count()) - this.#written;
    if (this.#written < GROWTH_TO_COMPACT * before) return;
    await this.#collection.compact();
    [this.#writes, this.#written] = [0, 0];
  }
}
