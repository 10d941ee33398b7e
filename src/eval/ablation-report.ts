/** An ablation as one HTML page: the curve over budgets, a table of variants, a table of datasets. */
import { escapeHtml } from "../html.ts";
import { CHART_COLOURS, figure, linearScale, linePath, roundTicks } from "../svg-chart.ts";
import { otherMeans, type VariantFigures } from "./ablation.ts";
import { namedGroups } from "./means.ts";
import { REPORT_STYLE } from "./report-style.ts";
import { cell, percent, table, tableRow } from "./report-table.ts";

/** What the page says of the run beside its variants. */
export interface AblationFacts {
  readonly model: string;
  readonly modelHash: string;
  readonly data: string;
  readonly time: string;
  readonly machine: string;
  readonly limit: number | null;
}

const [WIDTH, HEIGHT] = [640, 300];
const MARGIN = { left: 44, right: 12, top: 10, bottom: 26 };

/** The page; all of it is in one file. */
export function ablationReport(facts: AblationFacts, variants: readonly VariantFigures[]): string {
  const { model, modelHash, data, time, machine, limit } = facts;
  const told = [
    ["Model", `${model} (${modelHash.slice(0, 12)})`],
    ["Data", data],
    ["Queries of each dataset", limit === null ? "all" : `the first ${limit}`],
    ["Machine", machine],
    ["Ended", time],
  ].map(([name, value]) => `<div><dt>${name}</dt><dd>${escapeHtml(value!)}</dd></div>`);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escapeHtml(`Ablation: ${model}`)}</title><style>${REPORT_STYLE}</style></head>
<body><main><h1>What reasoning, its budget and precision are worth</h1><dl>${told.join("")}</dl>
${curve(variants)}
<h2>Variants</h2>
<p>Percent; means count datasets alike. Cosine: of queries to those of "fp32 writes, fp32 reads"; same: share of equal rationales; cut: of rationales that the budget ended. "int4 writes, fp32 reads" is what decoding drifts, "fp32 writes, int4 reads" what reading out does.</p>
${variantsTable(variants)}
<h2>Datasets</h2>
${datasetsTable(variants)}
</main></body></html>
`;
}

/** Means by budget; nothing where there is one budget only. */
function curve(variants: readonly VariantFigures[]): string {
  const budgets = variants.filter(({ budget }) => budget !== undefined);
  if (budgets.length < 2) return "";
  const names = namedGroups(budgets[0]!.means).map(([name]) => name);
  const toX = linearScale([0, Math.max(...budgets.map(({ budget }) => budget!))], [MARGIN.left, WIDTH - MARGIN.right]);
  const toY = linearScale([0, 100], [HEIGHT - MARGIN.bottom, MARGIN.top]);
  const levels = roundTicks([0, 100]).map(
    (value) =>
      `<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${toY(value)}" y2="${toY(value)}" stroke="var(--line)"/><text x="${MARGIN.left - 6}" y="${toY(value) + 4}" text-anchor="end">${value}</text>`,
  );
  const feet = budgets.map(
    ({ budget }) => `<text x="${toX(budget!)}" y="${HEIGHT - 8}" text-anchor="middle">${budget}</text>`,
  );
  const lines = names.map((name, i) => {
    const points = budgets.map((variant) => [toX(variant.budget!), toY(valueOf(variant, name))] as const);
    const width = name === "overall" ? 3 : 1.6;
    return `<path d="${linePath(points)}" fill="none" stroke="${colourOf(i)}" stroke-width="${width}"/>`;
  });
  const last = budgets.at(-1)!;
  return figure({
    title: "Main metric by tokens that a rationale may have",
    told: names
      .map((name) => `${name}: ${valueOf(budgets[0]!, name).toFixed(1)} to ${valueOf(last, name).toFixed(1)}`)
      .join("; "),
    width: WIDTH,
    height: HEIGHT,
    content: [...levels, ...feet, ...lines].join(""),
    legend: names
      .map(
        (name, i) =>
          `<span style="color:${colourOf(i)}">■</span> ${escapeHtml(name)} ${valueOf(last, name).toFixed(1)}`,
      )
      .join(" &nbsp; "),
  });
}

/** In percent, of a group of datasets. */
function valueOf({ means }: VariantFigures, group: string): number {
  return 100 * new Map(namedGroups(means)).get(group)!;
}

/** Lines beyond the page's colours are drawn as text is. */
function colourOf(line: number): string {
  return line < CHART_COLOURS ? `var(--c${line})` : "var(--text)";
}

function variantsTable(variants: readonly VariantFigures[]): string {
  const groups = namedGroups(variants[0]!.means).map(([name]) => name);
  const rows = variants.map((variant) => {
    const { name, means } = variant;
    const of = new Map(namedGroups(means));
    const { rationaleTokens, overrunShare, cosine, sameRationales } = otherMeans(variant);
    return tableRow(escapeHtml(name), [
      ...groups.map((group) => cell(percent(of.get(group)!))),
      cell(rationaleTokens.toFixed(1)),
      cell(percent(overrunShare)),
      cell(cosine === undefined ? "" : cosine.toFixed(4)),
      cell(sameRationales === undefined ? "" : percent(sameRationales)),
    ]);
  });
  return table({
    label: "Variants",
    head: ["variant", ...groups.map(escapeHtml), "tokens", "cut", "cosine", "same"],
    rows,
  });
}

function datasetsTable(variants: readonly VariantFigures[]): string {
  const rows = variants[0]!.datasets.map(({ name }, i) =>
    tableRow(
      escapeHtml(name),
      variants.map(({ datasets }) => cell(percent(datasets[i]!.value))),
    ),
  );
  return table({ label: "Datasets", head: ["dataset", ...variants.map(({ name }) => escapeHtml(name))], rows });
}
