/** Rows of JSONL and parquet files as plain objects, file by file, with what could not be read. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { asyncBufferFromFile } from "hyparquet/src/node.js";
import { compressors } from "hyparquet-compressors";
import { DatasetError, messageOf } from "../errors.ts";
import { parseJson } from "../json.ts";
import { isBlank, readLines } from "../lines.ts";

/** A row as it stands in its file; `value` is a plain object unless `problem` says what is wrong. */
export interface FileRow {
  readonly file: string;
  /** From 1; in JSONL the number of the line. */
  readonly row: number;
  readonly value: Readonly<Record<string, unknown>> | undefined;
  readonly problem: string | undefined;
}

/** Rows of parquet decoded at once: a row group of MMEB-train holds some thousand short texts. */
const PARQUET_ROWS = 1000;
const ENDINGS = [".jsonl", ".parquet"];

/**
 * The files that `path` stands for: itself, or the JSONL and parquet files of a folder in alphabetical order.
 * @throws {DatasetError} nothing there, or another kind of file
 */
export async function rowFiles(path: string): Promise<string[]> {
  const stats = await stat(path).catch((error: unknown) => {
    throw new DatasetError(`${path}: cannot be opened (${messageOf(error)})`, { cause: error });
  });
  const isKnown = (name: string): boolean => ENDINGS.some((ending) => name.endsWith(ending));
  if (!stats.isDirectory()) {
    if (isKnown(path)) return [path];
    throw new DatasetError(`${path}: expected a file that ends in ${ENDINGS.join(" or ")}, or a folder of such files`);
  }
  const names = (await readdir(path)).filter(isKnown).sort();
  if (names.length === 0) throw new DatasetError(`${path}: no ${ENDINGS.join(" or ")} file in this folder`);
  return names.map((name) => join(path, name));
}

/**
 * The rows of one file in order.
 * @throws {DatasetError} a file that cannot be read at all
 */
export async function* readRows(file: string, signal?: AbortSignal): AsyncGenerator<FileRow, void, void> {
  try {
    yield* file.endsWith(".parquet") ? readParquet(file, signal) : readJsonl(file, signal);
  } catch (error) {
    if (error instanceof DatasetError || signal?.aborted) throw error;
    throw new DatasetError(`${file}: cannot be read (${messageOf(error)})`, { cause: error });
  }
}

/** SHA-256 of a file's bytes, in hex. */
export async function hashFile(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk as Uint8Array);
  return hash.digest("hex");
}

async function* readJsonl(file: string, signal: AbortSignal | undefined): AsyncGenerator<FileRow, void, void> {
  for await (const line of readLines(createReadStream(file))) {
    signal?.throwIfAborted();
    if (isBlank(line)) continue;
    const place = { file, row: line.number };
    if (line.bytes === undefined) yield { ...place, value: undefined, problem: "the line is longer than 32 MiB" };
    else yield { ...place, ...parseRow(line.bytes) };
  }
}

function parseRow(bytes: Uint8Array): Pick<FileRow, "value" | "problem"> {
  try {
    const value = parseJson(bytes, { where: "the line" });
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return { value: value as Record<string, unknown>, problem: undefined };
    return { value: undefined, problem: "not a JSON object" };
  } catch (error) {
    return { value: undefined, problem: messageOf(error) };
  }
}

async function* readParquet(path: string, signal: AbortSignal | undefined): AsyncGenerator<FileRow, void, void> {
  const file = await asyncBufferFromFile(path);
  const metadata = await parquetMetadataAsync(file);
  const total = Number(metadata.num_rows);
  for (let start = 0; start < total; start += PARQUET_ROWS) {
    signal?.throwIfAborted();
    const rowEnd = Math.min(total, start + PARQUET_ROWS);
    const rows = await parquetReadObjects({ file, metadata, compressors, rowStart: start, rowEnd });
    for (const [i, value] of rows.entries()) yield { file: path, row: start + i + 1, value, problem: undefined };
  }
}
