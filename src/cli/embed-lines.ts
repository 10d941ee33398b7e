/** `rge embed --input items.jsonl`: items from a file or a pipe, answers in the same order. */
import { setMaxListeners } from "node:events";
import { InputError, messageOf, RationaleError, RuntimeError, UsageError } from "../errors.ts";
import type { Embedder } from "../embed/embedder.ts";
import { answerLine, failureLine } from "./answer-line.ts";
import { skipAnswered, type Answered } from "./answered.ts";
import type { CommandContext } from "./command.ts";
import type { EmbedPlan, ItemLines } from "./embed-plan.ts";
import { EXIT, StatusError } from "./exit-status.ts";
import { inOrder } from "../embed/in-order.ts";
import { isSameFile, openInput, type Input } from "./input.ts";
import { parseItemLine, type ItemDefaults, type ParsedLine } from "./item-line.ts";
import { isBlank, readLines } from "../lines.ts";
import { loadModel } from "./load-model.ts";
import { openOutput, standardOutput, type Output } from "./output.ts";
import { formatDuration } from "./units.ts";

/** Items at work or waiting to be written: a few batches of the library's default. */
const LEAST_AHEAD = 48;
/** Batches kept ready where the batch is larger than that. */
const BATCHES_AHEAD = 3;

/** An item's line of output. */
interface Answer {
  readonly text: string;
  /** What is wrong with the item. */
  readonly problem: string | undefined;
  /** What went wrong that is not the item's fault. */
  readonly fatal: unknown;
}

/**
 * Embeds the items of `work.input`, one line of output for each.
 * @returns whether all items were embedded, those of an earlier run included
 * @throws {UsageError} files that cannot be opened as asked
 * @throws {StatusError} the first item that fails, with `failFast`
 */
export async function embedLines(
  plan: EmbedPlan,
  work: ItemLines,
  context: CommandContext & { json: boolean },
): Promise<number> {
  const { messages, interrupt, json } = context;
  const input = await openInput(work.input);
  if (work.output !== "-" && (await isSameFile(work.input, work.output)))
    throw new UsageError("--input and --output are one file");
  using stop = new Stop(interrupt.signal);
  const items = parsedLines(input, plan.defaults, stop.signal);
  const { answered, output: opened } = await openWork(work, items);
  await using output = opened;
  const startedMs = performance.now();
  const tally = { items: answered.items, failed: answered.failed };
  try {
    await using embedder = await loadModel(plan, context);
    checkLength(answered, embedder, work);
    const total = json ? undefined : await input.count();
    const show = (): void => messages.progress.update({ what: "embedding", done: tally.items, total, unit: "items" });
    show();
    const ahead = Math.max(LEAST_AHEAD, BATCHES_AHEAD * (plan.load.batch ?? 0));
    for await (const { text, problem, fatal } of inOrder(items, (item) => answer(item, embedder, stop.signal), ahead)) {
      interrupt.signal.throwIfAborted();
      if (fatal !== undefined) throw fatal;
      await output.write(text);
      tally.items++;
      if (problem !== undefined) tally.failed++;
      if (problem !== undefined && work.failFast)
        throw new StatusError(EXIT.itemsFailed, new InputError(`${problem}; stopped there (--fail-fast)`));
      show();
    }
  } catch (error) {
    // Closing the input is how a stop shows itself to the reader; the reason is what counts.
    if (interrupt.signal.aborted) messages.notice(stopped(tally.items, work));
    throw error;
  } finally {
    messages.progress.clear();
    stop.now();
  }
  if (tally.failed > 0) {
    const where = `the lines with "error" in ${output.name} say why`;
    throw new StatusError(EXIT.itemsFailed, new InputError(`${tally.failed} of ${tally.items} items failed; ${where}`));
  }
  if (!json)
    messages.notice(`${tally.items - answered.items} items in ${formatDuration(performance.now() - startedMs)}`);
  return EXIT.done;
}

/** Ends the reading of the input when the program is interrupted, and when the work is over. */
class Stop implements Disposable {
  readonly #controller = new AbortController();
  readonly signal: AbortSignal;

  constructor(interrupt: AbortSignal) {
    this.signal = AbortSignal.any([interrupt, this.#controller.signal]);
    // Every item at work listens to it.
    setMaxListeners(0, this.signal);
  }

  now(): void {
    this.#controller.abort();
  }

  [Symbol.dispose](): void {
    this.now();
  }
}

async function openWork(
  { output, existing }: ItemLines,
  items: AsyncGenerator<ParsedLine>,
): Promise<{ answered: Answered; output: Output }> {
  const none: Answered = { items: 0, failed: 0, hidden: undefined, bytes: 0 };
  if (output === "-") return { answered: none, output: standardOutput() };
  if (existing !== "resume") return { answered: none, output: await openOutput(output, existing) };
  const answered = await skipAnswered(output, items);
  return { answered, output: await openOutput(output, { keepBytes: answered.bytes }) };
}

async function* parsedLines(
  input: Input,
  defaults: ItemDefaults,
  signal: AbortSignal,
): AsyncGenerator<ParsedLine, void, void> {
  for await (const line of readLines(input.read(signal)))
    if (!isBlank(line)) yield parseItemLine(line, defaults, input.folder);
}

/** Embeds one item; never rejects, so that a stop leaves nothing unhandled. */
async function answer(line: ParsedLine, embedder: Embedder, signal: AbortSignal): Promise<Answer> {
  const fail = (error: unknown): Answer => {
    const problem = `line ${line.number}: ${messageOf(error)}`;
    // Anything else (a worker that died) is no answer: it would strike every item after it, and a resumed run has to try again.
    const fatal = error instanceof InputError || error instanceof RationaleError ? undefined : error;
    return { text: failureLine(line.id, problem), problem, fatal };
  };
  if ("problem" in line) return fail(line.problem);
  try {
    const [result] = await embedder.embed([line.item], { signal });
    if (result === undefined) throw new RuntimeError("internal: no result for an item");
    return { text: answerLine(line.id, result), problem: undefined, fatal: undefined };
  } catch (error) {
    return fail(error);
  }
}

/** Another model's embeddings must not be mixed in; those of equal length cannot be told apart here. */
function checkLength({ hidden }: Answered, embedder: Embedder, { output }: ItemLines): void {
  if (hidden !== undefined && hidden !== embedder.info.hidden)
    throw new UsageError(
      `${output}: its embeddings have ${hidden} numbers, this model gives ${embedder.info.hidden}. Resume with the model that it was made with.`,
    );
}

function stopped(items: number, { output }: ItemLines): string {
  const goOn = output === "-" ? "" : `; --resume goes on from there`;
  return `stopped after ${items} items${goOn}`;
}
