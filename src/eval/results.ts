/** `results.json`: means, what they come from, and its way to disk and back. */
import { existsSync } from "node:fs";
import { mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { DatasetError } from "../errors.ts";
import { readJsonFile } from "../json.ts";
import { grouped } from "./means.ts";
import { QUERIES_FOLDER } from "./query-records.ts";
import { writeRunFile, type EvaluatedDataset } from "./run-benchmark.ts";
import { bootstrapMean } from "./statistics.ts";
import type { EvalResults, EvalSettings, MeanResult, MeanResults } from "./types.ts";

/** The name of the file. */
export const RESULTS_FILE = "results.json";
/** Files and folders beside it that belong to the same run. */
const OF_A_RUN = [RESULTS_FILE, QUERIES_FOLDER, "report.html", "scores", "mteb"];
/** Results of 78 datasets have 200 KB. */
const MAX_BYTES = 64 << 20;

/** Macro means of the main metrics, with their intervals. */
export function meanResults(evaluated: readonly EvaluatedDataset[]): MeanResults {
  const datasets = evaluated.map(({ result, values }) => ({ ...result, values }));
  const modalities = [...Map.groupBy(datasets, ({ modality }) => modality)];
  return {
    ...grouped(datasets, meanOf),
    modalities: Object.fromEntries(modalities.map(([name, group]) => [name, meanOf(group)])),
  };
}

function meanOf(group: readonly (EvaluatedDataset["result"] & Pick<EvaluatedDataset, "values">)[]): MeanResult {
  return {
    value: group.reduce((sum, { metrics, metric }) => sum + metrics[metric]!, 0) / group.length,
    ...bootstrapMean(group.map(({ values }) => values)),
    datasets: group.length,
  };
}

/** What tells two runs apart before the second one is done. */
export interface RunIdentity {
  readonly modelHash: string;
  readonly queryRules: { readonly hash: string };
  readonly targetRules: { readonly hash: string };
  readonly limit: number | null;
  readonly settings: EvalSettings;
  /** Names of its datasets, in their order. */
  readonly datasets: readonly string[];
}

/** Whether results are those of a run that is to be done, as far as that can be told. */
export function isOfRun({ provenance, settings, datasets }: EvalResults, run: RunIdentity): boolean {
  const own = { ...provenance, settings, datasets: datasets.map(({ name }) => name) };
  return identityText(own) === identityText(run);
}

function identityText({ modelHash, queryRules, targetRules, limit, settings, datasets }: RunIdentity): string {
  return JSON.stringify([modelHash, queryRules.hash, targetRules.hash, limit, settings, datasets]);
}

/** What reading results relies on; the rest is as it was written. */
const shape = z.looseObject({
  format: z.literal("rge-eval/1"),
  benchmark: z.enum(["mmeb", "mmeb-v2", "scenes"]),
  provenance: z.looseObject({ model: z.string(), modelHash: z.string(), time: z.string() }),
  settings: z.looseObject({}),
  datasets: z
    .array(
      z.looseObject({
        name: z.string().regex(/^[\w.-]+$/),
        metric: z.enum(["hit@1", "ndcg_linear@5"]),
        modality: z.enum(["image", "video", "visdoc"]),
        metaTask: z.string(),
        ood: z.boolean(),
        queries: z.int().min(1),
        metrics: z.record(z.string(), z.number()),
      }),
    )
    .min(1),
  means: z.looseObject({}),
});

/**
 * Reads the results in a folder.
 * @throws {DatasetError} none there, or damaged ones
 */
export function readResults(folder: string): EvalResults {
  const file = join(folder, RESULTS_FILE);
  const json = readJsonFile(file, { maxBytes: MAX_BYTES, missing: "undefined" });
  if (json === undefined)
    throw new DatasetError(`${file} is not there. Expected a folder that \`rge eval mmeb --out\` wrote.`);
  const parsed = shape.safeParse(json);
  if (!parsed.success) throw new DatasetError(`${file}: ${z.prettifyError(parsed.error)}`);
  return json as EvalResults;
}

/** Writes `results.json`. */
export async function writeResults(folder: string, results: EvalResults): Promise<void> {
  await writeRunFile(join(folder, RESULTS_FILE), `${JSON.stringify(results, null, 2)}\n`);
}

/**
 * Puts what an earlier run left in `folder` aside, into `earlier-1`, `earlier-2`, ...; embeddings stay.
 * @returns the folder it went to
 */
export async function putAside(folder: string): Promise<string> {
  let number = 1;
  while (existsSync(join(folder, `earlier-${number}`))) number++;
  const aside = join(folder, `earlier-${number}`);
  await mkdir(aside);
  for (const name of OF_A_RUN) if (existsSync(join(folder, name))) await rename(join(folder, name), join(aside, name));
  return aside;
}
