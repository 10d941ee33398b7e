/** `rge eval compare`: the table of two runs. */
import { UsageError } from "../errors.ts";
import { compareRuns, type ComparedFigures, type Comparison } from "../eval/compare.ts";
import type { Arguments } from "./arguments.ts";
import type { CommandContext } from "./command.ts";
import { percentCell } from "./eval-table.ts";
import { EXIT } from "./exit-status.ts";
import { writeText } from "./output.ts";

/**
 * Compares as the command line says.
 * @returns the exit status
 * @throws {UsageError} no two folders
 */
export async function runEvalCompare(args: Arguments, { messages }: CommandContext): Promise<number> {
  const [a, b, ...others] = args.positionals;
  if (a === undefined || b === undefined || others.length > 0)
    throw new UsageError("eval compare wants two folders that `rge eval mmeb --out` wrote");
  const comparison = await compareRuns(a, b);
  if (comparison.leftOut.length > 0)
    messages.notice(`only one run has ${comparison.leftOut.join(", ")}; left out, of the means as well`);
  await writeText(
    process.stdout,
    args.has("json") ? `${JSON.stringify(comparison, null, 2)}\n` : comparisonTable(comparison),
  );
  return EXIT.done;
}

function comparisonTable({ datasets, means }: Comparison): string {
  const width = Math.max(22, ...datasets.map(({ name }) => name.length + 1));
  const head = `${"".padEnd(width)}     A       B     B-A   95%                  p   gained  lost`;
  const line = ({ name, a, b, difference, interval, p }: ComparedFigures): string =>
    `${name.padEnd(width)}${percentCell(a)}  ${percentCell(b)}  ${signed(difference)}  ${signed(interval.low)} to ${signed(interval.high)}  ${p.toFixed(3)}`;
  const rows = datasets.map(
    (dataset) =>
      `${line(dataset)}  ${String(dataset.gained).padStart(7)} ${String(dataset.lost).padStart(5)}${dataset.significant ? "  *" : ""}`,
  );
  const foot = "* holds at 0.05 with all datasets tested together (Holm)";
  return `${[head, ...rows, ...means.map(line), foot].join("\n")}\n`;
}

function signed(share: number): string {
  const text = (100 * share).toFixed(1);
  return (share > 0 ? `+${text}` : text).padStart(6);
}
