/** Means over datasets, each counting once: over all, by meta-task, in and out of distribution. */

/** A dataset's place in a benchmark. */
export interface Placed {
  readonly metaTask: string;
  readonly ood: boolean;
}

/** Means of a figure; a group without datasets is left out. */
export interface Means {
  readonly overall: number;
  readonly ind?: number;
  readonly ood?: number;
  readonly metaTasks: Readonly<Record<string, number>>;
}

/** MMEB's macro means: not over queries, and overall not over meta-tasks. */
export function meansOf<T extends Placed>(datasets: readonly T[], figure: (dataset: T) => number): Means {
  if (datasets.length === 0) throw new Error("internal: means over no datasets");
  const mean = (group: readonly T[]): number => group.reduce((sum, it) => sum + figure(it), 0) / group.length;
  const [ind, ood] = [datasets.filter((it) => !it.ood), datasets.filter((it) => it.ood)];
  const names = [...new Set(datasets.map(({ metaTask }) => metaTask))];
  return {
    overall: mean(datasets),
    ...(ind.length > 0 && { ind: mean(ind) }),
    ...(ood.length > 0 && { ood: mean(ood) }),
    metaTasks: Object.fromEntries(names.map((name) => [name, mean(datasets.filter((it) => it.metaTask === name))])),
  };
}
