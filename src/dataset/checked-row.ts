/** Rows that must all be usable: a figure over fewer rows would be another figure. */
import { basename } from "node:path";
import { DatasetError, ImageError } from "../errors.ts";
import type { FileRow } from "./row-files.ts";
import { RowError } from "./row-text.ts";

/**
 * What `read` makes of a row.
 * @throws {DatasetError} with file and row, where it cannot be read
 */
export async function checkedRow<T>(
  row: FileRow,
  read: (value: Readonly<Record<string, unknown>>) => T | Promise<T>,
): Promise<T> {
  try {
    if (row.value === undefined)
      throw new RowError(row.problem ?? "internal: a row with neither a value nor a problem");
    return await read(row.value);
  } catch (error) {
    if (!(error instanceof RowError || error instanceof ImageError)) throw error;
    throw new DatasetError(`${row.file}, row ${row.row}: ${error.message}`, { cause: error });
  }
}

/** `test.parquet, row 17`, for messages. */
export function placeOf({ file, row }: FileRow): string {
  return `${basename(file)}, row ${row}`;
}
