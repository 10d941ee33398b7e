/** Evaluates a benchmark dataset by dataset, and writes what came of each query. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { EvalQuery, EvalTask } from "../dataset/eval-task.ts";
import { writeWhole } from "../whole-file.ts";
import type { EvaluateOptions } from "./embed-items.ts";
import type { QueryOutcome, Reasoning, TaskEvaluator } from "./evaluate.ts";
import { meanMetrics, queryMetrics } from "./metrics.ts";
import { openTask, type LoadedModel, type TaskSource } from "./open-task.ts";
import { QUERIES_FOLDER } from "./query-records.ts";
import { lengthsOf } from "./rationale-lengths.ts";
import { bootstrapMean } from "./statistics.ts";
import type { BenchmarkDataset, DatasetResult, QueryRecord, RankedCandidate } from "./types.ts";

/** What is evaluated, how, and where results go. */
export interface BenchmarkRun extends TaskSource, LoadedModel {
  readonly reasoning: Reasoning;
  /** Folder of `queries/`. */
  readonly outFolder: string;
}

/** A dataset's figures, and the main metric of each of its queries. */
export interface EvaluatedDataset {
  readonly result: DatasetResult;
  readonly values: readonly number[];
}

/** Candidates whose scores are all written; with MMEB's thousand, they would be most of the file. */
const MOST_SCORES = 100;

/**
 * Embeds a dataset's part of this process without scoring it.
 * @throws {DatasetError} rows or pictures that cannot be read
 */
export async function embedDataset(
  run: BenchmarkRun,
  dataset: BenchmarkDataset,
  progress: EvaluateOptions,
): Promise<void> {
  const { evaluator } = await openTask(run, run, dataset, progress.signal);
  tellRules(run, dataset, evaluator.rewrittenTexts());
  await evaluator.embed(run.reasoning, progress);
}

/**
 * Evaluates a dataset and writes `queries/<dataset>.jsonl`.
 * @throws {DatasetError} rows or pictures that cannot be read, or a folder that cannot be written
 */
export async function evaluateDataset(
  run: BenchmarkRun,
  dataset: BenchmarkDataset,
  progress: EvaluateOptions,
): Promise<EvaluatedDataset> {
  const { task, evaluator } = await openTask(run, run, dataset, progress.signal);
  const rewritten = evaluator.rewrittenTexts();
  tellRules(run, dataset, rewritten);
  const outcomes = await evaluator.evaluate(run.reasoning, progress);
  const metrics = outcomes.map(({ ranked }, i) => queryMetrics(ranked, task.queries[i]!.relevance));
  const values = metrics.map((of) => of[dataset.metric]!);
  await writeQueries(run.outFolder, dataset, task, evaluator, outcomes, values);
  const kept = await evaluator.kept(run.reasoning);
  const sum = (of: (item: (typeof kept)[number]) => number): number => kept.reduce((total, it) => total + of(it), 0);
  return {
    values,
    result: {
      ...dataset,
      queries: task.queries.length,
      targets: task.targets.length,
      metrics: meanMetrics(metrics),
      interval: bootstrapMean([values]),
      rationales: lengthsOf(outcomes),
      promptTokens: sum(({ promptTokens }) => promptTokens),
      rationaleTokens: sum(({ rationaleTokens }) => rationaleTokens),
      dataHash: task.hash,
      rewritten,
    },
  };
}

/** A rule that misses its text gives other numbers and no error. */
function tellRules(
  { queryRules, targetRules, onNotice }: BenchmarkRun,
  { name }: BenchmarkDataset,
  { queries, targets }: DatasetResult["rewritten"],
): void {
  for (const [side, set, [changed]] of [
    ["queries", queryRules, queries],
    ["targets", targetRules, targets],
  ] as const) {
    if (set.rules.size === 0) continue;
    if (!set.rules.has(name)) onNotice?.(`${name}: ${set.name} has no rule for its ${side}`);
    else if (changed === 0) onNotice?.(`${name}: the rule of ${set.name} for its ${side} changes no text`);
  }
}

async function writeQueries(
  folder: string,
  { name }: BenchmarkDataset,
  task: EvalTask,
  evaluator: TaskEvaluator,
  outcomes: readonly QueryOutcome[],
  values: readonly number[],
): Promise<void> {
  const lines = task.queries.map(
    (query, i) => `${JSON.stringify(recordOf(query, i, evaluator, outcomes[i]!, values[i]!))}\n`,
  );
  await mkdir(join(folder, QUERIES_FOLDER), { recursive: true });
  await writeRunFile(join(folder, QUERIES_FOLDER, `${name}.jsonl`), lines.join(""));
}

/**
 * Writes a file of a run whole or not at all. What a kill leaves has always the same name, so that the run that goes on
 * takes it away.
 */
export async function writeRunFile(path: string, text: string): Promise<void> {
  await writeWhole(path, text, { part: `${path}.part` });
}

function recordOf(
  { place, relevance }: EvalQuery,
  index: number,
  evaluator: TaskEvaluator,
  { scores, ranked, query, rationale, rationaleTokens, finish }: QueryOutcome,
  value: number,
): QueryRecord {
  const candidateAt = (at: number): RankedCandidate => ({
    ...evaluator.target(evaluator.candidate(index, at)),
    index: at,
    score: scores[at]!,
    grade: relevance.get(at) ?? 0,
  });
  const isBefore = (a: number, b: number): boolean => scores[a]! > scores[b]! || (scores[a] === scores[b] && a < b);
  let right: number | undefined;
  for (const at of relevance.keys()) if (right === undefined || isBefore(at, right)) right = at;
  if (right === undefined) throw new Error("internal: a query without a right candidate");
  let rank = 1;
  for (let at = 0; at < scores.length; at++) if (isBefore(at, right)) rank++;
  return {
    place,
    query,
    rationale,
    rationaleTokens,
    finish,
    value,
    rank,
    right: candidateAt(right),
    top: ranked.map(candidateAt),
    ...(scores.length <= MOST_SCORES && { scores: [...scores] }),
  };
}
