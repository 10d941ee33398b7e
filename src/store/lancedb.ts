/** The default store: LanceDB tables in a folder. The only file that imports LanceDB and Arrow. */
import { mkdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { connect, Index, type Connection, type Table } from "@lancedb/lancedb";
import { Bool, Field, FixedSizeList, Float32, Float64, Schema, Utf8, type DataType } from "apache-arrow";
import { z } from "zod";
import { AbsentError, messageOf, StoreError, StoreFailure } from "../errors.ts";
import { checkItems, checkName, withTypesOf } from "./check.ts";
import { oneOf, sqlOf, type ColumnType } from "./filter.ts";
import { byScore, depthOf, fused, type Ranked } from "./rank.ts";
import type {
  Collection,
  Filter,
  Hit,
  ItemFields,
  Metadata,
  SearchRequest,
  Store,
  StoredItem,
  Version,
  VectorOrigin,
} from "./store.ts";
import { WriteQueue } from "./write-queue.ts";

/** Where a table's schema says what its vectors are. */
const ORIGIN_KEY = "rge.origin";
const VECTOR_INDEX = "vector_idx";
const WORDS_INDEX = "text_idx";
/** Fewer vectors are scanned: 50,000 of 256 numbers take a few milliseconds. */
const LEAST_FOR_INDEX = 50_000;
/** Vectors of one graph (HNSW, held in eight bits). One for all finds best; a graph of millions takes long to build. */
const PER_GRAPH = 2_000_000;
/** Candidates that the building of a graph keeps: with twice as many it takes twice as long and finds no more. */
const BUILD_CANDIDATES = 100;
/** Graphs that a search looks into, candidates it keeps, and how many of them for each wanted item are scored again in full. */
const GRAPHS = 8;
const CANDIDATES = 200;
const REFINE = 2;
const LEAST_THREADS = 8;
/** Ids of one SQL condition. */
const IDS_AT_A_TIME = 500;
/** States older than this are removed when the collection is optimised. */
const KEEP_MS = 7 * 24 * 3600 * 1000;

const originSchema = z.object({
  model: z.string(),
  modelHash: z.string(),
  instruction: z.string(),
  minPixels: z.int().nullable(),
  maxPixels: z.int().nullable(),
  dimension: z.int().positive(),
});
const ARROW: Readonly<Record<ColumnType, DataType>> = {
  string: new Utf8(),
  number: new Float64(),
  boolean: new Bool(),
};
const SQL_TYPE: Readonly<Record<ColumnType, string>> = { string: "string", number: "double", boolean: "boolean" };
const FIELDS = ["id", "text", "path", "content_hash", "stamp", "metadata"];

/** A row as the table holds it. */
interface Row {
  readonly id: string;
  readonly text: string;
  readonly path: string;
  readonly content_hash: string;
  readonly stamp: string;
  readonly metadata: string;
}

/** Collections in a folder, a table each. */
export class LanceStore implements Store {
  readonly #connection: Connection;
  /** Of each collection, for all who have it open. */
  readonly #writes = new Map<string, WriteQueue>();

  private constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** @throws {StoreFailure} a folder that cannot be made or opened */
  static async open(folder: string): Promise<LanceStore> {
    setUpLance();
    return await told(folder, async () => {
      mkdirSync(folder, { recursive: true });
      return new LanceStore(await connect(folder));
    });
  }

  async list(): Promise<string[]> {
    const names = await told("the store", () => this.#connection.tableNames({ limit: 100_000 }));
    return names.sort();
  }

  async create(name: string, origin: VectorOrigin): Promise<Collection> {
    checkName(name);
    if ((await this.list()).includes(name)) throw new StoreError(`there is a collection ${name} already`);
    const vector = new FixedSizeList(origin.dimension, new Field("item", new Float32(), true));
    const schema = new Schema(
      [new Field("vector", vector, false), ...FIELDS.map((field) => new Field(field, new Utf8(), false))],
      new Map([[ORIGIN_KEY, JSON.stringify(origin)]]),
    );
    return await told(name, async () => {
      const table = await this.#connection.createEmptyTable(name, schema);
      await makeIndices(table);
      return new LanceCollection(name, origin, table, new Map(), this.#writesOf(name));
    });
  }

  async open(name: string): Promise<Collection> {
    checkName(name);
    if (!(await this.list()).includes(name)) throw new AbsentError(`there is no collection ${name}`);
    return await told(name, async () => {
      const table = await this.#connection.openTable(name);
      const { metadata, fields } = await table.schema();
      const parsed = originSchema.safeParse(JSON.parse(metadata.get(ORIGIN_KEY) ?? "null"));
      if (!parsed.success) throw new StoreError(`${name} is a table of LanceDB but no collection of rge's`);
      await makeIndices(table);
      return new LanceCollection(name, parsed.data, table, metadataTypes(fields), this.#writesOf(name));
    });
  }

  async drop(name: string): Promise<void> {
    checkName(name);
    if (!(await this.list()).includes(name)) throw new AbsentError(`there is no collection ${name}`);
    await told(name, () => this.#connection.dropTable(name));
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#connection.close();
    return Promise.resolve();
  }

  #writesOf(name: string): WriteQueue {
    const queue = this.#writes.get(name) ?? new WriteQueue();
    this.#writes.set(name, queue);
    return queue;
  }
}

class LanceCollection implements Collection {
  readonly name: string;
  readonly origin: VectorOrigin;
  readonly #table: Table;
  #types: ReadonlyMap<string, ColumnType>;
  readonly #writes: WriteQueue;

  constructor(
    name: string,
    origin: VectorOrigin,
    table: Table,
    types: ReadonlyMap<string, ColumnType>,
    writes: WriteQueue,
  ) {
    this.name = name;
    this.origin = origin;
    this.#table = table;
    this.#types = types;
    this.#writes = writes;
  }

  async count(where?: Filter): Promise<number> {
    return await told(this.name, () => this.#table.countRows(this.#sql(where)));
  }

  async upsert(items: readonly StoredItem[]): Promise<void> {
    checkItems(items, this.origin.dimension);
    if (items.length === 0) return;
    await this.#write(async () => {
      await this.#addColumns(items);
      const keys = [...this.#types.keys()];
      const rows = items.map(({ id, vector, text, path, contentHash, stamp, metadata }) => ({
        vector,
        id,
        text,
        path,
        content_hash: contentHash,
        stamp,
        metadata: JSON.stringify(metadata),
        ...Object.fromEntries(keys.map((key) => [columnOf(key), metadata[key] ?? null])),
      }));
      await this.#table.mergeInsert("id").whenMatchedUpdateAll().whenNotMatchedInsertAll().execute(rows);
    });
  }

  async delete(ids: readonly string[]): Promise<number> {
    let removed = 0;
    for (const some of inParts([...new Set(ids)])) {
      await this.#write(async () => {
        const condition = oneOf("id", some);
        const count = await this.#table.countRows(condition);
        if (count > 0) await this.#table.delete(condition);
        removed += count;
      });
    }
    return removed;
  }

  async get(ids: readonly string[]): Promise<(StoredItem | undefined)[]> {
    const found = new Map((await this.#having("id", ids)).map((item) => [item.id, item]));
    return ids.map((id) => found.get(id));
  }

  async withContent(hashes: readonly string[]): Promise<Map<string, StoredItem>> {
    return new Map((await this.#having("content_hash", hashes)).map((item) => [item.contentHash, item]));
  }

  async *scan(): AsyncIterable<ItemFields> {
    for await (const batch of this.#table.query().select(FIELDS))
      for (const row of batch.toArray() as unknown as Row[]) yield fieldsOf(row);
  }

  async search({ vector, words, limit, where, exact = false }: SearchRequest): Promise<Hit[]> {
    const filter = this.#sql(where);
    const depth = vector !== undefined && words !== undefined ? depthOf(limit) : limit;
    const items = new Map<string, ItemFields>();
    const ranking = (rows: readonly Row[], scoreOf: (row: Row) => number): Ranked[] =>
      rows
        .map((row) => {
          items.set(row.id, fieldsOf(row));
          return { id: row.id, score: scoreOf(row) };
        })
        .sort(byScore);
    const near = vector && ranking(await this.#nearest(vector, depth, filter, exact), cosineOf);
    const worded = words === undefined ? undefined : ranking(await this.#worded(words, depth, filter), bm25Of);
    const ranked = near && worded ? fused(near, worded) : (near ?? worded ?? []);
    const cosines = new Map(near?.map(({ id, score }) => [id, score]));
    return ranked.slice(0, limit).map(({ id, score }) => ({ item: items.get(id)!, score, cosine: cosines.get(id) }));
  }

  async versions(): Promise<Version[]> {
    const listed = await told(this.name, () => this.#table.listVersions());
    return listed.map(({ version, timestamp }) => ({ version, time: timestamp }));
  }

  async restore(version: number): Promise<void> {
    const known = await this.versions();
    if (!known.some((it) => it.version === version))
      throw new AbsentError(`collection ${this.name} has no version ${version}`);
    await this.#write(async () => {
      await this.#table.checkout(version);
      await this.#table.restore();
      await this.#refresh();
    });
  }

  async compact(): Promise<void> {
    await this.#write(() => this.#table.optimize({ cleanupOlderThan: new Date(Date.now() - KEEP_MS) }));
  }

  async optimize(): Promise<void> {
    // Before the index is made: compaction would have to rewrite it, and rows of one file are found faster.
    await this.compact();
    await this.#write(async () => {
      const count = await this.#table.countRows();
      const indexed = (await this.#table.listIndices()).some(({ name }) => name === VECTOR_INDEX);
      if (count < LEAST_FOR_INDEX || indexed) return;
      await this.#table.createIndex("vector", {
        config: Index.hnswSq({
          distanceType: "cosine",
          numPartitions: Math.ceil(count / PER_GRAPH),
          efConstruction: BUILD_CANDIDATES,
        }),
        name: VECTOR_INDEX,
      });
    });
  }

  /** Items whose column has one of the values. */
  async #having(column: "id" | "content_hash", values: readonly string[]): Promise<StoredItem[]> {
    const items: StoredItem[] = [];
    for (const some of inParts([...new Set(values)])) {
      const rows = (await told(this.name, () =>
        this.#table
          .query()
          .where(oneOf(column, some))
          .select([...FIELDS, "vector"])
          .toArray(),
      )) as (Row & { vector: Iterable<number> })[];
      items.push(...rows.map((row) => ({ ...fieldsOf(row), vector: Float32Array.from(row.vector) })));
    }
    return items;
  }

  async #nearest(vector: Float32Array, limit: number, filter: string | undefined, exact: boolean): Promise<Row[]> {
    let query = this.#table.query().nearestTo(vector).distanceType("cosine").limit(limit);
    query = exact
      ? query.bypassVectorIndex()
      : query
          .nprobes(GRAPHS)
          .ef(Math.max(CANDIDATES, 2 * REFINE * limit))
          .refineFactor(REFINE);
    if (filter !== undefined) query = query.where(filter);
    return (await told(this.name, () => query.select([...FIELDS, "_distance"]).toArray())) as Row[];
  }

  async #worded(words: string, limit: number, filter: string | undefined): Promise<Row[]> {
    let query = this.#table
      .query()
      .fullTextSearch(words, { columns: ["text"] })
      .limit(limit);
    if (filter !== undefined) query = query.where(filter);
    return (await told(this.name, () => query.select([...FIELDS, "_score"]).toArray())) as Row[];
  }

  #sql(where: Filter | undefined): string | undefined {
    return sqlOf(where, this.#types, columnOf);
  }

  /** Columns for keys that are new. */
  async #addColumns(items: readonly StoredItem[]): Promise<void> {
    const types = withTypesOf(items, this.#types);
    const added = [...types].filter(([key]) => !this.#types.has(key));
    if (added.length > 0)
      await this.#table.addColumns(
        added.map(([key, type]) => ({ name: columnOf(key), valueSql: `cast(NULL as ${SQL_TYPE[type]})` })),
      );
    this.#types = types;
  }

  /** Does `work` on the newest state, others who write waiting. */
  async #write<T>(work: () => Promise<T>): Promise<T> {
    return await this.#writes.run(() =>
      told(this.name, async () => {
        await this.#refresh();
        return await work();
      }),
    );
  }

  async #refresh(): Promise<void> {
    await this.#table.checkoutLatest();
    this.#types = metadataTypes((await this.#table.schema()).fields);
  }
}

/** What LanceDB reads from the environment when it is first used; what a user has set stays. */
function setUpLance(): void {
  // Its own choice, the cores less two, stands still for ever on a small machine: the full-text index is built by tasks
  // that wait for others of the same pool (lancedb#3568).
  process.env["LANCE_CPU_THREADS"] ??= `${Math.max(LEAST_THREADS, 2 * availableParallelism())}`;
  // Statistics of an index without its centroids: nobody reads them, and LanceDB warns until it is told.
  process.env["LANCE_INCLUDE_VECTOR_CENTROIDS"] ??= "false";
}

/** Makes the indices of a table that are not there: of a new one all, of one whose making was killed the rest. */
async function makeIndices(table: Table): Promise<void> {
  const there = (await table.listIndices()).map(({ name }) => name);
  for (const column of ["id", "content_hash"])
    if (!there.includes(`${column}_idx`)) await table.createIndex(column, { config: Index.btree() });
  if (there.includes(WORDS_INDEX)) return;
  await table.createIndex("text", {
    // Positions, for phrases, make LanceDB's compaction fail (lance#7653).
    config: Index.fts({ withPosition: false, stem: false, removeStopWords: false, asciiFolding: true }),
    name: WORDS_INDEX,
  });
}

/** Metadata keys as columns, apart from the table's own. */
function columnOf(key: string): string {
  return `m_${key}`;
}

function metadataTypes(fields: readonly Field[]): Map<string, ColumnType> {
  const types = Object.keys(ARROW) as ColumnType[];
  return new Map(
    fields
      .filter(({ name }) => name.startsWith("m_"))
      .map(({ name, type }) => [name.slice(2), types.find((it) => ARROW[it].typeId === type.typeId) ?? "string"]),
  );
}

function fieldsOf({ id, text, path, content_hash, stamp, metadata }: Row): ItemFields {
  return { id, text, path, contentHash: content_hash, stamp, metadata: JSON.parse(metadata) as Metadata };
}

function cosineOf(row: Row): number {
  return 1 - (row as Row & { _distance: number })._distance;
}

function bm25Of(row: Row): number {
  return (row as Row & { _score: number })._score;
}

function inParts<T>(values: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(values.length / IDS_AT_A_TIME) }, (_, i) =>
    values.slice(i * IDS_AT_A_TIME, (i + 1) * IDS_AT_A_TIME),
  );
}

/** Does `work`; what LanceDB throws becomes a `StoreFailure` that names the collection. */
async function told<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof StoreError) throw error;
    throw new StoreFailure(`${name}: ${messageOf(error).split("\n", 1)[0]}`, { cause: error });
  }
}
