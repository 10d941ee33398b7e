/** The log of a run as one HTML page: curves, per-dataset figures, settings. No script and nothing from the network. */
import { renameSync, writeFileSync } from "node:fs";
import { readLog, type LogRecord, type StartRecord, type StepRecord, type ValidationRecord } from "./log.ts";
import { escapeHtml } from "../html.ts";
import { CHART_STYLE } from "../svg-chart.ts";
import { chart, type Curve } from "./report-chart.ts";

/** Reads a log and writes its report; the file changes as a whole or not at all. */
export function writeReport(logPath: string, reportPath: string): void {
  const temporary = `${reportPath}.${process.pid}.tmp`;
  writeFileSync(temporary, reportHtml(readLog(logPath)));
  renameSync(temporary, reportPath);
}

/** Most datasets with a line of their own; more share one, their mean, since colours would repeat. */
const MOST_LINES = 6;
/** Share of a dataset's steps that its first and last losses are means of. */
const ENDS = 1 / 10;

/** The page for a log's records, whichever of them there are. */
export function reportHtml(log: readonly LogRecord[]): string {
  const start = log.find((record) => record.type === "start");
  const steps = log.filter((record) => record.type === "step");
  const validations = log.filter((record) => record.type === "validation");
  const title = start === undefined ? "Training run" : `Training ${start.model}`;
  const sections = [
    `<h1>${escapeHtml(title)}</h1>`,
    summary(start, steps, log),
    curves(steps, validations),
    lossTable(start, steps, validations),
    start === undefined ? "" : dataTable(start),
    start === undefined
      ? ""
      : `<details><summary>Settings</summary><pre>${escapeHtml(JSON.stringify(start.config, null, 2))}</pre></details>`,
  ];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title><style>${STYLE}</style></head>
<body><main>${sections.join("\n")}</main></body></html>
`;
}

function summary(start: StartRecord | undefined, steps: readonly StepRecord[], log: readonly LogRecord[]): string {
  // A run that was stopped and went on has an end before its resume.
  const state = log.findLast(({ type }) => type === "end" || type === "resume" || type === "start");
  const seconds = total(steps.map((step) => step.seconds));
  const writing = total(steps.map((step) => step.generateSeconds));
  const pairs = total(steps.map((step) => step.pairs));
  const peak = steps.reduce((most, { rssBytes }) => Math.max(most, rssBytes), 0);
  const facts: [string, string][] = [
    ["State", state?.type === "end" ? state.reason : "running, or cut off"],
    ["Steps", (steps.at(-1)?.step ?? 0).toLocaleString("en-US")],
    ["Pairs", pairs.toLocaleString("en-US")],
    ["Time in steps", duration(seconds)],
    ["Of it writing rationales", seconds > 0 ? `${Math.round((100 * writing) / seconds)}%` : "-"],
    ["Pairs a second", seconds > 0 ? (pairs / seconds).toFixed(1) : "-"],
    ["Peak memory", `${Math.round(peak / 2 ** 20).toLocaleString("en-US")} MiB`],
    ["Rows that failed", String(log.filter(({ type }) => type === "problem").length)],
    ["Times resumed", String(log.filter(({ type }) => type === "resume").length)],
  ];
  if (start !== undefined)
    facts.push(
      ["Started", start.time.replace("T", " ").replace(/\.\d+Z$/, " UTC")],
      ["Model's hash", start.modelHash.slice(0, 16)],
      ["Parameters", `${start.trained.toLocaleString("en-US")} trained of ${start.parameters.toLocaleString("en-US")}`],
      ["Seed", seedOf(start.config)],
      ["Machine", `${start.machine}, ${start.threads} threads, rge ${start.version}`],
    );
  return `<dl>${facts.map(([name, value]) => `<div><dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}</dd></div>`).join("")}</dl>`;
}

function seedOf(config: unknown): string {
  const seed = typeof config === "object" && config !== null && "seed" in config ? config.seed : undefined;
  return typeof seed === "number" ? String(seed) : "-";
}

function curves(steps: readonly StepRecord[], validations: readonly ValidationRecord[]): string {
  const ofSteps = (name: string, value: (step: StepRecord) => number | null): Curve => ({
    name,
    smooth: true,
    points: steps.map((step) => [step.step, value(step)]),
  });
  const charts: [string, Curve[]][] = [
    ["Training loss, the weighted sum", [ofSteps("total", ({ loss }) => loss)]],
    ["LM loss per rationale token", [ofSteps("training", ({ lm }) => lm)]],
    ["Contrastive loss per query", [ofSteps("training", ({ contrastive }) => contrastive)]],
    ["Queries nearest to their own target in the batch", [ofSteps("training", ({ hits }) => hits)]],
    ["Validation: LM loss", ofValidations(validations, ({ lm }) => lm)],
    ["Validation: contrastive loss", ofValidations(validations, ({ contrastive }) => contrastive)],
    ["Validation: P@1 in the batch", ofValidations(validations, ({ p1 }) => p1)],
    [
      "Rationales written in training",
      [
        ofSteps("ended by <emb>", ({ endedShare }) => endedShare),
        ofSteps("equal to the oracle's", ({ oracleShare }) => oracleShare),
      ],
    ],
    ["Tokens of a written rationale", [ofSteps("mean", ({ rationaleTokens }) => rationaleTokens)]],
    ["Gradient norm", [ofSteps("before clipping", ({ gradNorm }) => gradNorm)]],
    ["Learning rate", [{ ...ofSteps("rate", ({ learningRate }) => learningRate), smooth: false }]],
    ["Pairs a second", [ofSteps("training", ({ pairs, seconds: taken }) => (taken > 0 ? pairs / taken : null))]],
    ["Memory, GiB", [{ ...ofSteps("resident", ({ rssBytes }) => rssBytes / 2 ** 30), smooth: false }]],
  ];
  const values = charts.flatMap(([, lines]) => lines.flatMap(({ points }) => points.map(([, value]) => value)));
  const notFinite = values.filter((value) => value !== null && !Number.isFinite(value)).length;
  const drawn = charts.map(([title, lines]) => chart(title, lines)).filter((svg) => svg !== "");
  const note = notFinite === 0 ? "" : `<p>${notFinite} values are NaN or infinite and are not drawn.</p>`;
  return `<div class="charts">${drawn.join("\n")}</div>${note}`;
}

/** A line per validation dataset, or their mean where they are too many to tell apart. */
function ofValidations(
  validations: readonly ValidationRecord[],
  value: (record: ValidationRecord) => number | null,
): Curve[] {
  const measured = validations.filter((record) => value(record) !== null);
  const byDataset = Map.groupBy(measured, ({ dataset }) => dataset);
  if (byDataset.size <= MOST_LINES)
    return [...byDataset].map(([name, records]) => ({
      name,
      smooth: false,
      points: records.map((record) => [record.step, value(record)]),
    }));
  const points = [...Map.groupBy(measured, ({ step }) => step)].map(
    ([step, records]) => [step, mean(records.map(value))] as const,
  );
  return [{ name: `mean of ${byDataset.size} datasets`, smooth: false, points }];
}

/** How each dataset's losses went, in training and in validation. */
function lossTable(
  start: StartRecord | undefined,
  steps: readonly StepRecord[],
  validations: readonly ValidationRecord[],
): string {
  const known = new Set(start?.datasets.map(({ name }) => name));
  // With accumulation an update has batches of several datasets, and one loss over all of them.
  const nameOf = ({ dataset }: StepRecord): string =>
    start === undefined || known.has(dataset) ? dataset : "several in one update";
  const rows: string[] = [];
  for (const [dataset, own] of Map.groupBy(steps, nameOf)) {
    const count = Math.ceil(own.length * ENDS);
    const ends = (value: (step: StepRecord) => number | null): string =>
      fromTo(mean(own.slice(0, count).map(value)), mean(own.slice(-count).map(value)));
    const cells = [ends(({ lm }) => lm), ends((it) => it.contrastive), ends(({ hits }) => hits)];
    rows.push(
      tableRow(dataset, [
        "training",
        `${own.length.toLocaleString("en-US")} step${own.length === 1 ? "" : "s"}`,
        ...cells,
      ]),
    );
  }
  for (const [dataset, own] of Map.groupBy(validations, (record) => record.dataset)) {
    const [first, last] = [own[0]!, own.at(-1)!];
    const cells = [fromTo(first.lm, last.lm), fromTo(first.contrastive, last.contrastive), fromTo(first.p1, last.p1)];
    rows.push(tableRow(dataset, ["validation", `${last.pairs.toLocaleString("en-US")} pairs`, ...cells]));
  }
  if (rows.length === 0) return "";
  return `<h2>Losses by dataset</h2>${table(["dataset", "in", "seen", "LM loss", "contrastive", "P@1"], rows)}
<p>Training: means over the first and the last tenth of the dataset's steps. Validation: the first and the last one.</p>`;
}

function dataTable({ datasets }: StartRecord): string {
  const rows = datasets.map(({ name, rows: usable, problems, hash }) =>
    tableRow(name, [usable.toLocaleString("en-US"), problems.toLocaleString("en-US"), hash.slice(0, 16)]),
  );
  return `<h2>Data</h2>${table(["dataset", "rows", "unusable", "hash"], rows)}`;
}

/** A table that scrolls by itself where the page is narrow; with the keyboard, too. */
function table(head: readonly string[], rows: readonly string[]): string {
  const cells = head.map((name) => `<th scope="col">${escapeHtml(name)}</th>`).join("");
  return `<div class="wide" tabindex="0"><table><thead><tr>${cells}</tr></thead><tbody>${rows.join("")}</tbody></table></div>`;
}

function tableRow(head: string, cells: readonly string[]): string {
  return `<tr><th scope="row">${escapeHtml(head)}</th>${cells.map((cell) => `<td>${escapeHtml(cell)}</td>`).join("")}</tr>`;
}

function fromTo(first: number | null, last: number | null): string {
  if (first === last) return first?.toFixed(3) ?? "-";
  return `${first?.toFixed(3) ?? "-"} → ${last?.toFixed(3) ?? "-"}`;
}

function mean(values: readonly (number | null)[]): number | null {
  const numbers = values.filter((value) => value !== null);
  return numbers.length === 0 ? null : total(numbers) / numbers.length;
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function duration(seconds: number): string {
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  return `${hours > 0 ? `${hours} h ` : ""}${minutes} min ${whole % 60} s`;
}

const STYLE = `${CHART_STYLE}body{margin:0;background:var(--back);color:var(--text);font:15px/1.45 system-ui,sans-serif}
main{max-width:1180px;margin:0 auto;padding:16px}
h1{font-size:1.35rem;overflow-wrap:anywhere}h2{font-size:1.1rem}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(140px,1fr));gap:10px 18px;margin:0 0 20px}
dt{color:var(--soft);font-size:.82rem}dd{margin:0;overflow-wrap:anywhere}
.wide{overflow-x:auto}td,thead th{white-space:nowrap}tbody th{overflow-wrap:anywhere;min-width:8em}table{border-collapse:collapse}th,td{padding:4px 12px 4px 0;text-align:left;border-bottom:1px solid var(--line);font-variant-numeric:tabular-nums}
summary{cursor:pointer;font-weight:600;margin-top:16px}p{color:var(--soft);font-size:.85rem}
pre{overflow-x:auto;font-size:.85rem}
`;
