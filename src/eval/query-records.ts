/** Reads back what a run wrote of each query. */
import { createReadStream, existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { DatasetError, messageOf } from "../errors.ts";
import { parseJson } from "../json.ts";
import { readLines } from "../lines.ts";
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
  if (!existsSync(file)) throw new DatasetError(`${file} is not there. Run the evaluation again.`);
  for await (const { number, bytes } of readLines(createReadStream(file))) {
    const where = `${file}, line ${number}`;
    if (bytes === undefined) throw new DatasetError(`${where}: too long`);
    let value: unknown;
    try {
      value = parseJson(bytes, { where });
    } catch (error) {
      throw new DatasetError(`${where}: not JSON (${messageOf(error)})`, { cause: error });
    }
    const parsed = record.safeParse(value);
    if (!parsed.success) throw new DatasetError(`${where}: ${z.prettifyError(parsed.error)}`);
    yield value as QueryRecord;
  }
}
