/** The log of a run as one HTML page: curves, per-dataset figures, settings. No script and nothing from the network. */
import { renameSync, writeFileSync } from "node:fs";
import { readLog, type LogRecord, type StartRecord, type StepRecord, type ValidationRecord } from "./log.ts";
import { chart, escapeHtml, type Curve } from "./report-chart.ts";

/** Reads a log and writes its report; the file changes as a whole or not at all. */
export function writeReport(logPath: string, reportPath: string): void {
  const temporary = `${reportPath}.${process.pid}.tmp`;
  writeFileSync(temporary, reportHtml(readLog(logPath)));
  renameSync(temporary, reportPath);
}

/** The page for a log's records. */
export function reportHtml(log: readonly LogRecord[]): string {
  const start = log.find((record) => record.type === "start");
  const steps = log.filter((record) => record.type === "step");
  const validations = log.filter((record) => record.type === "validation");
  const title = start === undefined ? "Training run" : `Training ${start.model}`;
  const sections = [
    `<h1>${escapeHtml(title)}</h1>`,
    summary(start, steps, log),
    curves(steps, validations),
    datasetTable(steps, validations),
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
  const end = log.findLast((record) => record.type === "end");
  const seconds = steps.reduce((sum, step) => sum + step.seconds, 0);
  const pairs = steps.reduce((sum, step) => sum + step.pairs, 0);
  const facts: [string, string][] = [
    ["State", end === undefined ? "running, or cut off" : end.reason],
    ["Steps", String(steps.at(-1)?.step ?? 0)],
    ["Pairs", pairs.toLocaleString("en-US")],
    ["Time in steps", `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`],
    ["Pairs a second", seconds > 0 ? (pairs / seconds).toFixed(1) : "-"],
    ["Peak memory", `${Math.round(Math.max(0, ...steps.map(({ rssBytes }) => rssBytes)) / 2 ** 20)} MiB`],
    ["Rows that failed", String(log.filter(({ type }) => type === "problem").length)],
    ["Resumed", `${log.filter(({ type }) => type === "resume").length} times`],
  ];
  if (start !== undefined)
    facts.push(
      ["Started", start.time],
      ["Model", start.modelHash.slice(0, 16)],
      ["Parameters", `${start.trained.toLocaleString("en-US")} trained of ${start.parameters.toLocaleString("en-US")}`],
      ["Machine", `${start.machine}, ${start.threads} threads, rge ${start.version}`],
    );
  return `<dl>${facts.map(([name, value]) => `<div><dt>${name}</dt><dd>${escapeHtml(value)}</dd></div>`).join("")}</dl>`;
}

function curves(steps: readonly StepRecord[], validations: readonly ValidationRecord[]): string {
  const ofSteps = (name: string, value: (step: StepRecord) => number | null): Curve => ({
    name,
    smooth: true,
    points: steps.map((step) => [step.step, value(step)]),
  });
  const byDataset = Map.groupBy(validations, ({ dataset }) => dataset);
  const ofValidation = (value: (record: ValidationRecord) => number | null): Curve[] =>
    [...byDataset].map(([name, records]) => ({
      name,
      smooth: false,
      points: records.map((record) => [record.step, value(record)]),
    }));
  const charts: [string, Curve[]][] = [
    ["LM loss per rationale token", [ofSteps("training", ({ lm }) => lm)]],
    ["Contrastive loss per query", [ofSteps("training", ({ contrastive }) => contrastive)]],
    ["Queries nearest to their own target in the batch", [ofSteps("training", ({ hits }) => hits)]],
    ["Validation: LM loss", ofValidation(({ lm }) => lm)],
    ["Validation: contrastive loss", ofValidation(({ contrastive }) => contrastive)],
    ["Validation: P@1 in the batch", ofValidation(({ p1 }) => p1)],
    [
      "Rationales written in training",
      [
        ofSteps("ended by themselves", ({ endedShare }) => endedShare),
        ofSteps("equal to the oracle's", ({ oracleShare }) => oracleShare),
      ],
    ],
    ["Tokens of a written rationale", [ofSteps("mean", ({ rationaleTokens }) => rationaleTokens)]],
    ["Gradient norm", [ofSteps("before clipping", ({ gradNorm }) => gradNorm)]],
    ["Learning rate", [{ ...ofSteps("rate", ({ learningRate }) => learningRate), smooth: false }]],
    ["Pairs a second", [ofSteps("training", ({ pairs, seconds }) => pairs / seconds)]],
  ];
  const drawn = charts.map(([title, lines]) => chart(title, lines)).filter((svg) => svg !== "");
  return `<div class="charts">${drawn.join("\n")}</div>`;
}

/** How often each dataset came, and its losses in the last tenth of its steps. */
function datasetTable(steps: readonly StepRecord[], validations: readonly ValidationRecord[]): string {
  const rows: string[] = [];
  const cell = (value: number | null | undefined): string =>
    `<td>${value === null || value === undefined ? "-" : value.toFixed(3)}</td>`;
  const mean = (values: readonly (number | null)[]): number | null => {
    const numbers = values.filter((value) => value !== null);
    return numbers.length === 0 ? null : numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
  };
  for (const [dataset, own] of Map.groupBy(steps, (step) => step.dataset)) {
    const last = own.slice(-Math.ceil(own.length / 10));
    const values = [
      mean(last.map(({ lm }) => lm)),
      mean(last.map((it) => it.contrastive)),
      mean(last.map((it) => it.hits)),
    ];
    rows.push(`<tr><th>${escapeHtml(dataset)}</th><td>${own.length} steps</td>${values.map(cell).join("")}</tr>`);
  }
  for (const [dataset, own] of Map.groupBy(validations, (record) => record.dataset)) {
    const last = own.at(-1)!;
    const values = [last.lm, last.contrastive, last.p1].map(cell).join("");
    rows.push(`<tr><th>${escapeHtml(dataset)}</th><td>validation, ${last.pairs} pairs</td>${values}</tr>`);
  }
  if (rows.length === 0) return "";
  return `<h2>Datasets</h2><div class="wide"><table><thead><tr><th>dataset</th><th></th><th>LM loss</th><th>contrastive</th><th>P@1</th></tr></thead><tbody>${rows.join("")}</tbody></table></div>
<p>Training rows are means over the last tenth of a dataset's steps, validation rows the last validation.</p>`;
}

const STYLE = `
:root{color-scheme:light dark;--text:#1b1f24;--soft:#5b6570;--line:#d5dae0;--back:#fff;--c0:#0b62c4;--c1:#b3430e;--c2:#1b7f4b;--c3:#7a3fb0;--c4:#8a6d00;--c5:#b0235f}
@media (prefers-color-scheme:dark){:root{--text:#e7ebf0;--soft:#9aa5b1;--line:#39414a;--back:#14181d;--c0:#6fb2ff;--c1:#ff9d66;--c2:#68d39b;--c3:#c79bf2;--c4:#e0c24d;--c5:#ff8fb8}}
body{margin:0;background:var(--back);color:var(--text);font:15px/1.45 system-ui,sans-serif}
main{max-width:1180px;margin:0 auto;padding:16px}
h1{font-size:1.35rem;overflow-wrap:anywhere}h2{font-size:1.1rem}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(170px,1fr));gap:10px 18px;margin:0 0 20px}
dt{color:var(--soft);font-size:.82rem}dd{margin:0;overflow-wrap:anywhere}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(340px,100%),1fr));gap:18px}
figure{margin:0}figcaption{font-weight:600;margin-bottom:2px}svg{width:100%;height:auto;display:block}
svg text{fill:var(--soft);font-size:11px}.legend{font-size:.82rem;color:var(--soft)}
.wide{overflow-x:auto}table{border-collapse:collapse}th,td{padding:4px 12px 4px 0;text-align:left;border-bottom:1px solid var(--line);font-variant-numeric:tabular-nums}
pre{overflow-x:auto;font-size:.85rem}
`;
