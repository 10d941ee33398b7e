/** Queries whose right item is known: read, asked both ways, and told. */
import { dirname, resolve } from "node:path";
import { readRows } from "../dataset/row-files.ts";
import { DatasetError } from "../errors.ts";
import type { Collection } from "../store/store.ts";
import type { KnownQuery, ScoredHit } from "./calibration.ts";
import type { Searcher, SearchHit, SearchQuery } from "./searcher.ts";

/** Hits of a query that the curves are learnt from. */
const HITS = 10;
const MIN_QUERIES = 20;

/** A query with the id of what it asks for. */
export interface LabelledQuery {
  readonly query: SearchQuery;
  readonly right: string;
}

/**
 * Reads queries.
 * @throws {DatasetError} a row that is none, an item that is not there, too few to learn from
 */
export async function readKnownQueries(
  file: string,
  collection: Collection,
  signal?: AbortSignal,
): Promise<LabelledQuery[]> {
  const queries: LabelledQuery[] = [];
  for await (const { row, value, problem } of readRows(file, { signal })) {
    const refuse = (what: string): never => {
      throw new DatasetError(`${file}, row ${row}: ${what}`);
    };
    if (value === undefined) refuse(problem ?? "cannot be read");
    const { text, image, instruction, right } = value!;
    for (const [key, it] of Object.entries({ text, image, instruction }))
      if (it !== undefined && it !== null && typeof it !== "string") refuse(`${key} is no text`);
    if (typeof right !== "string") refuse("right is the id of the item that is asked for");
    queries.push({
      query: {
        text: (text as string | null) ?? undefined,
        image: typeof image === "string" ? resolve(dirname(file), image) : undefined,
        instruction: (instruction as string | null) ?? undefined,
      },
      right: right as string,
    });
  }
  if (queries.length < MIN_QUERIES)
    throw new DatasetError(`${file}: ${queries.length} queries, at least ${MIN_QUERIES} are needed to learn from`);
  const there = await collection.get(queries.map(({ right }) => right));
  const absent = there.findIndex((item) => item === undefined);
  if (absent >= 0)
    throw new DatasetError(
      `${file}: collection ${collection.name} has no item ${JSON.stringify(queries[absent]!.right)}`,
    );
  return queries;
}

/** Asks each query directly and after reasoning. */
export async function askKnown(
  searcher: Searcher,
  queries: readonly LabelledQuery[],
  { signal, onProgress }: { signal?: AbortSignal; onProgress?: (done: number) => void } = {},
): Promise<KnownQuery[]> {
  const known: KnownQuery[] = [];
  for (const { query, right } of queries) {
    const found = await searcher.search({ ...query, mode: "reason", limit: HITS }, { signal, compare: true });
    const judged = (hits: readonly SearchHit[]): ScoredHit[] =>
      hits.map(({ item, cosine }) => ({ cosine: cosine ?? 0, right: item.id === right }));
    known.push({
      direct: judged(found.directHits ?? []),
      reason: judged(found.hits),
      rationaleTokens: found.rationaleTokens,
    });
    onProgress?.(known.length);
  }
  return known;
}
