/** `rge eval`: options, progress, the table and the files. */
import { writeFile } from "node:fs/promises";
import { messageOf, UsageError } from "../errors.ts";
import { evaluateScenes, type Budget, type BudgetFigures, type ScenesQuery } from "../eval/scenes.ts";
import { readScenes } from "../eval/scenes-folder.ts";
import { namedGroups } from "../eval/means.ts";
import { machineName, packageVersion } from "../provenance.ts";
import type { Arguments } from "./arguments.ts";
import { budgetOf, MAX_BUDGET } from "./budgets.ts";
import type { CommandContext } from "./command.ts";
import { loadEvalModel } from "./eval-model.ts";
import { percentCell } from "./eval-table.ts";
import { EXIT } from "./exit-status.ts";
import { writeText } from "./output.ts";

/** What was measured, with what, on what. */
interface EvalReport {
  readonly version: string;
  readonly machine: string;
  readonly time: string;
  readonly seconds: number;
  readonly model: string;
  readonly modelHash: string;
  readonly weights: string;
  readonly data: string;
  readonly dataSeed: number;
  readonly limit: number | null;
  readonly budgets: readonly BudgetFigures[];
}

/**
 * Evaluates as the command line says.
 * @returns the exit status
 * @throws {UsageError} options that cannot be carried out
 */
export async function runEval(args: Arguments, context: CommandContext): Promise<number> {
  const { messages, interrupt } = context;
  if (args.positionals.length > 0)
    throw new UsageError(`eval takes no words beside its options, got "${args.positionals[0]}"`);
  const data = args.required("data", "a folder that `rge scenes` wrote");
  const budgets = budgetsOf(args.text("budgets") ?? "64");
  const [limit, output, queryFile] = [args.whole("limit", 1), args.text("output"), args.text("queries")];
  const { seed } = readScenes(data);
  const startedMs = performance.now();
  const queryLines: string[] = [];
  await using model = await loadEvalModel(args, context);
  try {
    const figures = await evaluateScenes(
      { ...model.plan, bounds: {} },
      {
        folder: data,
        budgets,
        datasets: args.text("datasets")?.split(","),
        limit,
        signal: interrupt.signal,
        onProgress: (what, done, total) => messages.progress.update({ what, done, total, unit: "items" }),
        ...(queryFile !== undefined && { onQuery: (query: ScenesQuery) => void queryLines.push(queryLine(query)) }),
      },
    );
    messages.progress.clear();
    const report: EvalReport = {
      version: packageVersion(),
      machine: machineName(),
      time: new Date().toISOString(),
      seconds: Math.round((performance.now() - startedMs) / 100) / 10,
      model: model.name,
      modelHash: model.info.hash,
      weights: model.weights,
      data,
      dataSeed: seed,
      limit: limit ?? null,
      budgets: figures,
    };
    const json = JSON.stringify(report, null, 2);
    // Told before anything is written: a file that cannot be must not take the figures with it.
    await writeText(process.stdout, args.has("json") ? `${json}\n` : figures.map(tableOf).join("\n"));
    if (output !== undefined) await write(output, `${json}\n`, "--output");
    if (queryFile !== undefined) await write(queryFile, queryLines.join(""), "--queries");
    return EXIT.done;
  } finally {
    messages.progress.clear();
  }
}

function budgetsOf(text: string): Budget[] {
  return text.split(",").map((part) => {
    if (part === "oracle") return part;
    const budget = budgetOf(part);
    if (budget !== undefined) return budget;
    throw new UsageError(`--budgets has whole numbers from 0 to ${MAX_BUDGET}, or oracle; got ${JSON.stringify(part)}`);
  });
}

async function write(path: string, text: string, option: string): Promise<void> {
  try {
    await writeFile(path, text);
  } catch (error) {
    throw new UsageError(`${option} ${path}: ${messageOf(error)}`, { cause: error });
  }
}

function queryLine({ dataset, query, right, predicted, outcome }: ScenesQuery): string {
  const { ranked, scores, rationale, finish } = outcome;
  const line = {
    dataset,
    query: outcome.query,
    right,
    predicted,
    hit: ranked[0] === 0,
    rationale,
    oracle: query.rationale,
    finish,
    scores: [...scores].map((score) => Number(score.toFixed(4))),
  };
  return `${JSON.stringify(line)}\n`;
}

/** The figures at one budget, as columns. */
export function tableOf({ budget, datasets, means }: BudgetFigures): string {
  const head = `${`budget ${budget}`.padEnd(22)}      P@1  oracle  tokens   cut`;
  const rows = datasets.map(
    ({ name, ood, p1, contentShare, rationaleTokens, cutShare }) =>
      `${name.padEnd(22)}${ood ? "OOD" : "IND"}${percentCell(p1)}  ${percentCell(contentShare)}  ${rationaleTokens.toFixed(1).padStart(6)}${percentCell(cutShare)}`,
  );
  return `${[head, ...rows, ...namedGroups(means).map(([name, share]) => `${name.padEnd(22)}   ${percentCell(share)}`)].join("\n")}\n`;
}
