/**
 * Writes docs/results.md, its curves and its gallery from what `npm run nano` and `npm run nano:ablation` measured.
 *
 *   node nano/results.ts [--work DIR]
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import type { Budget, BudgetFigures } from "../src/eval/scenes.ts";
import type { Means } from "../src/eval/means.ts";
import { readLog } from "../src/train/index.ts";
import { lineChart, type Line } from "./line-chart.ts";

const DOCS = join(import.meta.dirname, "../docs");
const GALLERY = "gallery";
/** As `meanCells` gives them. */
const MEANS = ["classification", "vqa", "retrieval", "grounding", "IND", "OOD", "overall"];
/** Queries of the gallery: of these datasets the first that hits and the first that fails. */
const SHOWN = ["TwoHop", "ThreeHop", "Change", "Reached", "Count", "CaptionToImage", "TwoHopCrop", "SymbolNovel"];

interface Report {
  readonly machine: string;
  readonly time: string;
  readonly modelHash: string;
  readonly budgets: readonly BudgetFigures[];
}

interface Query {
  readonly dataset: string;
  readonly query: { readonly text: string; readonly image?: string };
  readonly right: { readonly text: string; readonly image?: string };
  readonly predicted: { readonly text: string; readonly image?: string };
  readonly hit: boolean;
  readonly rationale: string;
  readonly oracle: string;
}

const { values } = parseArgs({
  options: { work: { type: "string", default: join(import.meta.dirname, "work") } },
});
const work = resolve(values.work);
const nano = readReport("nano.json");
const commit = execFileSync("git", ["log", "-1", "--format=%h"], { encoding: "utf8" }).trim();
const sections = [intro(), nanoSection(), budgetSection(), ablationSection(), trainingSection(), gallerySection()];
writeFileSync(join(DOCS, "results.md"), `${sections.join("\n\n")}\n`);

function readReport(name: string): Report {
  return JSON.parse(readFileSync(join(work, name), "utf8")) as Report;
}

function percent(share: number | null | undefined): string {
  return share === null || share === undefined ? "-" : (100 * share).toFixed(1);
}

function tableLine(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [
    tableLine(head),
    `|${head.map((_, i) => (i === 0 ? "---" : "---:")).join("|")}|`,
    ...rows.map(tableLine),
  ].join("\n");
}

function meanCells({ metaTasks, ind, ood, overall }: Means): number[] {
  return [
    metaTasks["classification"]!,
    metaTasks["vqa"]!,
    metaTasks["retrieval"]!,
    metaTasks["grounding"]!,
    ind!,
    ood!,
    overall,
  ];
}

function intro(): string {
  return `# Results on Scenes

P@1 in percent on Scenes' evaluation sets, 500 queries a dataset; means count datasets. Made by \`npm run nano\`,
\`npm run nano:ablation\` and \`node nano/results.ts\` at commit ${commit}; ${nano.machine}. Pictures: \`rge scenes --train 12000 --eval 500 --seed 1\`.
Seeds of training are told with each table.`;
}

function nanoSection(): string {
  const direct = nano.budgets.find(({ budget }) => budget === 0)!;
  const reasoned = nano.budgets.at(-1)!;
  const rows = reasoned.datasets.map((figures, i): string[] => [
    figures.name,
    `${figures.metaTask}, ${figures.ood ? "OOD" : "IND"}`,
    `${figures.hops}`,
    percent(direct.datasets[i]!.p1),
    `**${percent(figures.p1)}**`,
    percent(figures.contentShare),
    percent(figures.p1WhereSame),
    percent(figures.p1WhereOther),
    figures.rationaleTokens.toFixed(1),
  ]);
  const means = MEANS.map((name, i): string[] => [
    `**${name}**`,
    "",
    "",
    percent(meanCells(direct.means)[i]),
    `**${percent(meanCells(reasoned.means)[i])}**`,
    "",
    "",
    "",
    "",
  ]);
  return `## nano, dataset by dataset

\`rge eval --data scenes --budgets 0,8,16,32,64\`, model ${nano.modelHash.slice(0, 12)}, training seed 0. "Same" is the share of rationales that say what the
oracle's says, in whatever words; then P@1 among those queries and among the others. "Without" is the same model asked directly,
which it was not trained for; the baseline that was trained for it is \`direct\` below.

${table(["dataset", "", "steps", "without", "reasoned", "same", "P@1 where same", "where other", "tokens"], [...rows, ...means])}`;
}

function budgetSection(): string {
  const budgets = nano.budgets.filter((it): it is BudgetFigures & { budget: number } => it.budget !== "oracle");
  const lines = MEANS.map((name, i): Line => ({
    name,
    points: budgets.map(({ budget, means }) => [budget, 100 * meanCells(means)[i]!]),
  }));
  writeFileSync(join(DOCS, "budget.svg"), lineChart("P@1 (%) by tokens of rationale", lines));
  const rows = budgets.map(({ budget, means }) => [`${budget}`, ...meanCells(means).map(percent)]);
  return `## Budget of reasoning

A rationale that runs out of tokens is cut and \`<emb>\` put after it; 0 is no rationale.

${table(["tokens", ...MEANS], rows)}

![P@1 by budget](budget.svg)`;
}

function ablationSection(): string {
  const arms = ["rge", "direct", "direct-time", "direct-lm", "oracle"];
  const rows = arms.flatMap((arm) => {
    const reports = reportsOf(arm);
    const budgets = reports[0]?.budgets.map(({ budget }) => budget) ?? [];
    return budgets.map((budget): string[] => {
      const cells = figuresAt(reports, budget).map(({ means }) => meanCells(means));
      return [
        arm,
        budget === "oracle" ? "the oracle's" : budget === 0 ? "none" : "own",
        `${reports.length}`,
        `${stepsOf(arm)}`,
        ...cells[0]!.map((_, i) => withSpread(cells.map((cell) => cell[i]!))),
      ];
    });
  });
  if (rows.length === 0) return "";
  return `## What reasoning adds

\`npm run nano:ablation -- --steps ${stepsOf("rge")}\`. All arms start from the same model (the end of stage "practise") and have the same data, batches and optimizer; means over training seeds 0, 1, 2, with the
sample standard deviation. \`direct\` is the paper's baseline, contrast without rationales, for as many steps; \`direct-time\` for as much time as \`rge\`
took; \`direct-lm\` keeps the LM term; \`oracle\` has contrast on the oracle's rationales, which are not there when the model is used.

${table(["arm", "rationale read", "seeds", "steps", ...MEANS], rows)}

${byDataset()}

${whereNotSection()}

${leakSection()}`;
}

/** P@1 of the arms on each dataset, means over seeds. */
function byDataset(): string {
  const armsShown = [
    ["rge", 64],
    ["direct", 0],
    ["direct-time", 0],
    ["oracle", 64],
  ] as const;
  const columns = armsShown.flatMap(([arm, budget]) => {
    const p1 = meanP1(arm, budget);
    return p1 === undefined ? [] : [{ arm, p1 }];
  });
  const { datasets } = nano.budgets[0]!;
  const rows = datasets.map(({ name, hops, ood }, i) => [
    name,
    ood ? "OOD" : "IND",
    `${hops}`,
    ...columns.map(({ p1 }) => percent(p1[i])),
  ]);
  return table(["dataset", "", "steps", ...columns.map(({ arm }) => arm)], rows);
}

/** Datasets on which an arm without rationales is at least as good, in the time that `rge` took. */
function whereNotSection(): string {
  const [reasoned, direct] = [meanP1("rge", 64), meanP1("direct-time", 0)];
  if (reasoned === undefined || direct === undefined) return "";
  const worse = nano.budgets[0]!.datasets.flatMap(({ name }, i) =>
    reasoned[i]! > direct[i]! ? [] : [`${name} (${percent(reasoned[i])} against ${percent(direct[i])})`],
  );
  if (worse.length === 0) return "Reasoning helps on every dataset.";
  return `Reasoning does not help, in equal time, on ${worse.join(", ")}.`;
}

/** Why contrast on the oracle's rationales does or does not fail: queries told apart by whether the model writes what the oracle does. */
function leakSection(): string {
  const rows = ["rge", "oracle"].flatMap((arm) => {
    const reports = reportsOf(arm);
    if (reports.length === 0) return [];
    const splits = figuresAt(reports, 64).map(({ datasets }) => splitOf(datasets));
    return [[arm, ...(["share", "same", "other"] as const).map((key) => withSpread(splits.map((it) => it[key])))]];
  });
  return `### Training on the oracle's rationales

The paper argues that contrast on the oracle's rationales, which leak the answer, leaves a model that cannot use its own. All queries of all datasets, by whether the
rationale that the model itself wrote says what the oracle's does:

${table(["arm", "share that says the same", "P@1 where it does", "P@1 where not"], rows)}

Where the model's own rationale says what the oracle's does, nothing has leaked, and contrast on rationales that are always right is the cleaner lesson. Where it says
something else, the arm that was trained on its own rationales is to be ahead, as the paper argues. Scenes' rationales follow from the query alone and are learnt beforehand, so
the first kind is the more common here; in the paper, whose oracle sees the target, the second may well be.`;
}

/** Share of rationales that say what the oracle's says, and P@1 among those queries and among the others. */
function splitOf(datasets: BudgetFigures["datasets"]): { share: number; same: number; other: number } {
  const sums = { queries: 0, same: 0, hitsSame: 0, hitsOther: 0 };
  for (const { queries, contentShare, p1WhereSame, p1WhereOther } of datasets) {
    sums.queries += queries;
    sums.same += contentShare * queries;
    sums.hitsSame += contentShare * queries * (p1WhereSame ?? 0);
    sums.hitsOther += (1 - contentShare) * queries * (p1WhereOther ?? 0);
  }
  const { queries, same, hitsSame, hitsOther } = sums;
  return { share: same / queries, same: hitsSame / same, other: hitsOther / (queries - same) };
}

/** P@1 of an arm on each dataset, means over seeds; `undefined` where it has not run. */
function meanP1(arm: string, budget: number): number[] | undefined {
  const lists = figuresAt(reportsOf(arm), budget).map(({ datasets }) => datasets);
  return lists[0]?.map((_, i) => lists.reduce((sum, list) => sum + list[i]!.p1, 0) / lists.length);
}

/** What the arm's seeds came to. */
function reportsOf(arm: string): Report[] {
  return globSync(`ablation/${arm}-[0-9].json`, { cwd: work }).sort().map(readReport);
}

/** Each report's figures at one budget. */
function figuresAt(reports: readonly Report[], budget: Budget): BudgetFigures[] {
  return reports.map(({ budgets }) => budgets.find((it) => it.budget === budget)!);
}

/** Steps of the arm's first seed; those of `direct-time` differ a little by seed. */
function stepsOf(arm: string): number {
  const log = readLog(join(work, "ablation", `${arm}-0`, "log.jsonl"));
  return log.findLast((record) => record.type === "step")!.step;
}

/** `84.1 ± 0.6` */
function withSpread(shares: readonly number[]): string {
  const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
  if (shares.length < 2) return percent(mean);
  const variance = shares.reduce((sum, share) => sum + (share - mean) ** 2, 0) / (shares.length - 1);
  return `${percent(mean)} ± ${percent(Math.sqrt(variance))}`;
}

function trainingSection(): string {
  const parts = [
    ["see", "Stage see: LM loss"],
    ["practise", "Stage practise: LM loss"],
    ["reason", "Stage reason: LM loss, contrastive loss"],
  ] as const;
  const lines = parts.map(([name, title]) => {
    const log = join(work, name, "log.jsonl");
    writeFileSync(join(DOCS, `training-${name}.jsonl.gz`), gzipSync(readFileSync(log)));
    const steps = readLog(log).filter((record) => record.type === "step");
    const curve = (key: "lm" | "contrastive"): Line => ({
      name: key,
      points: steps.flatMap((record): [number, number][] => {
        const value = record[key];
        return value === null ? [] : [[record.step, value]];
      }),
    });
    const curves = [curve("lm"), curve("contrastive")].filter(({ points }) => points.length > 0).map(smoothed);
    writeFileSync(join(DOCS, `training-${name}.svg`), lineChart(title, curves));
    const seconds = steps.reduce((sum, record) => sum + record.seconds, 0);
    const pairs = steps.reduce((sum, record) => sum + record.pairs, 0);
    return `| ${name} | ${steps.length} | ${pairs} | ${(seconds / 60).toFixed(0)} |`;
  });
  return `## Training

Settings: \`nano/see.json\`, \`nano/practise.json\`, \`nano/reason.json\`, seed 0 each; logs: \`docs/training-*.jsonl.gz\`.

| stage | steps | pairs | minutes |
|---|---:|---:|---:|
${lines.join("\n")}

![LM loss of stage see](training-see.svg) ![LM loss of stage practise](training-practise.svg) ![losses of stage reason](training-reason.svg)`;
}

/** Means over stretches, so that a curve of thousands of steps can be seen. */
function smoothed({ name, points }: Line): Line {
  const stretch = Math.max(1, Math.floor(points.length / 150));
  const means: [number, number][] = [];
  for (let at = 0; at + stretch <= points.length; at += stretch) {
    const part = points.slice(at, at + stretch);
    means.push([part.at(-1)![0], part.reduce((sum, [, y]) => sum + y, 0) / stretch]);
  }
  return { name, points: means };
}

function gallerySection(): string {
  const folder = join(DOCS, GALLERY);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const queries = readFileSync(join(work, "nano-queries.jsonl"), "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Query);
  const picked = SHOWN.flatMap((name) =>
    [true, false].flatMap((hit) => queries.find((it) => it.dataset === name && it.hit === hit) ?? []),
  );
  const rows = picked.map(({ dataset, query, right, predicted, hit, rationale, oracle }) => [
    dataset,
    sideOf(query, folder),
    rationale,
    hit ? "the same" : oracle,
    sideOf(right, folder),
    hit ? "right" : `wrong: ${sideOf(predicted, folder)}`,
  ]);
  return `## Gallery

Of some datasets the first query that nano answers rightly, and the first that it does not.

${table(["dataset", "query", "nano wrote", "oracle", "to be found", "found"], rows).replaceAll("---:", "---")}`;
}

function sideOf({ text, image }: Query["query"], folder: string): string {
  const words = text.replace(/<\|[^|]*\|>\n?/g, "").trim();
  if (image === undefined) return words;
  const name = basename(image);
  if (!existsSync(join(folder, name))) copyFileSync(image, join(folder, name));
  return `![](${GALLERY}/${name}) ${words.startsWith("Represent the") ? "" : words}`.trim();
}
