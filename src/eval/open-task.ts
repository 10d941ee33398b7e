/** A dataset with a model, its rules and what is kept of it: ready to be evaluated. */
import { join } from "node:path";
import type { EvalTask } from "../dataset/eval-task.ts";
import type { Benchmark } from "./benchmark.ts";
import { TaskEvaluator, type EvalPlan } from "./evaluate.ts";
import type { RuleSet } from "./rules.ts";
import type { BenchmarkDataset } from "./types.ts";
import { VectorCache } from "./vector-cache.ts";

/** A model that is loaded. */
export interface LoadedModel {
  readonly plan: EvalPlan;
  /** Length of an embedding. */
  readonly hidden: number;
  /** Folder of its embeddings, one in it per dataset. */
  readonly cacheFolder: string;
}

/** What is evaluated, whatever the dataset. */
export interface TaskSource {
  readonly benchmark: Benchmark;
  readonly queryRules: RuleSet;
  readonly targetRules: RuleSet;
  /** Queries of each dataset, from the first. @default all */
  readonly limit?: number | undefined;
  readonly onNotice?: ((text: string) => void) | undefined;
}

/**
 * Reads a dataset, and what is kept of its embeddings.
 * @throws {DatasetError} rows that cannot be evaluated, or a folder of embeddings that cannot be used
 */
export async function openTask(
  { benchmark, queryRules, targetRules, limit, onNotice }: TaskSource,
  { plan, hidden, cacheFolder }: LoadedModel,
  dataset: BenchmarkDataset,
  signal: AbortSignal | undefined,
): Promise<{ task: EvalTask; evaluator: TaskEvaluator }> {
  const task = await benchmark.read(dataset, { limit, signal });
  const cache = await VectorCache.open(join(cacheFolder, dataset.name), hidden, (file, reason) =>
    onNotice?.(`${file}: cannot be used (${reason}); what it held is embedded again`),
  );
  const rules = { query: queryRules.rules.get(dataset.name), target: targetRules.rules.get(dataset.name) };
  return { task, evaluator: new TaskEvaluator(task, rules, plan, cache) };
}
