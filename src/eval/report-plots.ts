/** The report's plots: what each dataset comes to, how long rationales are, and whether length and overruns matter. */
import { escapeHtml } from "../html.ts";
import { BAR_TOKENS } from "./rationale-lengths.ts";
import { lengthBars, sharesByLength, shareRows, type LengthBar, type LengthShare } from "./report-charts.ts";
import { between, cell, percent, table, tableRow, whole } from "./report-table.ts";
import type { Outcome } from "./report-queries.ts";
import type { DatasetResult, EvalResults, Interval } from "./types.ts";

/** A dataset with its queries' outcomes. */
interface PlottedDataset {
  readonly result: DatasetResult;
  readonly outcomes: readonly Outcome[];
}

const MOST_BARS = 40;
/** Lengths told apart where it is asked how often the first candidate is right. */
const MOST_LENGTHS = 8;
/** The normal distribution's, for 95%. */
const Z = 1.959964;

/** All plots, as sections. */
export function plots({ means }: EvalResults, datasets: readonly PlottedDataset[]): string {
  const byTask = [...Map.groupBy(datasets, ({ result }) => result.metaTask)];
  const charts = byTask.map(([task, group]) => {
    const mean = means.metaTasks[task];
    const shares = group.map(({ result: { name, ood, metric, metrics, interval } }) => ({
      name,
      value: metrics[metric]!,
      ...interval,
      kind: ood ? ("OOD" as const) : ("IND" as const),
    }));
    const metrics = [...new Set(group.map(({ result }) => result.metric))].join(", ");
    return shareRows(
      task,
      shares,
      `${escapeHtml(metrics)}${mean === undefined ? "" : `; mean ${percent(mean.value)}`}`,
    );
  });
  return `<h2 id="plots">Datasets by meta-task</h2>
<p>The main metric of each dataset in percent, with its 95% interval. <span style="color:var(--c0)">●</span> in the training data's kinds (IND), <span style="color:var(--c1)">○</span> out of them (OOD).</p>
<div class="charts">${charts.join("\n")}</div>
<h2 id="rationales">Rationales</h2>
${rationalePlots(datasets)}`;
}

function rationalePlots(datasets: readonly PlottedDataset[]): string {
  const reasoned = datasets
    .map(({ result, outcomes }) => ({ result, outcomes: outcomes.filter(({ finish }) => finish !== "direct") }))
    .filter(({ outcomes }) => outcomes.length > 0);
  if (reasoned.length === 0) return "<p>No query has one: all are embedded directly.</p>";
  const all = reasoned.flatMap(({ outcomes }) => outcomes);
  const longest = all.reduce((most, { tokens }) => Math.max(most, tokens), 0);
  const step = stepFor(longest, MOST_BARS);
  const lengths = reasoned.map(({ result: { name }, outcomes }) => {
    const { ended, overrun } = sharesByEnd(outcomes);
    const right = [...told("ended", ended), ...told("overran", overrun)].join(", ");
    const legend = `${percent(overrun.queries / outcomes.length)}% overran; right: ${right}`;
    const bars = barsOf(outcomes, step, longest);
    return lengthBars(name, bars, bars.length * step, legend);
  });
  return `<p>Tokens of each query's rationale, ${step} to a bar, on one scale for all datasets; heights are shares of the dataset's queries.
<span style="color:var(--c0)">■</span> ended by the model, <span style="color:var(--c1)">■</span> by the budget. Under each: how many overran, and how often the first candidate is right.</p>
<div class="charts small">${lengths.join("\n")}</div>
<h2>First candidate right, by rationale</h2>
<p>All datasets' queries together. Datasets with longer rationales may be the harder ones, so this is no proof that length helps or harms; compare two runs for that.</p>
<div class="charts">${sharesByLength("By the length of the rationale", lengthShares(all), "percent, 95%; below: from how many tokens, and how many queries")}
${endTable(reasoned)}</div>`;
}

function told(end: string, { queries, value }: EndShare): string[] {
  return queries === 0 ? [] : [`${percent(value)}% where ${end}`];
}

/** The narrowest bars, of a multiple of `BAR_TOKENS` as in the results' histograms, that are no more than `most`. */
function stepFor(longest: number, most: number): number {
  return BAR_TOKENS * Math.ceil((longest + 1) / BAR_TOKENS / most);
}

function barsOf(outcomes: readonly Outcome[], step: number, longest: number): LengthBar[] {
  const bars = Array.from({ length: Math.floor(longest / step) + 1 }, (_, i) => ({
    from: i * step,
    ended: 0,
    overrun: 0,
  }));
  for (const { tokens, finish } of outcomes)
    bars[Math.floor(tokens / step)]![finish === "budget" ? "overrun" : "ended"] += 1 / outcomes.length;
  return bars;
}

function lengthShares(outcomes: readonly Outcome[]): LengthShare[] {
  const step = stepFor(
    outcomes.reduce((most, { tokens }) => Math.max(most, tokens), 0),
    MOST_LENGTHS,
  );
  const groups = [...Map.groupBy(outcomes, ({ tokens }) => Math.floor(tokens / step))].sort(([a], [b]) => a - b);
  return groups.map(([place, group]) => ({ from: place * step, to: (place + 1) * step - 1, ...shareOf(group) }));
}

interface EndShare extends Interval {
  readonly value: number;
  readonly queries: number;
}

function sharesByEnd(outcomes: readonly Outcome[]): { ended: EndShare; overrun: EndShare } {
  return {
    ended: shareOf(outcomes.filter(({ finish }) => finish === "emb")),
    overrun: shareOf(outcomes.filter(({ finish }) => finish === "budget")),
  };
}

/** Share of queries whose first candidate is right, with Wilson's interval (1927), which small groups need. */
function shareOf(outcomes: readonly Outcome[]): EndShare {
  const queries = outcomes.length;
  if (queries === 0) return { queries, value: 0, low: 0, high: 1 };
  const value = outcomes.filter(({ hit }) => hit).length / queries;
  const spread = 1 + Z ** 2 / queries;
  const middle = (value + Z ** 2 / (2 * queries)) / spread;
  const half = (Z / spread) * Math.sqrt((value * (1 - value)) / queries + (Z / (2 * queries)) ** 2);
  return { queries, value, low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}

/** Queries whose rationale ended beside those that the budget ended, by meta-task. */
function endTable(datasets: readonly PlottedDataset[]): string {
  const groups = [...Map.groupBy(datasets, ({ result }) => result.metaTask), ["all", datasets] as const];
  const rows = groups.map(([name, group]) => {
    const { ended, overrun } = sharesByEnd(group.flatMap(({ outcomes }) => outcomes));
    return tableRow(escapeHtml(name), [shareText(ended), shareText(overrun)].map(cell));
  });
  const head = ["meta-task", "by the model", "by the budget"];
  return `<div><h3>By what ended it</h3>${table({ label: "Right by what ended the rationale", head, rows })}</div>`;
}

function shareText(share: EndShare): string {
  if (share.queries === 0) return "-";
  return `${percent(share.value)}<small>${between(share)}</small><small>${whole(share.queries)} queries</small>`;
}
