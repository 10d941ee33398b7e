/** The Scenes benchmark: a folder that `rge scenes` wrote, against a model, at several budgets of reasoning. */
import { join } from "node:path";
import { readEvalTask } from "../dataset/eval-rows.ts";
import type { EvalQuery, EvalSide } from "../dataset/eval-task.ts";
import { saysTheSame } from "../scenes/content.ts";
import { TaskEvaluator, type EvalPlan, type QueryOutcome, type Reasoning } from "./evaluate.ts";
import { chosenDatasets } from "./benchmark.ts";
import { meansOf, type Means } from "./means.ts";
import { readScenes, type ScenesDataset } from "./scenes-folder.ts";
import { VectorCache } from "./vector-cache.ts";

/** How queries reason: a budget of tokens, 0 for none, or the oracle's rationales. */
export type Budget = number | "oracle";

/** A dataset's figures at one budget. */
interface DatasetFigures extends ScenesDataset {
  readonly queries: number;
  /** Share of queries whose right candidate comes first. */
  readonly p1: number;
  /** Share of rationales that say what the oracle's says; without rationales 0. */
  readonly contentShare: number;
  /** P@1 among queries with such rationales, and among the others; `null` where there are none. */
  readonly p1WhereSame: number | null;
  readonly p1WhereOther: number | null;
  /** Tokens per rationale. */
  readonly rationaleTokens: number;
  /** Share of rationales that the budget cut off. */
  readonly cutShare: number;
}

/** One query with what came of it. */
export interface ScenesQuery {
  readonly dataset: string;
  readonly query: EvalQuery;
  readonly right: EvalSide;
  readonly predicted: EvalSide;
  readonly outcome: QueryOutcome;
}

/** Figures at one budget. */
export interface BudgetFigures {
  readonly budget: Budget;
  readonly datasets: readonly DatasetFigures[];
  readonly means: Means;
}

/** What is to be measured. */
export interface ScenesEvaluation {
  readonly folder: string;
  readonly budgets: readonly Budget[];
  /** @default all */
  readonly datasets?: readonly string[] | undefined;
  /** Queries of each dataset, from the first. @default all */
  readonly limit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told about each item; `total` is of the dataset and the budget under way, which `what` names. */
  readonly onProgress?: ((what: string, done: number, total: number) => void) | undefined;
  /** Told each query at the last budget. */
  readonly onQuery?: ((query: ScenesQuery) => void) | undefined;
}

/**
 * Evaluates dataset by dataset; candidates are embedded once for all budgets.
 * @throws {DatasetError} a folder that cannot be read
 * @throws {UsageError} a dataset that is not there
 */
export async function evaluateScenes(plan: EvalPlan, wanted: ScenesEvaluation): Promise<BudgetFigures[]> {
  const { folder, budgets, limit, signal } = wanted;
  const datasets = chosenDatasets({ datasets: readScenes(folder).datasets, missing: [] }, wanted.datasets);
  const figures = budgets.map((budget) => ({ budget, datasets: [] as DatasetFigures[] }));
  for (const dataset of datasets) {
    const task = await readEvalTask(join(folder, "eval", dataset.name), { imageRoots: [folder], limit, signal });
    const evaluator = new TaskEvaluator(task, {}, plan, VectorCache.inMemory());
    for (const [i, { budget, datasets: list }] of figures.entries()) {
      const outcomes = await evaluator.evaluate(reasoningOf(budget), {
        signal,
        onProgress: (done, total) => wanted.onProgress?.(`${dataset.name}, ${nameOf(budget)}`, done, total),
      });
      list.push(figuresOf(dataset, task.queries, outcomes));
      if (i < figures.length - 1) continue;
      for (const [at, query] of task.queries.entries()) {
        const outcome = outcomes[at]!;
        const target = (place: number): EvalSide => evaluator.target(evaluator.candidate(at, place));
        wanted.onQuery?.({
          dataset: dataset.name,
          query,
          right: target(0),
          predicted: target(outcome.ranked[0]!),
          outcome,
        });
      }
    }
  }
  return figures.map((it) => ({ ...it, means: meansOf(it.datasets, ({ p1 }) => p1) }));
}

function nameOf(budget: Budget): string {
  return budget === "oracle" ? budget : `${budget} tokens`;
}

/** Where a budget runs out, `<emb>` is put after what was written, so that the state read is one that training knows. */
function reasoningOf(budget: Budget): Reasoning {
  if (budget === "oracle") return "oracle";
  return budget === 0 ? "direct" : { maxNewTokens: budget, onBudget: "force-emb" };
}

function figuresOf(
  dataset: ScenesDataset,
  queries: readonly EvalQuery[],
  outcomes: readonly QueryOutcome[],
): DatasetFigures {
  const isSame = outcomes.map(
    ({ rationale }, i) => rationale !== "" && saysTheSame(rationale, queries[i]!.rationale ?? ""),
  );
  const p1Where = (same: boolean): number | null => {
    const some = outcomes.filter((_, i) => isSame[i] === same);
    return some.length === 0 ? null : share(some, isHit);
  };
  return {
    ...dataset,
    queries: outcomes.length,
    p1: share(outcomes, isHit),
    contentShare: isSame.filter(Boolean).length / outcomes.length,
    p1WhereSame: p1Where(true),
    p1WhereOther: p1Where(false),
    rationaleTokens: outcomes.reduce((sum, { rationaleTokens }) => sum + rationaleTokens, 0) / outcomes.length,
    cutShare: share(outcomes, ({ finish }) => finish === "budget"),
  };
}

function share(outcomes: readonly QueryOutcome[], is: (outcome: QueryOutcome) => boolean): number {
  return outcomes.filter(is).length / outcomes.length;
}

function isHit({ ranked }: QueryOutcome): boolean {
  return ranked[0] === 0;
}
