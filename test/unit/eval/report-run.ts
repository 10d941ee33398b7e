/** Made-up runs for the report: results with the queries' records beside them. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DatasetResult, EvalResults, MeanResult, Provenance, QueryRecord } from "../../../src/eval/types.ts";
import { datasetResult, evalResults } from "./eval-results.ts";

/** What a made-up query differs in. */
export interface MadeQuery {
  readonly text?: string;
  readonly images?: readonly string[];
  readonly rationale?: string;
  readonly rationaleTokens?: number;
  readonly finish?: QueryRecord["finish"];
  /** Rank of the right candidate. */
  readonly rank?: number;
  /** Of the right candidate. */
  readonly rightText?: string;
  readonly rightImages?: readonly string[];
}

/** A made-up dataset: its queries, and what its result differs in. */
export interface MadeDataset extends Partial<Omit<DatasetResult, "queries">> {
  readonly name: string;
  readonly queries: readonly MadeQuery[];
}

/** What comes before and after the datasets. */
export interface MadeRun {
  readonly benchmark?: EvalResults["benchmark"];
  readonly provenance?: Partial<Provenance>;
  readonly settings?: Partial<EvalResults["settings"]>;
  readonly means?: Partial<EvalResults["means"]>;
}

/** A mean over some datasets, with an interval of a point on either side. */
export function meanOf(value: number, datasets: number): MeanResult {
  return { value, low: value - 0.01, high: value + 0.01, datasets };
}

/** `count` queries, of which the first `right` are right. */
export function queries(count: number, right: number, more: MadeQuery = {}): MadeQuery[] {
  return Array.from({ length: count }, (_, i) => ({ rank: i < right ? 1 : 3, ...more }));
}

/** Writes the records of a run, and gives its results. */
export function makeRun(folder: string, datasets: readonly MadeDataset[], run: MadeRun = {}): EvalResults {
  mkdirSync(join(folder, "queries"), { recursive: true });
  const results = datasets.map(({ queries: own, ...result }): DatasetResult => {
    const lines = own.map((query, i) => `${JSON.stringify(recordOf(query, i))}\n`);
    writeFileSync(join(folder, "queries", `${result.name}.jsonl`), lines.join(""));
    const plain = datasetResult(result.name, result.modality ?? "image", own.length);
    const right = own.filter(({ rank = 1 }) => rank === 1).length;
    return { ...plain, ...result, metrics: { ...plain.metrics, ...result.metrics, "hit@1": right / own.length } };
  });
  const plain = evalResults(results, run.provenance);
  return {
    ...plain,
    benchmark: run.benchmark ?? "mmeb",
    settings: { ...plain.settings, maxNewTokens: 128, ...run.settings },
    means: { ...plain.means, ...run.means },
  };
}

/** Of the candidate at a rank. */
function score(rank: number): number {
  return 0.9 - rank / 20;
}

/** Of ten candidates the first by index is right; one that is not among the ten best stands apart. */
function recordOf(query: MadeQuery, row: number): QueryRecord {
  const { text = `question ${row}`, images = [], rationale = `reason ${row}`, rationaleTokens = 10 } = query;
  const { finish = "emb", rank = 1, rightText = `answer ${row}`, rightImages = [] } = query;
  const right = { text: rightText, images: rightImages, index: 0, score: score(rank), grade: 1 };
  const top = Array.from({ length: 10 }, (_, at) =>
    at + 1 === rank ? right : { text: `wrong ${at + 1}`, images: [], index: at + 1, score: score(at + 1), grade: 0 },
  );
  return {
    place: `test.parquet, row ${row}`,
    query: { text, images },
    rationale,
    rationaleTokens,
    finish,
    value: rank === 1 ? 1 : 0,
    rank,
    right,
    top,
  };
}
