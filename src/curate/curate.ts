/** Gives each row of a training set a rationale by a larger model that sees the answer, or says why it has none. */
import { setMaxListeners } from "node:events";
import { basename } from "node:path";
import type { FileRow } from "../dataset/row-files.ts";
import { RowError } from "../dataset/row-text.ts";
import { RowChecker, type TrainRow } from "../dataset/train-row.ts";
import { inOrder } from "../embed/in-order.ts";
import { EngineError, InputError, UsageError } from "../errors.ts";
import { seededRandom } from "../random.ts";
import { isTransient, type ChatEngine } from "./engine.ts";
import { rejectionOf, type Rejection } from "./filters.ts";
import { askFor } from "./prompt.ts";
import { acceptedLine, hashOfRow, rejectedLine, type EarlierRow, type RowReason } from "./row-lines.ts";
import { Slots } from "./slots.ts";

/** How rows are worked on. */
export interface CurateSettings {
  /** Folder that image paths are relative to. */
  readonly imageRoot: string;
  /** What the model is told to write, ready to be sent. */
  readonly instructions: string;
  readonly maxWords: number;
  /** Named in the lines. */
  readonly model: string;
  /** Requests at a time. */
  readonly concurrency: number;
}

/** What became of a row. `line` is to be written, without a line break; a row whose line is there already has none. */
export type CuratedRow =
  | { readonly kind: "accepted"; readonly line: string | undefined }
  | { readonly kind: "rejected"; readonly reason: string; readonly line: string | undefined }
  | { readonly kind: "failed"; readonly problem: string };

/** What stops the run, beside what becomes of a row. */
type Outcome = CuratedRow | { readonly kind: "fatal"; readonly error: unknown };

/** Rows begun, as a multiple of the requests at a time: a slow answer must not leave the others idle. */
const AHEAD = 4;
/** Refusals that speak of the request, as where it is longer than the context; others hold for all rows. */
const OF_THE_ROW = new Set([400, 413, 422]);
/** Rows in a row that may fail before the engine counts as gone, at least. */
const MAX_FAILED_IN_A_ROW = 10;
/** The same while nothing has been answered yet: then it is rather the address that is wrong. */
const MAX_FAILED_AT_FIRST = 3;

/**
 * Works on rows as they come and yields what became of each, in order.
 * @param earlier what became of rows in an earlier run, by number; these are not asked again, unless the row itself was unusable
 * @throws {EngineError} a refusal that holds for every row, or an engine that has stopped to answer
 * @throws {UsageError} a row that is not the one of the earlier run
 * @throws the reason of `signal`, and whatever `rows` throws
 */
export async function* curate(
  rows: AsyncIterable<FileRow>,
  earlier: ReadonlyMap<number, EarlierRow>,
  engine: ChatEngine,
  settings: CurateSettings,
  signal: AbortSignal,
): AsyncGenerator<CuratedRow, void, void> {
  using work = new Work(engine, settings, earlier, signal);
  let failedInARow = 0;
  for await (const outcome of inOrder(rows, (row) => work.outcomeOf(row), AHEAD * settings.concurrency, signal)) {
    if (outcome.kind === "fatal") throw outcome.error;
    yield outcome;
    failedInARow = outcome.kind === "failed" ? failedInARow + 1 : 0;
    const allowed = work.hasWorked ? Math.max(MAX_FAILED_IN_A_ROW, 2 * settings.concurrency) : MAX_FAILED_AT_FIRST;
    if (outcome.kind === "failed" && failedInARow >= allowed)
      throw new EngineError(`${failedInARow} rows in a row got no answer, the last: ${outcome.problem}`);
  }
}

/** What the rows at work share. */
class Work implements Disposable {
  /** Whether the engine has ever given a usable answer: a refusal after that is about its row. */
  hasWorked: boolean;
  readonly #engine: ChatEngine;
  readonly #settings: CurateSettings;
  readonly #earlier: ReadonlyMap<number, EarlierRow>;
  readonly #checker: RowChecker;
  readonly #slots: Slots;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;

  constructor(
    engine: ChatEngine,
    settings: CurateSettings,
    earlier: ReadonlyMap<number, EarlierRow>,
    signal: AbortSignal,
  ) {
    this.#engine = engine;
    this.#settings = settings;
    this.#earlier = earlier;
    this.#checker = new RowChecker(settings.imageRoot);
    this.#slots = new Slots(settings.concurrency);
    this.#signal = AbortSignal.any([signal, this.#stop.signal]);
    // Every request under way listens to it.
    setMaxListeners(0, this.#signal);
    this.hasWorked = [...earlier.values()].some(({ reason }) => reason !== "unusable");
  }

  /** What becomes of a row; never rejects. */
  async outcomeOf(row: FileRow): Promise<Outcome> {
    try {
      return this.#earlierOutcome(row) ?? (await this.#slots.run(() => this.#ask(row)));
    } catch (error) {
      if (error instanceof RowError || error instanceof InputError) return this.#unusable(row, error.message);
      if (!(error instanceof EngineError) || this.#isFatal(error)) return { kind: "fatal", error };
      return { kind: "failed", problem: `${placeOf(row)}: ${error.message}` };
    }
  }

  /** Ends the requests under way. */
  [Symbol.dispose](): void {
    this.#stop.abort();
  }

  #earlierOutcome(row: FileRow): CuratedRow | undefined {
    const before = this.#earlier.get(row.row);
    // An unusable row costs nothing to look at again, and what it lacked may be there by now.
    if (before === undefined || before.reason === "unusable") return undefined;
    if (before.hash !== hashOfRow(row))
      throw new UsageError(
        `${placeOf(row)} is not the row that was answered. --resume needs the input that the files were made from; --force starts anew.`,
      );
    return before.reason === undefined
      ? { kind: "accepted", line: undefined }
      : { kind: "rejected", reason: before.reason, line: undefined };
  }

  async #ask(row: FileRow): Promise<CuratedRow> {
    this.#signal.throwIfAborted();
    const { instructions, maxWords, model } = this.#settings;
    const checked: TrainRow = await this.#checker.check(row);
    const messages = await askFor(checked, instructions);
    const written = await this.#engine.write(messages, seededRandom(row.row), this.#signal);
    this.hasWorked = true;
    const rationale = written.text.replaceAll(/\s+/g, " ").trim();
    const reason: Rejection | undefined = rejectionOf({ ...written, text: rationale }, checked, maxWords);
    if (reason === undefined) return { kind: "accepted", line: acceptedLine(row, rationale, model) };
    return { kind: "rejected", reason, line: rejectedLine(row, reason, { wrote: written.text }, model) };
  }

  #unusable(row: FileRow, problem: string): CuratedRow {
    const reason: RowReason = "unusable";
    const isKnown = this.#earlier.has(row.row);
    return {
      kind: "rejected",
      reason,
      line: isKnown ? undefined : rejectedLine(row, reason, { problem }, this.#settings.model),
    };
  }

  #isFatal({ status }: EngineError): boolean {
    if (status === undefined || isTransient(status)) return false;
    return !(this.hasWorked && OF_THE_ROW.has(status));
  }
}

function placeOf({ file, row }: FileRow): string {
  return `${basename(file)}, row ${row}`;
}
