/** `rge rationales`: rows of a training set in, rows with rationales and rejected rows out, in the input's order. */
import { readFile, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { curate, type CuratedRow } from "../curate/curate.ts";
import { completionsUrl, engineKey } from "../curate/endpoint.ts";
import { ChatEngine } from "../curate/engine.ts";
import { instructionsOf, ORACLE_PROMPT } from "../curate/prompt.ts";
import { readEarlier, type EarlierLines } from "../curate/row-lines.ts";
import { countRows, readRows, rowFiles, type FileRow } from "../dataset/row-files.ts";
import { TRAIN_FIELDS } from "../dataset/train-row.ts";
import { EngineError, InputError, messageOf, UsageError } from "../errors.ts";
import type { CommandContext } from "./command.ts";
import { EXIT, StatusError } from "./exit-status.ts";
import { isSameFile } from "./input.ts";
import { openOutput, writeText, type Output } from "./output.ts";
import type { RationalesPlan } from "./rationales-plan.ts";
import { formatCount, formatDuration } from "./units.ts";

/** Largest file of instructions, in bytes; they go with every request. */
const MAX_PROMPT_BYTES = 64 * 2 ** 10;
/** Rows without an answer that are told one by one; the summary counts all. */
const SHOWN_FAILURES = 3;

/** What became of the rows, those of an earlier run included. */
interface Tally {
  rows: number;
  accepted: number;
  readonly rejected: Map<string, number>;
  failed: number;
}

/** The two files of a run and what they held. */
interface Results extends AsyncDisposable {
  readonly earlier: EarlierLines["rows"];
  readonly accepted: Output;
  readonly rejected: Output;
}

/**
 * Asks for the rationales of `plan.input`.
 * @returns `EXIT.done` where every row was answered, whether its rationale was accepted or not
 * @throws {UsageError} files that cannot be opened as asked
 * @throws {StatusError} rows that got no answer, or could not be used
 * @throws {EngineError} an engine that refuses or has stopped to answer
 */
export async function writeRationales(
  plan: RationalesPlan,
  { messages, interrupt, json }: CommandContext & { json: boolean },
): Promise<number> {
  const { signal } = interrupt;
  const { model, maxTokens, maxWords, temperature, timeoutMs, maxRetries, concurrency, imageRoot } = plan;
  const url = completionsUrl(plan.engine);
  const engine = new ChatEngine({
    url,
    key: engineKey(process.env),
    model,
    maxTokens,
    temperature,
    timeoutMs,
    maxRetries,
  });
  const instructions = instructionsOf(await promptOf(plan), maxWords);
  const file = await inputFile(plan);
  const total = Math.min(await countRows(file, signal), plan.limit ?? Infinity);
  await using results = await openResults(plan);
  const tally: Tally = { rows: 0, accepted: 0, rejected: new Map(), failed: 0 };
  const show = (): void => messages.progress.update({ what: "rationales", done: tally.rows, total, unit: "items" });
  const startedMs = performance.now();
  show();
  try {
    const rows = firstRows(readRows(file, { columns: TRAIN_FIELDS, signal }), plan.limit);
    const settings = { imageRoot, instructions, maxWords, model, concurrency };
    for await (const row of curate(rows, results.earlier, engine, settings, signal)) {
      await write(row, results);
      count(row, tally);
      if (row.kind === "failed" && tally.failed <= SHOWN_FAILURES) messages.notice(row.problem);
      show();
    }
  } catch (error) {
    if (!(error instanceof UsageError))
      messages.notice(`stopped after ${formatCount(tally.rows)} rows; --resume goes on from there`);
    throw error;
  } finally {
    messages.progress.clear();
  }
  if (json) await writeText(process.stdout, `${JSON.stringify(summaryOf(tally, plan))}\n`);
  else messages.notice(describe(tally, plan, performance.now() - startedMs));
  if (!json && resolve(imageRoot) !== resolve(dirname(plan.output)))
    messages.notice(`image paths are relative to ${imageRoot}: name it where you train on ${plan.output}`);
  throwIfIncomplete(tally, plan);
  return EXIT.done;
}

async function promptOf({ prompt }: RationalesPlan): Promise<string> {
  if (prompt === undefined) return ORACLE_PROMPT;
  let text: string;
  try {
    const { size } = await stat(prompt);
    if (size > MAX_PROMPT_BYTES) throw new UsageError(`${size} bytes, at most ${MAX_PROMPT_BYTES} are taken`);
    text = await readFile(prompt, "utf8");
  } catch (error) {
    throw new UsageError(`--prompt ${prompt}: ${messageOf(error)}`, { cause: error });
  }
  if (text.trim() === "") throw new UsageError(`--prompt ${prompt}: empty, expected the instructions for the model`);
  return text;
}

async function inputFile({ input, output, rejects }: RationalesPlan): Promise<string> {
  const [file] = await rowFiles(input);
  if (file !== input) throw new UsageError(`--input ${input}: a folder; give its files one by one`);
  const same = (await isSameFile(input, output)) || (await isSameFile(input, rejects));
  if (same) throw new UsageError("--input is also a file that is to be written");
  if (resolve(output) === resolve(rejects) || (await isSameFile(output, rejects)))
    throw new UsageError("--output and --rejects are one file");
  return file;
}

async function openResults({ output, rejects, existing }: RationalesPlan): Promise<Results> {
  if (existing !== "resume") return await openBoth(new Map(), [output, existing], [rejects, existing]);
  const [before, refused] = [await readEarlier(output, "accepted"), await readEarlier(rejects, "rejected")];
  // A row that was unusable once and was accepted later stands in both.
  const earlier = new Map([...refused.rows, ...before.rows]);
  return await openBoth(earlier, [output, { keepBytes: before.bytes }], [rejects, { keepBytes: refused.bytes }]);
}

async function openBoth(
  earlier: Results["earlier"],
  output: [path: string, existing: Parameters<typeof openOutput>[1]],
  rejects: typeof output,
): Promise<Results> {
  // First, so that a file of rejects that is to be refused leaves no empty output behind.
  const rejected = await openOutput(...rejects, "--rejects");
  let accepted: Output;
  try {
    accepted = await openOutput(...output);
  } catch (error) {
    await rejected[Symbol.asyncDispose]();
    throw error;
  }
  return {
    earlier,
    accepted,
    rejected,
    [Symbol.asyncDispose]: async () => {
      await accepted[Symbol.asyncDispose]();
      await rejected[Symbol.asyncDispose]();
    },
  };
}

async function* firstRows(rows: AsyncIterable<FileRow>, limit = Infinity): AsyncGenerator<FileRow, void, void> {
  let taken = 0;
  for await (const row of rows) {
    yield row;
    if (++taken >= limit) return;
  }
}

async function write(row: CuratedRow, { accepted, rejected }: Results): Promise<void> {
  if (row.kind === "failed" || row.line === undefined) return;
  await (row.kind === "accepted" ? accepted : rejected).write(row.line);
}

function count(row: CuratedRow, tally: Tally): void {
  tally.rows++;
  if (row.kind === "accepted") tally.accepted++;
  else if (row.kind === "failed") tally.failed++;
  else tally.rejected.set(row.reason, (tally.rejected.get(row.reason) ?? 0) + 1);
}

function summaryOf({ rows, accepted, rejected, failed }: Tally, { output, rejects }: RationalesPlan): object {
  return { rows, accepted, rejected: Object.fromEntries(rejected), failed, output, rejects };
}

/** `95 of 100 rows accepted in 3.2 s; 5 rejected (3 too-long, 2 empty), in out.rejects.jsonl` */
function describe({ rows, accepted, rejected, failed }: Tally, { rejects }: RationalesPlan, elapsedMs: number): string {
  const parts = [`${formatCount(accepted)} of ${formatCount(rows)} rows accepted in ${formatDuration(elapsedMs)}`];
  const reasons = [...rejected].sort(([, a], [, b]) => b - a);
  const sum = reasons.reduce((total, [, number]) => total + number, 0);
  const list = reasons.map(([reason, number]) => `${formatCount(number)} ${reason}`).join(", ");
  if (sum > 0) parts.push(`${formatCount(sum)} rejected (${list}), in ${rejects}`);
  if (failed > 0) parts.push(`${formatCount(failed)} without an answer`);
  return parts.join("; ");
}

function throwIfIncomplete({ rows, rejected, failed }: Tally, { rejects }: RationalesPlan): void {
  const unusable = rejected.get("unusable") ?? 0;
  if (failed > 0)
    throw new StatusError(
      EXIT.itemsFailed,
      new EngineError(`${failed} of ${rows} rows got no answer; --resume asks for them again`),
    );
  if (unusable > 0)
    throw new StatusError(
      EXIT.itemsFailed,
      new InputError(
        `${unusable} of ${rows} rows cannot be used; ${rejects} says why. --resume takes them up once that is mended`,
      ),
    );
}
