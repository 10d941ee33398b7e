/** `rge eval ablate`: options, progress, the table and the file. */
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { WeightFormat } from "../embed/types.ts";
import { UsageError } from "../errors.ts";
import { ablate, otherMeans, type VariantFigures } from "../eval/ablation.ts";
import { ablationReport } from "../eval/ablation-report.ts";
import { knownRationales } from "../eval/known-rationales.ts";
import type { LoadedModel } from "../eval/open-task.ts";
import { writeRunFile } from "../eval/run-benchmark.ts";
import { machineName, packageCommit, packageVersion } from "../provenance.ts";
import type { Arguments } from "./arguments.ts";
import { budgetOf, MAX_BUDGET } from "./budgets.ts";
import type { CommandContext } from "./command.ts";
import { openData } from "./eval-data.ts";
import { embeddingsFolder } from "./eval-files.ts";
import { loadEvalModel } from "./eval-model.ts";
import { boundsOf, evalSettings, reasoningFrom } from "./eval-settings.ts";
import { percentCell } from "./eval-table.ts";
import { EXIT } from "./exit-status.ts";
import { writeText } from "./output.ts";

const QUANTISED = ["int8", "int4"] as const;

/**
 * Runs the ablation that the command line says.
 * @returns the exit status
 * @throws {UsageError} options that cannot be carried out
 */
export async function runEvalAblate(args: Arguments, context: CommandContext): Promise<number> {
  const { messages, interrupt } = context;
  if (args.positionals.length > 0)
    throw new UsageError(`eval ablate takes no words beside its options, got "${args.positionals[0]}"`);
  const out = resolve(args.required("out", "the folder that figures go to, and that a stopped run goes on from"));
  const { benchmark, datasets, name, revision } = await openData(args, out, context);
  const { settings, queryRules, targetRules } = evalSettings(args, benchmark, "fp32");
  const budgets = budgetsOf(args.text("budgets") ?? `0,16,32,64,${settings.maxNewTokens}`);
  const formats = formatsOf(args.text("formats") ?? QUANTISED.join());
  const rationales = args.text("rationales");
  await mkdir(out, { recursive: true });
  let modelHash = "";
  try {
    const variants = await ablate({
      benchmark,
      datasets,
      queryRules,
      targetRules,
      budgets,
      reasoning: (maxNewTokens) => reasoningFrom({ ...settings, maxNewTokens }),
      known: rationales === undefined ? undefined : knownRationales(rationales),
      formats,
      limit: args.whole("limit", 1),
      withModel: async <T>(weights: WeightFormat, work: (model: LoadedModel) => Promise<T>): Promise<T> => {
        await using model = await loadEvalModel(args, context, { weights });
        modelHash = model.info.hash;
        return await work({
          plan: { ...model.plan, bounds: boundsOf(settings) },
          hidden: model.info.hidden,
          cacheFolder: embeddingsFolder(out, model.info),
        });
      },
      signal: interrupt.signal,
      onProgress: (what, done, total) => messages.progress.update({ what, done, total, unit: "items" }),
      onNotice: (text) => messages.notice(text),
    });
    messages.progress.clear();
    const report = {
      format: "rge-ablation/1",
      version: packageVersion(),
      commit: packageCommit(),
      machine: machineName(),
      time: new Date().toISOString(),
      model: args.text("model") ?? "nano",
      modelHash,
      data: name,
      dataRevision: revision,
      settings,
      queryRules: { name: queryRules.name, hash: queryRules.hash },
      targetRules: { name: targetRules.name, hash: targetRules.hash },
      limit: args.whole("limit", 1) ?? null,
      variants,
    };
    const json = `${JSON.stringify(report, null, 2)}\n`;
    await writeRunFile(join(out, "ablation.html"), ablationReport(report, variants));
    await writeRunFile(join(out, "ablation.json"), json);
    await writeText(process.stdout, args.has("json") ? json : ablationTable(variants));
    messages.notice(`report: ${join(out, "ablation.html")}`);
    return EXIT.done;
  } finally {
    messages.progress.clear();
  }
}

function budgetsOf(text: string): number[] {
  const budgets = text.split(",").map((part) => {
    const budget = budgetOf(part);
    if (budget !== undefined) return budget;
    throw new UsageError(`--budgets has whole numbers from 0 to ${MAX_BUDGET}; got ${JSON.stringify(part)}`);
  });
  return [...new Set(budgets)].sort((a, b) => a - b);
}

function formatsOf(text: string): (typeof QUANTISED)[number][] {
  if (text === "none") return [];
  return text.split(",").map((part) => {
    const format = QUANTISED.find((it) => it === part);
    if (format !== undefined) return format;
    throw new UsageError(`--formats has ${QUANTISED.join(" and ")}, or none; got ${JSON.stringify(part)}`);
  });
}

/** A line per variant: means, and how far its queries are from the reference's. */
function ablationTable(variants: readonly VariantFigures[]): string {
  const metaTasks = Object.keys(variants[0]!.means.metaTasks);
  const width = Math.max(...variants.map(({ name }) => name.length)) + 2;
  const head = `${"".padEnd(width)}overall   IND    OOD  ${metaTasks.map((name) => name.slice(0, 12).padStart(13)).join("")}   tokens    cut   cosine   same`;
  const rows = variants.map((variant) => {
    const { name, means } = variant;
    const { rationaleTokens, overrunShare, cosine, sameRationales } = otherMeans(variant);
    const cells = [
      percentCell(means.overall),
      percentCell(means.ind),
      percentCell(means.ood),
      " ".repeat(2) + metaTasks.map((task) => percentCell(means.metaTasks[task]).padStart(13)).join(""),
      rationaleTokens.toFixed(1).padStart(7),
      percentCell(overrunShare),
      (cosine?.toFixed(4) ?? "").padStart(7),
      percentCell(sameRationales),
    ];
    return `${name.padEnd(width)}${cells.join(" ")}`;
  });
  return `${[head, ...rows].join("\n")}\n`;
}
