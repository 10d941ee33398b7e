/** The Scenes benchmark: a folder that `rge scenes` wrote, against a model, at several budgets of reasoning. */
import { join } from "node:path";
import { z } from "zod";
import { readEvalRows, type EvalRow } from "../dataset/eval-rows.ts";
import type { Embedder } from "../embed/embedder.ts";
import { DatasetError, UsageError } from "../errors.ts";
import { readJsonFile } from "../json.ts";
import { saysTheSame } from "../scenes/content.ts";
import { META_TASKS } from "../scenes/task.ts";
import { RowEvaluator, type QueryOutcome, type Reasoning } from "./evaluate.ts";
import { meansOf, type Means } from "./means.ts";

/** A dataset as `scenes.json` lists it. */
export interface ScenesDataset {
  readonly name: string;
  readonly metaTask: (typeof META_TASKS)[number];
  readonly ood: boolean;
  readonly hops: number;
}

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
  readonly row: EvalRow;
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
  /** Told about each item; `total` is of the dataset under way. */
  readonly onProgress?: ((dataset: string, done: number, total: number) => void) | undefined;
  /** Told each query at the last budget. */
  readonly onQuery?: ((query: ScenesQuery) => void) | undefined;
}

/** Longest description accepted, in bytes. */
const MAX_BYTES = 1 << 20;
const description = z.object({
  train: z.int(),
  eval: z.int(),
  seed: z.int(),
  datasets: z
    .array(
      z.object({
        name: z.string().regex(/^\w+$/),
        metaTask: z.enum(META_TASKS),
        ood: z.boolean(),
        hops: z.int(),
      }),
    )
    .min(1)
    .max(1000),
});

/**
 * Reads what a folder of Scenes holds.
 * @throws {DatasetError} no `scenes.json`, or a damaged one
 */
export function readScenes(folder: string): { seed: number; eval: number; datasets: ScenesDataset[] } {
  const file = join(folder, "scenes.json");
  const json = readJsonFile(file, { maxBytes: MAX_BYTES, missing: "undefined" });
  if (json === undefined) throw new DatasetError(`${file} is not there. \`rge scenes --out ${folder}\` writes one.`);
  const parsed = description.safeParse(json);
  if (!parsed.success) throw new DatasetError(`${file}: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

/**
 * Evaluates dataset by dataset; candidates are embedded once for all budgets.
 * @throws {DatasetError} a folder that cannot be read
 * @throws {UsageError} a dataset that is not there
 */
export async function evaluateScenes(embedder: Embedder, wanted: ScenesEvaluation): Promise<BudgetFigures[]> {
  const { folder, budgets, limit, signal } = wanted;
  const datasets = chosen(readScenes(folder).datasets, wanted.datasets);
  const figures = budgets.map((budget) => ({ budget, datasets: [] as DatasetFigures[] }));
  for (const dataset of datasets) {
    const rows = await readEvalRows(join(folder, "eval", dataset.name), { imageRoot: folder, limit, signal });
    const evaluator = new RowEvaluator(embedder, rows);
    let done = 0;
    // Queries are all different but where a text without a picture comes twice.
    const total = evaluator.targetCount + rows.length * budgets.length;
    const onItem = (): void => wanted.onProgress?.(dataset.name, ++done, total);
    for (const [i, { budget, datasets: list }] of figures.entries()) {
      const outcomes = await evaluator.evaluate(reasoningOf(budget), { signal, onItem });
      list.push(figuresOf(dataset, rows, outcomes));
      if (i < figures.length - 1) continue;
      rows.forEach((row, at) => wanted.onQuery?.({ dataset: dataset.name, row, outcome: outcomes[at]! }));
    }
  }
  return figures.map((it) => ({ ...it, means: meansOf(it.datasets, ({ p1 }) => p1) }));
}

/** Where a budget runs out, `<emb>` is put after what was written, so that the state read is one that training knows. */
function reasoningOf(budget: Budget): Reasoning {
  if (budget === "oracle") return "oracle";
  return budget === 0 ? "direct" : { maxNewTokens: budget, onBudget: "force-emb" };
}

function chosen(datasets: readonly ScenesDataset[], names: readonly string[] | undefined): readonly ScenesDataset[] {
  if (names === undefined) return datasets;
  return names.map((name) => {
    const found = datasets.find((it) => it.name === name);
    if (found !== undefined) return found;
    throw new UsageError(`there is no dataset ${name}; there are ${datasets.map((it) => it.name).join(", ")}`);
  });
}

function figuresOf(
  dataset: ScenesDataset,
  rows: readonly EvalRow[],
  outcomes: readonly QueryOutcome[],
): DatasetFigures {
  const isSame = outcomes.map(
    ({ rationale }, i) => rationale !== "" && saysTheSame(rationale, rows[i]!.rationale ?? ""),
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

function isHit({ prediction }: QueryOutcome): boolean {
  return prediction === 0;
}
