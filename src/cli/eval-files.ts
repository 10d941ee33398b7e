/** What a run leaves in its folder beside `results.json`: the report, and files for leaderboards. */
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { leaderboardOf, modelName } from "../eval/leaderboard.ts";
import { mtebFiles } from "../eval/mteb.ts";
import { evalReport } from "../eval/report.ts";
import { writeResults } from "../eval/results.ts";
import { writeWhole } from "../eval/run-benchmark.ts";
import type { EvalResults } from "../eval/types.ts";

/** Folder of embeddings within a run's folder. */
export const EMBEDDINGS_FOLDER = "embeddings";
/** Folders that leaderboards' files go to. */
const [SCORES, MTEB] = ["scores", "mteb"];

/** Writes all files but the queries' records, the results last: where they are, the rest is. */
export async function writeFiles(folder: string, results: EvalResults): Promise<void> {
  const files = mtebFiles(results).map(({ path, json }): [string, unknown] => [join(MTEB, path), json]);
  if (results.benchmark !== "scenes")
    files.push([join(SCORES, `${modelName(results.provenance.model).name}.json`), leaderboardOf(results)]);
  for (const [path, json] of files) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeWhole(join(folder, path), `${JSON.stringify(json, null, 2)}\n`);
  }
  await writeWhole(join(folder, "report.html"), await evalReport(folder, results));
  await writeResults(folder, results);
}
