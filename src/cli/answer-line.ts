/** Lines of JSONL that answer items, and what a later run needs to read of them. */
import type { EmbedResult } from "../embed/types.ts";
import { floatText } from "./float-text.ts";

/** The line of an item that was embedded, without a line break. */
export function answerLine(id: string | number, result: EmbedResult): string {
  const { rationale, rationaleTokens, finish, promptTokens } = result;
  const numbers = Array.from(result.embedding, floatText).join(",");
  const rest = JSON.stringify({ rationale, rationaleTokens, finish, promptTokens });
  return `{"id":${JSON.stringify(id)},"embedding":[${numbers}],${rest.slice(1)}`;
}

/** The line of an item that failed, without a line break. */
export function failureLine(id: string | number, problem: string): string {
  return JSON.stringify({ id, error: problem });
}

/** What a line of an earlier run says, as far as a later one needs it. */
export interface EarlierAnswer {
  readonly id: string | number;
  /** Length of the embedding; `undefined` for an item that failed. */
  readonly hidden: number | undefined;
}

/** Reads a line that `answerLine` or `failureLine` wrote; `undefined` for any other. */
export function readAnswer(line: Uint8Array): EarlierAnswer | undefined {
  // The numbers are many, and nobody asks for them here: the line is not parsed as a whole.
  const text = Buffer.from(line.buffer, line.byteOffset, line.byteLength).toString("utf8");
  const found = /^\{"id":("(?:[^"\\]|\\.)*"|-?\d+),"(?:embedding":\[([^\]]+)\],|error":).*\}$/.exec(text);
  if (found === null) return undefined;
  return { id: JSON.parse(found[1]!) as string | number, hidden: found[2]?.split(",").length };
}
