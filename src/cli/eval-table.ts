/** Figures of an evaluation as columns of a terminal. */
import { namedGroups } from "../eval/means.ts";
import type { EvalResults, Interval } from "../eval/types.ts";

/** Datasets with their main metric and its interval, then the means. */
export function resultsTable({ datasets, means }: EvalResults): string {
  const width = Math.max(22, ...datasets.map(({ name }) => name.length + 1));
  const head = `${"".padEnd(width)}            95%            tokens   cut`;
  const rows = datasets.map((dataset) => {
    const { name, ood, metric, metrics, interval, rationales } = dataset;
    return `${name.padEnd(width)}${ood ? "OOD" : "IND"}${percentCell(metrics[metric])}  ${between(interval)}  ${rationales.mean.toFixed(1).padStart(6)}${percentCell(rationales.overrunShare)}`;
  });
  const modalities = Object.entries(means.modalities);
  const groups = [...(modalities.length > 1 ? modalities : []), ...namedGroups(means)];
  const lines = groups.map(([name, mean]) => `${name.padEnd(width)}   ${percentCell(mean.value)}  ${between(mean)}`);
  return `${[head, ...rows, ...lines].join("\n")}\n`;
}

function between({ low, high }: Interval): string {
  return `${percentCell(low)} to ${percentCell(high)}`;
}

/** A share in a column of percents; blank where there is none. */
export function percentCell(share: number | undefined): string {
  return (share === undefined ? "" : (100 * share).toFixed(1)).padStart(6);
}
