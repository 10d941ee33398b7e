/** Rows of a corpus whose pictures lie in the file itself: as `row-files.ts` reads, but bytes stay bytes. */
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { DatasetError, messageOf } from "../errors.ts";
import { readRows, type FileRow } from "./row-files.ts";

/** A row group is decoded at once; Hugging Face writes a hundred pictures into one, VisRAG some thousand pages. */
const MAX_GROUP_BYTES = 4 * 2 ** 30;

/**
 * The rows of one file in order, a parquet file's binary columns as `Uint8Array`.
 * @throws {DatasetError} a file that cannot be read, or that lacks a column
 */
export async function* readCorpusRows(
  file: string,
  columns: readonly string[],
  signal: AbortSignal | undefined,
): AsyncGenerator<FileRow, void, void> {
  if (!file.endsWith(".parquet")) {
    yield* readRows(file, { columns, signal });
    return;
  }
  try {
    const buffer = await asyncBufferFromFile(file);
    const metadata = await parquetMetadataAsync(buffer);
    let row = 0;
    for (const group of metadata.row_groups) {
      signal?.throwIfAborted();
      const sizeBytes = Number(group.total_byte_size);
      if (sizeBytes > MAX_GROUP_BYTES)
        throw new DatasetError(
          `${file}: a row group of ${sizeBytes} bytes, at most ${MAX_GROUP_BYTES} are taken. Write it with smaller row groups.`,
        );
      const rowEnd = row + Number(group.num_rows);
      const part = { file: buffer, metadata, compressors, columns: [...columns], rowStart: row, rowEnd };
      // Without `utf8`, only columns that say so are texts.
      for (const value of await parquetReadObjects({ ...part, utf8: false }))
        yield { file, row: ++row, value, problem: undefined };
    }
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof DatasetError) throw error;
    throw new DatasetError(`${file}: cannot be read (${messageOf(error)})`, { cause: error });
  }
}
