/**
 * What reasoning, its budget and the weights' precision are each worth: one model's variants on the same data. Drift of
 * quantised weights is split in two (method.md 6.12): rationales that they write, read in full precision, and rationales
 * of full precision, read by them.
 */
import type { EvalQuery, EvalTask } from "../dataset/eval-task.ts";
import { dot } from "../dot.ts";
import type { WeightFormat } from "../embed/types.ts";
import type { QueryOutcome, Reasoning } from "./evaluate.ts";
import type { KnownRationales } from "./known-rationales.ts";
import { meansOf, type Means } from "./means.ts";
import { queryMetrics } from "./metrics.ts";
import { openTask, type LoadedModel, type TaskSource } from "./open-task.ts";
import type { BenchmarkDataset } from "./types.ts";

/** One dataset under one variant. */
interface VariantDataset extends BenchmarkDataset {
  /** Mean of the main metric. */
  readonly value: number;
  readonly rationaleTokens: number;
  readonly overrunShare: number;
  /** Mean cosine of its queries' embeddings to those of the variant it is compared with; 1 for that one itself. */
  readonly cosine?: number | undefined;
  /** Share of queries whose rationale is the same text. */
  readonly sameRationales?: number | undefined;
}

/** A variant's figures. */
export interface VariantFigures {
  /** `budget 16`, `known rationales`, `int4 writes, fp32 reads` ... */
  readonly name: string;
  /** Tokens that rationales might have, where that is what the variant is about. */
  readonly budget?: number | undefined;
  readonly datasets: readonly VariantDataset[];
  readonly means: Means;
}

/** Means of a variant's other figures, each dataset counting once; `undefined` where it is compared with nothing. */
export interface OtherMeans {
  readonly rationaleTokens: number;
  readonly overrunShare: number;
  readonly cosine: number | undefined;
  readonly sameRationales: number | undefined;
}

/** What is to be done. */
export interface AblationPlan extends TaskSource {
  readonly datasets: readonly BenchmarkDataset[];
  /** Tokens of a rationale; 0 embeds directly. */
  readonly budgets: readonly number[];
  /** How rationales of so many tokens are written. */
  readonly reasoning: (maxNewTokens: number) => Reasoning;
  readonly known?: KnownRationales | undefined;
  /** Formats that are compared with fp32 at the last budget. */
  readonly formats: readonly Exclude<WeightFormat, "fp32">[];
  /** Has the model in a format do something, and frees it. */
  readonly withModel: <T>(format: WeightFormat, work: (model: LoadedModel) => Promise<T>) => Promise<T>;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((what: string, done: number, total: number) => void) | undefined;
}

/** Rationales of a dataset's queries by their places. */
type Written = ReadonlyMap<string, string>;

/** One dataset under one variant; embeddings of its queries are kept only where others are compared with them. */
interface Ran {
  readonly figures: VariantDataset;
  readonly rationales: Written;
  readonly vectors?: readonly Float32Array[] | undefined;
}

/** A variant by dataset. */
type AllRan = ReadonlyMap<string, Ran>;

/** What a variant is compared with, or that others are compared with it. */
type Against = AllRan | "is the reference" | undefined;

/**
 * Runs all variants. Embeddings are kept, so that a run that was stopped goes on.
 * @throws {DatasetError} rows, pictures or rationales that cannot be read
 */
export async function ablate(plan: AblationPlan): Promise<VariantFigures[]> {
  const { budgets, formats, known } = plan;
  const last = plan.reasoning(budgets.at(-1)!);
  const variants: { name: string; ran: AllRan; budget?: number | undefined }[] = [];
  // First what each quantised format writes, for full precision to read.
  const own = new Map<string, AllRan>();
  for (const format of formats)
    own.set(format, await plan.withModel(format, (model) => onAll(plan, model, `${format} writes`, async () => last)));
  const { written, reference } = await plan.withModel("fp32", async (model) => {
    const run = async (
      name: string,
      reasoning: ReasoningOf,
      { against, budget }: { against?: Against; budget?: number } = {},
    ): Promise<AllRan> => {
      const ran = await onAll(plan, model, name, reasoning, against);
      variants.push({ name, ran, budget });
      return ran;
    };
    let mine: AllRan = new Map();
    for (const budget of budgets) {
      const reasoning = plan.reasoning(budget);
      mine = await run(budget === 0 ? "direct" : `budget ${budget}`, async () => reasoning, { budget });
    }
    if (known !== undefined) await run("known rationales", known);
    if (formats.length === 0) return { written: mine, reference: mine };
    const against = await run("fp32 writes, fp32 reads", reading(mine), { against: "is the reference" });
    for (const format of formats) await run(`${format} writes, fp32 reads`, reading(own.get(format)!), { against });
    return { written: mine, reference: against };
  });
  for (const format of formats)
    await plan.withModel(format, async (model) => {
      for (const [name, from] of [
        [`fp32 writes, ${format} reads`, written],
        [`${format} writes, ${format} reads`, own.get(format)!],
      ] as const)
        variants.push({ name, ran: await onAll(plan, model, name, reading(from), reference) });
    });
  return variants.map(({ name, ran, budget }) => {
    const datasets = plan.datasets.map((dataset) => ran.get(dataset.name)!.figures);
    return { name, ...(budget !== undefined && { budget }), datasets, means: meansOf(datasets, ({ value }) => value) };
  });
}

/** Means of tokens, cut rationales, and what tells how far a variant is from the reference. */
export function otherMeans({ datasets }: VariantFigures): OtherMeans {
  const mean = (figure: (dataset: VariantDataset) => number | undefined): number | undefined => {
    const known = datasets.map(figure).filter((value) => value !== undefined);
    return known.length === 0 ? undefined : known.reduce((sum, value) => sum + value, 0) / known.length;
  };
  return {
    rationaleTokens: mean(({ rationaleTokens }) => rationaleTokens)!,
    overrunShare: mean(({ overrunShare }) => overrunShare)!,
    cosine: mean(({ cosine }) => cosine),
    sameRationales: mean(({ sameRationales }) => sameRationales),
  };
}

/** How the queries of a dataset reason. */
type ReasoningOf = (dataset: string) => Promise<Reasoning>;

/** Reads rationales that a variant wrote. */
function reading(ran: AllRan): ReasoningOf {
  return async (dataset) => {
    const { rationales } = ran.get(dataset)!;
    return ({ place }: EvalQuery): string => rationales.get(place)!;
  };
}

async function onAll(
  plan: AblationPlan,
  model: LoadedModel,
  name: string,
  reasoningOf: ReasoningOf,
  against?: Against,
): Promise<AllRan> {
  const ran = new Map<string, Ran>();
  for (const dataset of plan.datasets) {
    const { figures, rationales, vectors } = await onOne(plan, model, name, dataset, await reasoningOf(dataset.name));
    const other = against === "is the reference" ? { rationales, vectors } : against?.get(dataset.name);
    ran.set(dataset.name, {
      figures: other === undefined ? figures : { ...figures, ...compared(rationales, vectors, other) },
      rationales,
      ...(against === "is the reference" && { vectors }),
    });
  }
  return ran;
}

async function onOne(
  plan: AblationPlan,
  model: LoadedModel,
  name: string,
  dataset: BenchmarkDataset,
  reasoning: Reasoning,
): Promise<Ran & { readonly vectors: readonly Float32Array[] }> {
  const { signal, onProgress } = plan;
  const { task, evaluator } = await openTask(plan, model, dataset, signal);
  const outcomes = await evaluator.evaluate(reasoning, {
    signal,
    onProgress: (done, total) => onProgress?.(`${name}: ${dataset.name}`, done, total),
  });
  return {
    figures: figuresOf(dataset, task, outcomes),
    rationales: new Map(task.queries.map(({ place }, i) => [place, outcomes[i]!.rationale])),
    vectors: await evaluator.queryVectors(reasoning),
  };
}

function figuresOf(dataset: BenchmarkDataset, task: EvalTask, outcomes: readonly QueryOutcome[]): VariantDataset {
  const mean = (of: (outcome: QueryOutcome, at: number) => number): number =>
    outcomes.reduce((sum, outcome, at) => sum + of(outcome, at), 0) / outcomes.length;
  return {
    ...dataset,
    value: mean(({ ranked }, at) => queryMetrics(ranked, task.queries[at]!.relevance)[dataset.metric]!),
    rationaleTokens: mean(({ rationaleTokens }) => rationaleTokens),
    overrunShare: mean(({ finish }) => (finish === "budget" ? 1 : 0)),
  };
}

function compared(
  rationales: Written,
  vectors: readonly Float32Array[],
  against: Pick<Ran, "rationales" | "vectors">,
): Pick<VariantDataset, "cosine" | "sameRationales"> {
  const cosines = vectors.map((vector, i) => dot(vector, against.vectors![i]!));
  const same = [...rationales].filter(([place, rationale]) => against.rationales.get(place) === rationale);
  return {
    cosine: cosines.reduce((sum, cosine) => sum + cosine, 0) / cosines.length,
    sameRationales: same.length / rationales.size,
  };
}
