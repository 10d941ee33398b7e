/** A run as one HTML page: means beside published ones, datasets, plots, single queries. Nothing comes from the network. */
import { createHash } from "node:crypto";
import { escapeHtml } from "../html.ts";
import { datasetsSection } from "./report-datasets.ts";
import { headSection, provenanceSection, titleOf } from "./report-facts.ts";
import { meansSection } from "./report-means.ts";
import { whole } from "./report-table.ts";
import { plots } from "./report-plots.ts";
import { readQueries, type ReadQueries } from "./report-queries.ts";
import { REPORT_SCRIPT } from "./report-script.ts";
import { REPORT_STYLE } from "./report-style.ts";
import type { DatasetResult, EvalResults } from "./types.ts";

/** Bytes of all queries in a page; browsers read so much within a second. */
const MOST_BYTES = 20e6;

const SECTIONS = [
  ["means", "Means"],
  ["datasets", "Datasets"],
  ["plots", "By meta-task"],
  ["rationales", "Rationales"],
  ["queries", "Queries"],
  ["provenance", "Provenance"],
] as const;

interface DatasetQueries extends ReadQueries {
  readonly result: DatasetResult;
}

/**
 * The page of a run.
 * @param folder the run's; it has the queries' records, and the page's links to pictures start from it
 * @throws {DatasetError} records that are missing, damaged, or not those of the results; file and line are named
 */
export async function evalReport(folder: string, results: EvalResults): Promise<string> {
  const datasets: DatasetQueries[] = [];
  let room = MOST_BYTES;
  for (const [i, result] of results.datasets.entries()) {
    // What a dataset leaves is for those after it.
    const read = await readQueries(folder, result, Math.floor(room / (results.datasets.length - i)));
    room -= Buffer.byteLength(read.json);
    datasets.push({ result, ...read });
  }
  const links = SECTIONS.map(([id, name]) => `<li><a href="#${id}">${name}</a></li>`);
  const sections = [
    headSection(results),
    `<nav aria-label="Sections"><ul>${links.join("")}</ul></nav>`,
    meansSection(results),
    datasetsSection(results),
    plots(results, datasets),
    queriesSection(datasets),
    provenanceSection(results),
  ];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy()}">
<title>${escapeHtml(titleOf(results))}</title><style>${REPORT_STYLE}</style></head>
<body><main>${sections.join("\n")}</main>
${datasets.map(({ json }) => `<script type="application/json" class="queries">${json}</script>`).join("\n")}
<script>${REPORT_SCRIPT}</script></body></html>
`;
}

/** No script but the page's own, and pictures only from files or from where the page is. */
function policy(): string {
  const hash = createHash("sha256").update(REPORT_SCRIPT).digest("base64");
  return `default-src 'none'; base-uri 'none'; form-action 'none'; img-src 'self' file:; style-src 'unsafe-inline'; script-src 'sha256-${hash}'`;
}

/** The form of the browser of queries; its script fills in the rest. */
function queriesSection(datasets: readonly DatasetQueries[]): string {
  const shown = datasets.reduce((sum, dataset) => sum + dataset.shown, 0);
  const all = datasets.reduce((sum, { result }) => sum + result.queries, 0);
  const options = datasets.map(
    ({ result, shown: own }, i) =>
      `<option value="${i}">${escapeHtml(result.name)} (${whole(own)} of ${whole(result.queries)})</option>`,
  );
  const outcomes = ["all", "right", "wrong", "overrun"].map(
    (outcome, i) =>
      `<label><input type="radio" name="outcome" value="${outcome}"${i === 0 ? " checked" : ""}>${outcome}</label>`,
  );
  return `<h2 id="queries">Queries</h2>
<p>${whole(shown)} of ${whole(all)} queries are embedded in this page, right and wrong ones in their proportion; <code>queries/&lt;dataset&gt;.jsonl</code> beside it has all. A query is right where its first candidate is; overrun where the budget ended its rationale.</p>
<noscript><p class="warning">Queries are shown by a script, which this browser does not run.</p></noscript>
<form id="browse" role="search" hidden><label>Dataset <select name="dataset">${options.join("")}<option value="all">all datasets</option></select></label>
<fieldset><legend>Show</legend>${outcomes.join("")}</fieldset>
<label>Search texts <input type="search" name="words" autocomplete="off"></label></form>
<p id="count" role="status"></p><div id="found"></div><button type="button" id="more" hidden>Show more</button>`;
}
