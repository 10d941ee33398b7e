/** Writes items to a collection in parts. */
import type { Collection, StoredItem } from "../store/store.ts";

/** Items of one write: each makes a file, so that few are better. */
const AT_A_TIME = 256;
/** Where embedding is slow, items are written after this long, so that a kill loses little. */
const PATIENCE_MS = 5000;

/** Collects items and writes them when there are many or some have waited long; the last of an id counts. */
export class CollectionWriter {
  readonly #collection: Collection;
  #items = new Map<string, StoredItem>();
  #lastMs = performance.now();

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
  }
}
