/** What an interrupted run already wrote. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { UsageError } from "../errors.ts";
import { readAnswer } from "./answer-line.ts";
import type { ParsedLine } from "./item-line.ts";
import { readLines } from "../lines.ts";

/** How much of an output can be kept. */
export interface Answered {
  readonly items: number;
  /** Those of `items` that failed; they are not tried again. */
  readonly failed: number;
  /** Length of the embeddings; `undefined` where there is none. */
  readonly hidden: number | undefined;
  /** Bytes of the complete lines; what follows is torn. */
  readonly bytes: number;
}

/**
 * Reads the complete lines of the output `path`, and takes from `items` those that they answer, checking that they do.
 * Without such a file nothing is answered.
 * @throws {UsageError} a line that answers another item, or none
 */
export async function skipAnswered(path: string, items: AsyncIterator<ParsedLine>): Promise<Answered> {
  const answered: { -readonly [Key in keyof Answered]: Answered[Key] } = {
    items: 0,
    failed: 0,
    hidden: undefined,
    bytes: 0,
  };
  if ((await stat(path).catch(() => undefined)) === undefined) return answered;
  for await (const line of readLines(createReadStream(path))) {
    if (!line.isWhole) break;
    const answer = line.bytes && readAnswer(line.bytes);
    const next = await items.next();
    const expected = next.done ? undefined : next.value;
    if (answer === undefined || answer.id !== expected?.id) {
      const found = answer === undefined ? "no answer of this program" : `the answer to ${JSON.stringify(answer.id)}`;
      const wanted = expected === undefined ? "and the input has ended" : `expected ${JSON.stringify(expected.id)}`;
      throw new UsageError(
        `${path}: line ${line.number} is ${found}, ${wanted}. --resume needs the input that the file was made from; --force starts anew.`,
      );
    }
    answered.items++;
    if (answer.hidden === undefined) answered.failed++;
    else answered.hidden = answer.hidden;
    answered.bytes = line.end;
  }
  return answered;
}
