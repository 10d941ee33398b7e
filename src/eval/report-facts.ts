/** The report's first lines and its last: what was measured with what, and where figures come from. */
import { escapeHtml } from "../html.ts";
import { BENCHMARK_NAMES, partialWarning } from "./report-means.ts";
import { between, cell, percent, table, tableRow, whole } from "./report-table.ts";
import type { EvalResults, MeanResult } from "./types.ts";

type Fact = readonly [name: string, value: string];

/** The page's title. */
export function titleOf({ benchmark, provenance }: EvalResults): string {
  return `${BENCHMARK_NAMES[benchmark]}: ${provenance.model}`;
}

/** Benchmark, model, the figures that count, how long it took and how items were embedded. */
export function headSection(results: EvalResults): string {
  const { benchmark, provenance, settings, datasets, means } = results;
  const sum = (key: "queries" | "promptTokens" | "rationaleTokens"): string =>
    whole(datasets.reduce((total, dataset) => total + dataset[key], 0));
  const facts: Fact[] = [
    ...meanFact(benchmark === "mmeb-v2" ? "IND, images" : "IND", means.ind),
    ...meanFact(benchmark === "mmeb-v2" ? "OOD, images" : "OOD", means.ood),
    ["Datasets", whole(datasets.length)],
    ["Queries", sum("queries")],
    ["Time, of the last process", duration(provenance.seconds)],
    ["Prompt tokens", sum("promptTokens")],
    ["Rationale tokens", sum("rationaleTokens")],
    ["Weights", settings.weights],
    [
      "Rationale",
      settings.maxNewTokens === 0
        ? "none, queries are embedded directly"
        : `at most ${whole(settings.maxNewTokens)} tokens`,
    ],
    ["Where the budget ends it", settings.onBudget],
    [
      "Repetition penalty",
      settings.repetitionPenalty === null ? "the checkpoint's" : String(settings.repetitionPenalty),
    ],
    ["Pixels of a picture", bounds(settings.minPixels, settings.maxPixels)],
    ["Least side, pixels", settings.minSide === null ? "any" : whole(settings.minSide)],
  ];
  return `<header><p class="kind">${BENCHMARK_NAMES[benchmark]}, ${escapeHtml(provenance.time.replace("T", " ").replace(/\.\d+Z$/, " UTC"))}</p>
<h1>${escapeHtml(provenance.model)}</h1>
<p class="overall"><strong>${percent(means.overall.value)}</strong> overall, 95% ${between(means.overall)}</p></header>
${partialWarning(results)}
${list(facts)}`;
}

/** All that is known of how the figures came about, and how to compare them with others. */
export function provenanceSection({ provenance, datasets }: EvalResults): string {
  const { queryRules, targetRules, ...plain } = provenance;
  const facts: Fact[] = [
    ["rge", `${plain.version}, ${plain.commit === null ? "commit not known" : `commit ${plain.commit}`}`],
    ["Machine", plain.machine],
    ["Ended", plain.time],
    ["Seconds", String(plain.seconds)],
    ["Model", plain.model],
    ["Model's hash", plain.modelHash],
    ["Length of an embedding", whole(plain.embeddingDimension)],
    ["Data", plain.data],
    ["Data's revision", plain.dataRevision ?? "not known"],
    ["Queries of a dataset", plain.limit === null ? "all" : `the first ${whole(plain.limit)}`],
    ["Rules for queries", `${queryRules.name}, ${queryRules.hash}`],
    ["Rules for targets", `${targetRules.name}, ${targetRules.hash}`],
  ];
  const rows = datasets.map(({ name, dataHash, promptTokens, rationaleTokens }) => {
    const hash = `<code title="${escapeHtml(dataHash)}">${escapeHtml(dataHash.slice(0, 12))}</code>`;
    return tableRow(escapeHtml(name), [hash, whole(promptTokens), whole(rationaleTokens)].map(cell));
  });
  const head = ["dataset", "SHA-256 of its files", "prompt tokens", "rationale tokens"];
  return `<h2 id="provenance">Provenance</h2>
${list(facts, ' class="wider"')}
<details><summary>Data of each dataset</summary>${table({ label: "Data of each dataset", head, rows })}</details>
<h3>Comparing two runs</h3>
<p>Query by query, with intervals of the difference and whether chance could make it; A and B are runs' folders, such as this page's:</p>
<pre><code>rge eval compare A B</code></pre>`;
}

function meanFact(name: string, mean: MeanResult | undefined): Fact[] {
  return mean === undefined ? [] : [[name, `${percent(mean.value)} (${between(mean)})`]];
}

function bounds(least: number | null, most: number | null): string {
  if (least === null && most === null) return "as they are";
  return `${least === null ? "any" : whole(least)} to ${most === null ? "any" : whole(most)}`;
}

function duration(seconds: number): string {
  if (seconds < 100) return `${seconds.toFixed(1)} s`;
  return seconds < 6000 ? `${(seconds / 60).toFixed(1)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

function list(facts: readonly Fact[], attributes = ""): string {
  return `<dl${attributes}>${facts.map(([name, value]) => `<div><dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}</dd></div>`).join("")}</dl>`;
}
