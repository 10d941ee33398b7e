/** Reads training datasets: files of rows in MMEB-train's fields. */
import { createHash } from "node:crypto";
import { basename, dirname, resolve } from "node:path";
import { DatasetError } from "../errors.ts";
import { hashFile, readRows, rowFiles } from "./row-files.ts";
import { RowError } from "./row-text.ts";
import { RowChecker, TRAIN_FIELDS, type TrainRow } from "./train-row.ts";

export type { TrainRow, TrainSide } from "./train-row.ts";

/** A row that cannot be trained on. */
interface RowProblem {
  readonly file: string;
  /** From 1. */
  readonly row: number;
  readonly reason: string;
}

/** What a dataset holds. */
export interface TrainRows {
  readonly rows: readonly TrainRow[];
  readonly problems: readonly RowProblem[];
  /** SHA-256 of the file's bytes, in hex; of a folder that of its files' names and hashes. */
  readonly hash: string;
}

/** Most rows of one dataset, all of which are held; MMEB-train has 662,000 in all. */
const MAX_ROWS = 5_000_000;

/**
 * Reads a dataset whole: `qry`, `qry_image_path`, `pos_text`, `pos_image_path`, `neg_text`, `neg_image_path` (one each,
 * or lists of one length) and `rationale`. A row that cannot be used is a problem with its file and number; the others
 * go on.
 * @param path a JSONL or parquet file, or a folder of them
 * @param options.imageRoot folder that image paths are relative to and must not leave; @default the folder of the file
 * @param options.limit takes so many rows from the start, those with problems counted; @default all
 * @throws {DatasetError} a file that cannot be read at all, or no row that can be used
 */
export async function readTrainRows(
  path: string,
  options: { imageRoot?: string | undefined; limit?: number | undefined; signal?: AbortSignal | undefined } = {},
): Promise<TrainRows> {
  const { limit = Infinity, signal } = options;
  const files = await rowFiles(path);
  const root = options.imageRoot ?? dirname(files[0]!);
  const checker = new RowChecker(resolve(root));
  const rows: TrainRow[] = [];
  const problems: RowProblem[] = [];
  const hashes: string[] = [];
  for (const file of files) {
    hashes.push(await hashFile(file, signal));
    if (rows.length + problems.length >= limit) continue;
    for await (const row of readRows(file, { columns: TRAIN_FIELDS, signal })) {
      if (rows.length + problems.length >= MAX_ROWS)
        throw new DatasetError(`${path}: more than ${MAX_ROWS} rows; give a part of it, or a limit`);
      try {
        rows.push(await checker.check(row));
      } catch (error) {
        if (!(error instanceof RowError)) throw error;
        problems.push({ file, row: row.row, reason: error.message });
      }
      if (rows.length + problems.length >= limit) break;
    }
  }
  if (rows.length === 0) throw new DatasetError(`${path}: no row that can be trained on; ${reasonOf(problems)}`);
  return { rows, problems, hash: files.length === 1 ? hashes[0]! : hashOfShards(files, hashes) };
}

function hashOfShards(files: readonly string[], hashes: readonly string[]): string {
  const lines = files.map((file, i) => `${basename(file)} ${hashes[i]}\n`);
  return createHash("sha256").update(lines.join("")).digest("hex");
}

function reasonOf(problems: readonly RowProblem[]): string {
  const first = problems[0];
  if (first === undefined) return "it is empty";
  return `the first of ${problems.length} problems: ${basename(first.file)}, row ${first.row}: ${first.reason}`;
}
