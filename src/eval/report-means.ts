/** The report's means, beside what others report. */
import { escapeHtml } from "../html.ts";
import { MMEB, MMEB_V2 } from "./mmeb.ts";
import { PUBLISHED_MMEB, PUBLISHED_MMEB_V2, type PublishedMmeb, type PublishedMmebV2 } from "./published.ts";
import { between, cell, listed, percent, table, tableRow, whole } from "./report-table.ts";
import type { BenchmarkDataset, EvalResults, MeanResult, MeanResults } from "./types.ts";

/** The datasets that a benchmark is made of; a folder of Scenes says itself what it is made of. */
const WHOLE: Readonly<Record<EvalResults["benchmark"], readonly BenchmarkDataset[] | undefined>> = {
  mmeb: MMEB,
  "mmeb-v2": MMEB_V2,
  scenes: undefined,
};

/** How benchmarks are called. */
export const BENCHMARK_NAMES: Readonly<Record<EvalResults["benchmark"], string>> = {
  mmeb: "MMEB",
  "mmeb-v2": "MMEB-V2",
  scenes: "Scenes",
};

/** A column of means. */
interface Column<Published> {
  readonly title: string;
  readonly own: MeanResult | undefined;
  /** Which datasets it is a mean over. */
  readonly includes: (dataset: BenchmarkDataset) => boolean;
  readonly published: (row: Published) => number | undefined;
}

/** Names of datasets that the benchmark has and the run has not. */
function missingDatasets({ benchmark, datasets }: EvalResults): string[] {
  const own = new Set(datasets.map(({ name }) => name));
  return (WHOLE[benchmark] ?? []).map(({ name }) => name).filter((name) => !own.has(name));
}

/** What a run lacks of the benchmark; an empty string where it is whole. */
export function partialWarning(results: EvalResults): string {
  const { benchmark, provenance } = results;
  const missing = missingDatasets(results);
  const all = WHOLE[benchmark]?.length;
  const reasons = [
    ...(all !== undefined && missing.length > 0
      ? [
          `it has ${all - missing.length} of ${BENCHMARK_NAMES[benchmark]}'s ${all} datasets, without ${listed(missing, 8)}`,
        ]
      : []),
    ...(provenance.limit === null
      ? []
      : [`at most the first ${whole(provenance.limit)} queries of each dataset are in it`]),
  ];
  if (reasons.length === 0) return "";
  const compared = all === undefined ? "" : " The overall figure is not comparable with published ones.";
  return `<p class="warning"><strong>This run is partial:</strong> ${escapeHtml(`${reasons.join(", and ")}.${compared}`)}</p>`;
}

/** The means with their intervals, published rows under them. */
export function meansSection(results: EvalResults): string {
  const { benchmark } = results;
  if (benchmark === "mmeb-v2")
    return (
      meansTable(results, modalityColumns(results.means), PUBLISHED_MMEB_V2, {
        title: "writes text first",
        own: results.settings.maxNewTokens > 0 ? "yes" : "no",
        published: ({ reasons }) => (reasons ? "yes" : "no"),
      }) + groupTable(results)
    );
  const columns = taskColumns(results.means, benchmark === "mmeb" ? MMEB : results.datasets);
  return meansTable(results, columns, benchmark === "mmeb" ? PUBLISHED_MMEB : []);
}

function taskColumns(means: MeanResults, datasets: readonly BenchmarkDataset[]): Column<PublishedMmeb>[] {
  const tasks = [...new Set(datasets.map(({ metaTask }) => metaTask))];
  return [
    ...tasks.map((task): Column<PublishedMmeb> => ({
      title: task,
      own: means.metaTasks[task],
      includes: ({ metaTask }) => metaTask === task,
      published: ({ metaTasks }) => (metaTasks as Readonly<Record<string, number>> | undefined)?.[task],
    })),
    { title: "IND", own: means.ind, includes: ({ ood }) => !ood, published: ({ ind }) => ind },
    { title: "OOD", own: means.ood, includes: ({ ood }) => ood, published: ({ ood }) => ood },
    { title: "overall", own: means.overall, includes: () => true, published: ({ overall }) => overall },
  ];
}

function modalityColumns(means: MeanResults): Column<PublishedMmebV2>[] {
  return [
    ...(["image", "video", "visdoc"] as const).map((kind): Column<PublishedMmebV2> => ({
      title: kind,
      own: means.modalities[kind],
      includes: ({ modality }) => modality === kind,
      published: ({ modalities }) => modalities?.[kind],
    })),
    { title: "overall", own: means.overall, includes: () => true, published: ({ overall }) => overall },
  ];
}

/** A column of words about each system, safe ones. */
interface Words<Published> {
  readonly title: string;
  readonly own: string;
  readonly published: (row: Published) => string;
}

function meansTable<Published extends { readonly system: string; readonly source: string }>(
  { benchmark, provenance }: EvalResults,
  columns: readonly Column<Published>[],
  published: readonly Published[],
  words?: Words<Published>,
): string {
  const all = WHOLE[benchmark];
  const isBeside = published.length > 0;
  const source = (text: string): string[] => (isBeside ? [`<td class="words">${escapeHtml(text)}</td>`] : []);
  const ownCells = columns.map(({ own, includes }) =>
    cell(own === undefined ? "-" : meanText(own, all?.filter(includes).length)),
  );
  const own = [...(words === undefined ? [] : [cell(words.own)]), ...ownCells, ...source(provenance.time.slice(0, 10))];
  const others = published.map((row) =>
    tableRow(escapeHtml(row.system), [
      ...(words === undefined ? [] : [cell(words.published(row))]),
      ...columns.map((column) => cell(column.published(row)?.toFixed(1) ?? "-")),
      ...source(row.source),
    ]),
  );
  const titles = ["system", ...(words === undefined ? [] : [words.title]), ...columns.map(({ title }) => title)];
  const notes = [
    "Percent. Means count datasets alike; beneath, the 95% interval over queries",
    all === undefined ? "." : ", and how many of the benchmark's datasets are in where some are missing.",
    isBeside
      ? " Published rows are as their sources print them; a checkpoint's own need its authors' rules for texts."
      : "",
  ];
  return `<h2 id="means">Means</h2>
<p>${notes.join("")}</p>
${table({ label: "Means", head: [...titles, ...(isBeside ? ["source"] : [])].map(escapeHtml), rows: [tableRow("this run", own, "own"), ...others] })}`;
}

function meanText(mean: MeanResult, expected: number | undefined): string {
  const isWhole = expected === undefined || expected === mean.datasets;
  const part = isWhole ? "" : `<small>${whole(mean.datasets)} of ${expected} datasets</small>`;
  return `${percent(mean.value)}<small>${between(mean)}</small>${part}`;
}

/** Means by meta-task, and of images in and out of the training data's kinds: too many for columns. */
function groupTable({ means }: EvalResults): string {
  const groups = Object.entries({ ...means.metaTasks, "images, IND": means.ind, "images, OOD": means.ood });
  const rows = groups.flatMap(([name, mean]) =>
    mean === undefined
      ? []
      : tableRow(escapeHtml(name), [percent(mean.value), between(mean), whole(mean.datasets)].map(cell)),
  );
  return `<h3>Meta-tasks</h3>${table({ label: "Means by meta-task", head: ["group", "mean", "95%", "datasets"], rows })}`;
}
