/** Rows of JSONL and parquet files as plain objects, file by file, with what could not be read. */
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects, parquetSchema } from "hyparquet";
import type { FileMetaData } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { DatasetError, messageOf } from "../errors.ts";
import { sha256OfFile } from "../hash-file.ts";
import { parseJson } from "../json.ts";
import { countLines, isBlank, MAX_LINE_BYTES, readLines } from "../lines.ts";

/** A row as it stands in its file; `value` is a plain object of JSON's types unless `problem` says what is wrong. */
export interface FileRow {
  readonly file: string;
  /** From 1; in JSONL the number of the line. */
  readonly row: number;
  readonly value: Readonly<Record<string, unknown>> | undefined;
  readonly problem: string | undefined;
}

/** What of the files is read. */
export interface ReadRowsOptions {
  /** Columns that are decoded of a parquet file, others may hold pictures; a line of JSONL is read whole. @default all */
  readonly columns?: readonly string[] | undefined;
  /** Binary columns of a parquet file are `Uint8Array`, pictures for one; a row group may be larger then. @default false */
  readonly bytes?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A row group is decoded at once: 1 GiB of text is some hundred times what MMEB-train's largest subset holds. */
const MAX_GROUP_BYTES = 2 ** 30;
/** With what is not text: Hugging Face writes a hundred pictures into a row group, VisRAG some thousand pages. */
const MAX_BINARY_GROUP_BYTES = 4 * 2 ** 30;
const ENDINGS = [".jsonl", ".parquet"];
/** What `rge rationales` did not accept lies beside what it did, in files of this ending. */
const REJECTS_ENDING = ".rejects.jsonl";

/**
 * The files that `path` stands for: itself, or the JSONL and parquet files of a folder in the order of their names.
 * Files of rejected rows are left out of a folder; one that is named itself is read.
 * @throws {DatasetError} nothing there, or another kind of file
 */
export async function rowFiles(path: string): Promise<string[]> {
  return await reading(path, undefined, async () => {
    const isKnown = (name: string): boolean => ENDINGS.some((ending) => name.endsWith(ending));
    if (!(await stat(path)).isDirectory()) {
      if (isKnown(path)) return [path];
      throw new DatasetError(
        `${path}: expected a file that ends in ${ENDINGS.join(" or ")}, or a folder of such files`,
      );
    }
    const names = (await readdir(path)).filter((name) => isKnown(name) && !name.endsWith(REJECTS_ENDING)).sort();
    if (names.length === 0) throw new DatasetError(`${path}: no ${ENDINGS.join(" or ")} file in this folder`);
    return names.map((name) => join(path, name));
  });
}

/**
 * The rows of one file in order.
 * @throws {DatasetError} a file that cannot be read at all
 * @throws the reason of `signal`
 */
export async function* readRows(
  file: string,
  { columns, bytes = false, signal }: ReadRowsOptions,
): AsyncGenerator<FileRow, void, void> {
  const rows = isParquet(file) ? readParquet(file, columns, bytes) : readJsonl(file);
  try {
    for (;;) {
      signal?.throwIfAborted();
      const next = await reading(file, signal, () => rows.next());
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    await rows.return();
  }
}

/**
 * How many rows a file has.
 * @throws {DatasetError} a file that cannot be read at all
 */
export async function countRows(file: string, signal?: AbortSignal): Promise<number> {
  return await reading(file, signal, async () => {
    if (isParquet(file)) return Number((await parquetMetadataAsync(await asyncBufferFromFile(file))).num_rows);
    return await countLines(createReadStream(file, { signal }));
  });
}

/**
 * SHA-256 of a file's bytes, in hex.
 * @throws {DatasetError} a file that cannot be read
 */
export async function hashFile(file: string, signal?: AbortSignal): Promise<string> {
  return await reading(file, signal, () => sha256OfFile(file, signal));
}

/** Does `work`, and says which file it was about when that fails. */
async function reading<T>(file: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof DatasetError) throw error;
    throw new DatasetError(`${file}: cannot be read (${messageOf(error)})`, { cause: error });
  }
}

function isParquet(file: string): boolean {
  return file.endsWith(".parquet");
}

async function* readJsonl(file: string): AsyncGenerator<FileRow, void, void> {
  for await (const line of readLines(createReadStream(file))) {
    if (isBlank(line)) continue;
    const place = { file, row: line.number };
    if (line.bytes !== undefined) yield { ...place, ...parseRow(line.bytes) };
    else
      yield {
        ...place,
        value: undefined,
        problem: `longer than ${MAX_LINE_BYTES} bytes, the most that a line may have`,
      };
  }
}

function parseRow(bytes: Uint8Array): Pick<FileRow, "value" | "problem"> {
  let value: unknown;
  try {
    value = parseJson(bytes, { where: "the line" });
  } catch (error) {
    // That message is for downloaded files; what JSON.parse said is its cause.
    const reason = messageOf(error instanceof Error && error.cause !== undefined ? error.cause : error);
    return { value: undefined, problem: `not JSON (${reason.slice(0, 200)})` };
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return { value: value as Record<string, unknown>, problem: undefined };
  return { value: undefined, problem: "not a JSON object" };
}

async function* readParquet(
  path: string,
  columns: readonly string[] | undefined,
  bytes: boolean,
): AsyncGenerator<FileRow, void, void> {
  const file = await asyncBufferFromFile(path);
  const metadata = await parquetMetadataAsync(file);
  const present = parquetSchema(metadata).children.map(({ element }) => element.name);
  const wanted = columns?.filter((name) => present.includes(name)) ?? present;
  if (wanted.length === 0)
    throw new DatasetError(
      `${path}: none of the columns ${columns?.join(", ")} is in it; it has ${present.join(", ")}`,
    );
  let row = 0;
  // A group at a time: hyparquet decodes the whole group for any of its rows.
  for (const group of metadata.row_groups) {
    if (bytes) refuseLargeGroup(path, group, present, MAX_BINARY_GROUP_BYTES);
    else refuseLargeGroup(path, group, wanted, MAX_GROUP_BYTES);
    const rowEnd = row + Number(group.num_rows);
    const part = { file, metadata, compressors, columns: wanted, rowStart: row, rowEnd };
    // Without `utf8`, only columns that say so are texts.
    for (const value of await parquetReadObjects({ ...part, utf8: !bytes }))
      yield { file: path, row: ++row, value: bytes ? value : jsonValue(value), problem: undefined };
  }
}

function refuseLargeGroup(
  path: string,
  { columns }: FileMetaData["row_groups"][number],
  counted: readonly string[],
  maxBytes: number,
): void {
  let sizeBytes = 0;
  for (const { meta_data } of columns)
    if (counted.includes(meta_data?.path_in_schema[0] ?? "")) sizeBytes += Number(meta_data!.total_uncompressed_size);
  if (sizeBytes > maxBytes)
    throw new DatasetError(
      `${path}: a row group of ${sizeBytes} bytes, at most ${maxBytes} are taken. Write it with smaller row groups.`,
    );
}

/** A parquet value as JSON would hold it, so that rows of both kinds of files are checked and written alike. */
function jsonValue(row: Record<string, unknown>): Record<string, unknown> {
  return JSON.parse(
    JSON.stringify(row, (_, value: unknown) => (typeof value === "bigint" ? Number(value) : value)),
  ) as Record<string, unknown>;
}
