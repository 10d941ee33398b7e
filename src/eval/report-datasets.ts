/** The report's table of datasets, which the page's script sorts. */
import { escapeHtml } from "../html.ts";
import { between, listed, percent, table, tableRow, whole } from "./report-table.ts";
import type { DatasetResult, EvalResults, Provenance } from "./types.ts";

/** A column; text is sorted by its letters, the rest by `value`. */
interface Column {
  readonly title: string;
  /** In full, where the title is short. */
  readonly about?: string;
  readonly value?: (dataset: DatasetResult) => number;
  /** Safe HTML. */
  readonly cell: (dataset: DatasetResult) => string;
  /** Whether a figure is to be looked into. */
  readonly isOdd?: (dataset: DatasetResult) => boolean;
}

/** Every dataset with its figures. */
export function datasetsSection({ datasets, provenance }: EvalResults): string {
  const columns = columnsOf(provenance);
  const head = columns.map(
    ({ title, about, value }) =>
      `<button type="button"${about === undefined ? "" : ` title="${escapeHtml(about)}"`} data-sort="${value === undefined ? "text" : "number"}">${escapeHtml(title)}</button>`,
  );
  const rows = datasets.map((dataset) => {
    const cells = columns.slice(1).map(({ value, cell, isOdd }) => {
      const sorted = value === undefined ? "" : ` data-value="${escapeHtml(String(value(dataset)))}"`;
      return `<td${sorted}${isOdd?.(dataset) === true ? ' class="odd"' : ""}>${cell(dataset)}</td>`;
    });
    return tableRow(columns[0]!.cell(dataset), cells);
  });
  return `<h2 id="datasets">Datasets</h2>
<p>Metrics in percent; rationales in tokens; overruns are rationales that the budget ended. A column's head sorts by it.</p>
${rulesWarning(datasets, provenance)}${table({ label: "Datasets", head, rows, isSortable: true })}`;
}

function columnsOf({ queryRules, targetRules }: Provenance): Column[] {
  const metric = (key: string): Column => numbers(key, (it) => it.metrics[key]!, percent);
  const tokens = (title: string, key: "mean" | "median" | "p90" | "max", about: string): Column =>
    numbers(title, ({ rationales }) => rationales[key], key === "mean" ? (mean) => mean.toFixed(1) : whole, about);
  const main: Column = {
    title: "main metric",
    about: "what counts in the means: hit@1, of documents NDCG@5 with linear gain; with its 95% interval over queries",
    value: (it) => it.metrics[it.metric]!,
    cell: (it) => `<strong>${percent(it.metrics[it.metric]!)}</strong><small>${between(it.interval)}</small>`,
  };
  return [
    { title: "dataset", cell: ({ name }) => breakable(name) },
    main,
    { title: "meta-task", cell: ({ metaTask }) => escapeHtml(metaTask) },
    { title: "kind", about: "in the training data's kinds, or out of them", cell: ({ ood }) => (ood ? "OOD" : "IND") },
    ...["hit@1", "hit@5", "hit@10", "ndcg_linear@5", "mrr@10"].map(metric),
    numbers("queries", ({ queries }) => queries, whole),
    numbers("targets", ({ targets }) => targets, whole, "different candidates"),
    tokens("tokens mean", "mean", "mean tokens of a rationale"),
    tokens("median", "median", "median tokens of a rationale"),
    tokens("p90", "p90", "tokens that nine of ten rationales do not exceed"),
    tokens("max", "max", "tokens of the longest rationale"),
    numbers(
      "overruns %",
      ({ rationales }) => rationales.overrunShare,
      percent,
      "percent of rationales that the budget ended",
    ),
    rewrittenColumn("queries", queryRules.name),
    rewrittenColumn("targets", targetRules.name),
  ];
}

function numbers(
  title: string,
  value: (dataset: DatasetResult) => number,
  text: (value: number) => string,
  about?: string,
): Column {
  return { title, value, cell: (dataset) => text(value(dataset)), ...(about !== undefined && { about }) };
}

function rewrittenColumn(side: "queries" | "targets", rules: string): Column {
  return {
    title: `${side} rewritten`,
    about: `different texts of ${side} that the rules (${rules}) change, of all`,
    value: ({ rewritten }) => rewritten[side][0] / rewritten[side][1],
    cell: ({ rewritten }) => `${whole(rewritten[side][0])}/${whole(rewritten[side][1])}`,
    isOdd: ({ rewritten }) => isUnchanged(rewritten[side], rules),
  };
}

/** Whether there are rules and they change nothing, as where a rule misses its text. */
function isUnchanged([changed]: readonly [number, number], rules: string): boolean {
  return rules !== "none" && changed === 0;
}

function rulesWarning(datasets: readonly DatasetResult[], { queryRules, targetRules }: Provenance): string {
  const sides = [
    ["queries", queryRules.name],
    ["targets", targetRules.name],
  ] as const;
  const said = sides.flatMap(([side, rules]) => {
    const untouched = datasets.filter(({ rewritten }) => isUnchanged(rewritten[side], rules)).map(({ name }) => name);
    return untouched.length === 0 ? [] : [`The rules ${rules} change no text of ${side} in ${listed(untouched, 8)}.`];
  });
  if (said.length === 0) return "";
  return `<p class="warning">${escapeHtml(said.join(" "))} A rule that misses its text gives other numbers without an error.</p>\n`;
}

/** A long name that breaks after its dashes, escaped. */
function breakable(name: string): string {
  return escapeHtml(name).replace(/[_-]/g, "$&<wbr>");
}
