/** Lines of JSONL that hold what became of rows, and what a later run reads of them. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import * as z from "zod";
import type { FileRow } from "../dataset/row-files.ts";
import { UsageError } from "../errors.ts";
import { readLines } from "../lines.ts";
import type { Rejection } from "./filters.ts";

/** Why a row has no rationale: what is wrong with what was written, or with the row itself. */
export type RowReason = Rejection | "unusable";

/** What became of a row in an earlier run. */
export interface EarlierRow {
  readonly hash: string;
  /** `undefined` for a row that was accepted. */
  readonly reason: string | undefined;
}

/** What an earlier run left in one file. */
export interface EarlierLines {
  readonly rows: ReadonlyMap<number, EarlierRow>;
  /** Bytes of the complete lines; what follows is torn. */
  readonly bytes: number;
}

const lineSchema = z.object({
  row: z.int().min(1),
  hash: z.string(),
  rationale: z.string().optional(),
  reason: z.string().optional(),
});

/** Tells a row from others, 16 hex digits: enough that two of a file's millions do not meet by chance. */
export function hashOfRow({ value }: FileRow): string {
  return createHash("sha256")
    .update(JSON.stringify(value ?? null))
    .digest("hex")
    .slice(0, 16);
}

/** The row's own fields with its rationale and where both come from, without a line break. */
export function acceptedLine(row: FileRow, rationale: string, model: string): string {
  return JSON.stringify({ ...row.value, rationale, row: row.row, hash: hashOfRow(row), model });
}

/**
 * The row's own fields with the reason why it has no rationale, without a line break.
 * @param detail what the model wrote, or what is wrong with the row
 */
export function rejectedLine(
  row: FileRow,
  reason: RowReason,
  detail: { readonly wrote: string } | { readonly problem: string },
  model: string,
): string {
  // A rationale from the input is not the one that was rejected.
  const fields = { ...row.value, rationale: undefined };
  return JSON.stringify({ ...fields, row: row.row, hash: hashOfRow(row), model, reason, ...detail });
}

/**
 * The rows in the complete lines of the file `path`; none where there is no such file.
 * @param holds which of the two kinds of lines belongs there
 * @throws {UsageError} another line, or one that was not written here
 */
export async function readEarlier(path: string, holds: "accepted" | "rejected"): Promise<EarlierLines> {
  const rows = new Map<number, EarlierRow>();
  let bytes = 0;
  if ((await stat(path).catch(() => undefined)) === undefined) return { rows, bytes };
  for await (const line of readLines(createReadStream(path))) {
    if (!line.isWhole) break;
    const found = line.bytes && parseLine(line.bytes);
    const isOurs = holds === "accepted" ? found?.rationale !== undefined : found?.reason !== undefined;
    if (found === undefined || !isOurs)
      throw new UsageError(
        `${path}: line ${line.number} is no row that ${holds === "accepted" ? "got a rationale" : "was rejected"} here. --resume needs the files of the earlier run; --force starts anew.`,
      );
    rows.set(found.row, { hash: found.hash, reason: holds === "accepted" ? undefined : found.reason });
    bytes = line.end;
  }
  return { rows, bytes };
}

function parseLine(bytes: Uint8Array): z.infer<typeof lineSchema> | undefined {
  try {
    return lineSchema.safeParse(JSON.parse(new TextDecoder().decode(bytes))).data;
  } catch {
    // Not JSON: not a line of ours, which the caller reports with its number.
    return undefined;
  }
}
