/** A store in memory: every search scans everything. What others find is tested against it. */
import { dot } from "../dot.ts";
import { AbsentError, StoreError } from "../errors.ts";
import { checkItems, checkName, withTypesOf } from "./check.ts";
import { matcherOf, type ColumnType } from "./filter.ts";
import { byScore, depthOf, fused, type Ranked } from "./rank.ts";
import type {
  Collection,
  Filter,
  Hit,
  ItemFields,
  SearchRequest,
  Store,
  StoredItem,
  Version,
  VectorOrigin,
} from "./store.ts";
import { bm25 } from "./words.ts";

/** Collections that last as long as the process. */
export class MemoryStore implements Store {
  readonly #collections = new Map<string, MemoryCollection>();

  async list(): Promise<string[]> {
    return [...this.#collections.keys()].sort();
  }

  async create(name: string, origin: VectorOrigin): Promise<Collection> {
    checkName(name);
    if (this.#collections.has(name)) throw new StoreError(`there is a collection ${name} already`);
    const collection = new MemoryCollection(name, origin);
    this.#collections.set(name, collection);
    return collection;
  }

  async open(name: string): Promise<Collection> {
    const collection = this.#collections.get(name);
    if (collection === undefined) throw new AbsentError(`there is no collection ${name}`);
    return collection;
  }

  async drop(name: string): Promise<void> {
    if (!this.#collections.delete(name)) throw new AbsentError(`there is no collection ${name}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#collections.clear();
  }
}

class MemoryCollection implements Collection {
  readonly name: string;
  readonly origin: VectorOrigin;
  #items: ReadonlyMap<string, StoredItem> = new Map();
  #types: ReadonlyMap<string, ColumnType> = new Map();
  readonly #versions: { version: number; time: Date; items: ReadonlyMap<string, StoredItem> }[] = [];

  constructor(name: string, origin: VectorOrigin) {
    this.name = name;
    this.origin = origin;
    this.#keep(new Map());
  }

  async count(where?: Filter): Promise<number> {
    return this.#matching(where).length;
  }

  async upsert(items: readonly StoredItem[]): Promise<void> {
    checkItems(items, this.origin.dimension);
    this.#types = withTypesOf(items, this.#types);
    const next = new Map(this.#items);
    for (const item of items) next.set(item.id, item);
    this.#keep(next);
  }

  async delete(ids: readonly string[]): Promise<number> {
    const next = new Map(this.#items);
    const removed = ids.filter((id) => next.delete(id)).length;
    if (removed > 0) this.#keep(next);
    return removed;
  }

  async get(ids: readonly string[]): Promise<(StoredItem | undefined)[]> {
    return ids.map((id) => this.#items.get(id));
  }

  async withContent(hashes: readonly string[]): Promise<Map<string, StoredItem>> {
    const wanted = new Set(hashes);
    return new Map(
      [...this.#items.values()].filter((it) => wanted.has(it.contentHash)).map((it) => [it.contentHash, it]),
    );
  }

  async *scan(): AsyncIterable<ItemFields> {
    for (const item of this.#items.values()) yield fieldsOf(item);
  }

  async search({ vector, words, limit, where }: SearchRequest): Promise<Hit[]> {
    const items = this.#matching(where);
    const near: Ranked[] | undefined =
      vector && items.map((item) => ({ id: item.id, score: dot(vector, item.vector) })).sort(byScore);
    // Rarity is of all texts, whatever the filter leaves.
    const allowed = new Set(items.map(({ id }) => id));
    const told =
      words === undefined
        ? undefined
        : bm25(words, new Map([...this.#items.values()].map(({ id, text }) => [id, text]))).filter(({ id }) =>
            allowed.has(id),
          );
    const depth = depthOf(limit);
    const ranked = near && told ? fused(near.slice(0, depth), told.slice(0, depth)) : (near ?? told ?? []);
    const cosines = new Map(near?.map(({ id, score }) => [id, score]));
    return ranked
      .slice(0, limit)
      .map(({ id, score }) => ({ item: fieldsOf(this.#items.get(id)!), score, cosine: cosines.get(id) }));
  }

  async versions(): Promise<Version[]> {
    return this.#versions.map(({ version, time }) => ({ version, time }));
  }

  async restore(version: number): Promise<void> {
    const found = this.#versions.find((it) => it.version === version);
    if (found === undefined) throw new AbsentError(`collection ${this.name} has no version ${version}`);
    this.#keep(found.items);
  }

  async compact(): Promise<void> {}

  async optimize(): Promise<void> {}

  #keep(items: ReadonlyMap<string, StoredItem>): void {
    this.#items = items;
    this.#versions.push({ version: this.#versions.length + 1, time: new Date(), items });
  }

  #matching(where: Filter | undefined): StoredItem[] {
    const matches = matcherOf(where);
    return [...this.#items.values()].filter(({ metadata }) => matches(metadata));
  }
}

function fieldsOf({ id, text, path, contentHash, stamp, metadata }: ItemFields): ItemFields {
  return { id, text, path, contentHash, stamp, metadata };
}
