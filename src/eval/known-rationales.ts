/** Rationales that are read instead of written: of another run, of a file, or the rows' own. */
import { statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { EvalQuery } from "../dataset/eval-task.ts";
import { DatasetError } from "../errors.ts";
import type { Reasoning } from "./evaluate.ts";
import { readJsonLines } from "./json-lines.ts";
import { QUERIES_FOLDER } from "./query-records.ts";

const line = z.looseObject({ dataset: z.string().optional(), place: z.string(), rationale: z.string() });

/** How the queries of a dataset reason with what is known. */
export type KnownRationales = (dataset: string) => Promise<Reasoning>;

/** Those of the rows themselves, as Scenes has them. */
const ORACLE = "oracle";

/**
 * Rationales by dataset and place of the query.
 * @param source `oracle`; a folder that `rge eval mmeb --out` wrote; or a JSONL file of
 *   `{"dataset": "ChartQA", "place": "test-00000-of-00001.parquet, row 1", "rationale": "..."}`
 * @throws {DatasetError} nothing there; later, a line that is none, or a query that has no rationale
 */
export function knownRationales(source: string): KnownRationales {
  if (source === ORACLE) return async () => ORACLE;
  const stats = statSync(source, { throwIfNoEntry: false });
  if (stats === undefined)
    throw new DatasetError(`${source}: no such file of rationales, nor a folder that \`rge eval mmeb --out\` wrote`);
  return async (dataset) => {
    const file = stats.isDirectory() ? join(source, QUERIES_FOLDER, `${dataset}.jsonl`) : source;
    const known = await readKnown(file, stats.isDirectory() ? undefined : dataset);
    return ({ place }: EvalQuery): string => {
      const rationale = known.get(place);
      if (rationale === undefined) throw new DatasetError(`${file}: no rationale for ${dataset}, ${place}`);
      return rationale;
    };
  };
}

async function readKnown(file: string, dataset: string | undefined): Promise<Map<string, string>> {
  const known = new Map<string, string>();
  for await (const { dataset: of, place, rationale } of readJsonLines(file, line, { skipsBlank: true }))
    if (dataset === undefined || of === dataset) known.set(place, rationale);
  return known;
}
