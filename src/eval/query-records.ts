/** Reads back what a run wrote of each query. */
import { join } from "node:path";
import { z } from "zod";
import { readJsonLines } from "./json-lines.ts";
import type { QueryRecord } from "./types.ts";

/** Folder of the queries' records, a file per dataset. */
export const QUERIES_FOLDER = "queries";

const side = { text: z.string(), images: z.array(z.string()) };
const candidate = z.looseObject({ ...side, index: z.int(), score: z.number(), grade: z.number() });
const record = z.looseObject({
  place: z.string(),
  query: z.looseObject(side),
  rationale: z.string(),
  rationaleTokens: z.int().min(0),
  finish: z.enum(["emb", "budget", "direct"]),
  value: z.number(),
  rank: z.int().min(1),
  right: candidate,
  top: z.array(candidate).min(1),
});

/**
 * The records of a dataset, in the order of its queries.
 * @throws {DatasetError} no such file, or a line that is none of ours; it is named
 */
export async function* readQueryRecords(folder: string, dataset: string): AsyncGenerator<QueryRecord, void, void> {
  const file = join(folder, QUERIES_FOLDER, `${dataset}.jsonl`);
  for await (const value of readJsonLines(file, record)) yield value;
}
