/** Groups of a benchmark's datasets, and means over them in which each dataset counts once. */
import type { Modality } from "./types.ts";

/** A dataset's place in a benchmark. */
export interface Placed {
  readonly metaTask: string;
  readonly ood: boolean;
  /** @default "image" */
  readonly modality?: Modality | undefined;
}

/** What is made of each group; a group without datasets is left out. */
export interface Grouped<Figure> {
  readonly overall: Figure;
  /** Of image datasets only: training data have nothing else. */
  readonly ind?: Figure;
  readonly ood?: Figure;
  readonly metaTasks: Readonly<Record<string, Figure>>;
}

/** Means of a figure. */
export type Means = Grouped<number>;

/** Makes something of all datasets, of those in and out of distribution, and of each meta-task. */
export function grouped<T extends Placed, Figure>(
  datasets: readonly T[],
  of: (group: readonly T[]) => Figure,
): Grouped<Figure> {
  if (datasets.length === 0) throw new Error("internal: means over no datasets");
  const images = datasets.filter(({ modality = "image" }) => modality === "image");
  const [ind, ood] = [images.filter((it) => !it.ood), images.filter((it) => it.ood)];
  const metaTasks = [...Map.groupBy(datasets, ({ metaTask }) => metaTask)];
  return {
    overall: of(datasets),
    ...(ind.length > 0 && { ind: of(ind) }),
    ...(ood.length > 0 && { ood: of(ood) }),
    metaTasks: Object.fromEntries(metaTasks.map(([name, group]) => [name, of(group)])),
  };
}

/** MMEB's macro means: not over queries, and overall not over meta-tasks. */
export function meansOf<T extends Placed>(datasets: readonly T[], figure: (dataset: T) => number): Means {
  return grouped(datasets, (group) => group.reduce((sum, it) => sum + figure(it), 0) / group.length);
}

/** Groups in the order in which tables have them, with their names. */
export function namedGroups<Figure>({ overall, ind, ood, metaTasks }: Grouped<Figure>): [name: string, Figure][] {
  return [
    ...Object.entries(metaTasks),
    ...Object.entries({ IND: ind, OOD: ood }).flatMap(([name, figure]): [string, Figure][] =>
      figure === undefined ? [] : [[name, figure]],
    ),
    ["overall", overall],
  ];
}
