/** What a run leaves in its folder beside `results.json`: the report, and files for leaderboards. */
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { ModelInfo } from "../embed/types.ts";
import { leaderboardOf, modelName } from "../eval/leaderboard.ts";
import { mtebFiles } from "../eval/mteb.ts";
import { evalReport } from "../eval/report.ts";
import { writeResults } from "../eval/results.ts";
import { writeRunFile } from "../eval/run-benchmark.ts";
import type { EvalResults } from "../eval/types.ts";

/** Folders that leaderboards' files go to. */
const [SCORES, MTEB] = ["scores", "mteb"];

/** Folder of a checkpoint's embeddings within a run's folder: of its own, so that none reads what is of another length. */
export function embeddingsFolder(out: string, { hash }: Pick<ModelInfo, "hash">): string {
  return join(out, "embeddings", hash.slice(0, 16));
}

/** Writes all files but the queries' records, the results last: where they are, the rest is. */
export async function writeFiles(folder: string, results: EvalResults): Promise<void> {
  const files = mtebFiles(results).map(({ path, json }): [string, unknown] => [join(MTEB, path), json]);
  if (results.benchmark !== "scenes")
    files.push([join(SCORES, `${modelName(results.provenance.model).name}.json`), leaderboardOf(results)]);
  for (const [path, json] of files) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeRunFile(join(folder, path), `${JSON.stringify(json, null, 2)}\n`);
  }
  await writeRunFile(join(folder, "report.html"), await evalReport(folder, results));
  await writeResults(folder, results);
}
