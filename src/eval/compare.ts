/** Two runs on the same queries: by how much the second is better, and whether chance could do it. */
import { DatasetError } from "../errors.ts";
import { grouped, namedGroups } from "./means.ts";
import { readQueryRecords } from "./query-records.ts";
import { readResults } from "./results.ts";
import { exactMcNemar, pairedDifference, type PairedDifference } from "./statistics.ts";
import type { BenchmarkDataset, EvalResults } from "./types.ts";

/** What a second run has over a first, on one dataset or as a mean over several. */
export interface ComparedFigures extends PairedDifference {
  readonly name: string;
  readonly a: number;
  readonly b: number;
}

/** One dataset. */
interface ComparedDataset extends ComparedFigures {
  readonly queries: number;
  /** Queries on which the second run is better, and worse. */
  readonly gained: number;
  readonly lost: number;
  /** Whether `p` is below 0.05 when all datasets are held to account together (Holm 1979). */
  readonly significant: boolean;
}

/** The comparison of two runs. */
export interface Comparison {
  readonly a: EvalResults["provenance"];
  readonly b: EvalResults["provenance"];
  readonly datasets: readonly ComparedDataset[];
  /** Datasets that only one of them has. */
  readonly leftOut: readonly string[];
  /** Macro means over the datasets that both have: meta-tasks, IND, OOD, overall. */
  readonly means: readonly ComparedFigures[];
}

/** Chance of calling a difference real where there is none. */
const ALPHA = 0.05;

/**
 * Compares the runs in two folders over the datasets that both have. Of single datasets, `p` is McNemar's exact test
 * where a query is right or wrong, and a sign-flip test otherwise; of means, the latter, dataset by dataset.
 * @throws {DatasetError} folders without results, no dataset in common, or other queries in one than in the other
 */
export async function compareRuns(folderA: string, folderB: string): Promise<Comparison> {
  const [a, b] = [readResults(folderA), readResults(folderB)];
  const shared = a.datasets.filter(({ name }) => b.datasets.some((it) => it.name === name));
  const known = new Set(shared.map(({ name }) => name));
  const leftOut = [...a.datasets, ...b.datasets].map(({ name }) => name).filter((name) => !known.has(name));
  if (shared.length === 0) throw new DatasetError(`${folderA} and ${folderB} have no dataset in common`);
  const pairs: Pair[] = [];
  for (const dataset of shared) {
    const [before, after] = [await valuesOf(folderA, dataset), await valuesOf(folderB, dataset)];
    const differs = before.findIndex(({ place }, i) => place !== after[i]?.place);
    if (differs >= 0 || before.length !== after.length)
      throw new DatasetError(
        `${dataset.name}: ${folderA} has ${before.length} queries and ${folderB} ${after.length}, and they are not the same. Evaluate both on the same data with the same --limit.`,
      );
    pairs.push({ dataset, a: before.map(({ value }) => value), b: after.map(({ value }) => value) });
  }
  const datasets = pairs.map(({ dataset, a: before, b: after }) => {
    const gained = before.filter((value, i) => after[i]! > value).length;
    const lost = before.filter((value, i) => after[i]! < value).length;
    const figures = figuresOf(dataset.name, [{ dataset, a: before, b: after }]);
    const p = dataset.metric === "hit@1" ? exactMcNemar(gained, lost) : figures.p;
    return { ...figures, p, queries: before.length, gained, lost };
  });
  const placed = pairs.map((pair) => ({ ...pair.dataset, ...pair }));
  const real = holm(datasets.map(({ p }) => p));
  return {
    a: a.provenance,
    b: b.provenance,
    datasets: datasets.map((dataset, i) => ({ ...dataset, significant: real[i]! })),
    leftOut,
    means: namedGroups(grouped(placed, (group) => group)).map(([name, group]) => figuresOf(name, group)),
  };
}

interface Pair {
  readonly dataset: BenchmarkDataset;
  readonly a: readonly number[];
  readonly b: readonly number[];
}

async function valuesOf(
  folder: string,
  { name }: BenchmarkDataset,
): Promise<{ readonly place: string; readonly value: number }[]> {
  const values: { place: string; value: number }[] = [];
  for await (const { place, query, value } of readQueryRecords(folder, name))
    values.push({ place: JSON.stringify([place, query.images.length]), value });
  return values;
}

function figuresOf(name: string, pairs: readonly Pair[]): ComparedFigures {
  const [a, b] = [pairs.map((pair) => pair.a), pairs.map((pair) => pair.b)];
  return { name, a: mean(a.map(mean)), b: mean(b.map(mean)), ...pairedDifference(a, b) };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Which of several tests hold at `ALPHA` together: the smallest p against ALPHA / n, the next against ALPHA / (n - 1) ... */
function holm(chances: readonly number[]): boolean[] {
  const holds = chances.map(() => false);
  const order = [...chances.keys()].sort((i, j) => chances[i]! - chances[j]!);
  for (const [rank, i] of order.entries()) {
    if (chances[i]! > ALPHA / (chances.length - rank)) break;
    holds[i] = true;
  }
  return holds;
}
