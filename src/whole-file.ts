/** Files that are there whole or not at all. */
import { randomUUID } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";

/** How a file is written. */
export interface WholeFileOptions {
  /** Where it is written before it takes its place. @default beside it, under a name of its own */
  readonly part?: string | undefined;
  /** Whether it must be on the disk by then, so that it outlives the machine's end. @default false */
  readonly sync?: boolean | undefined;
}

/** Writes a file aside and puts it into its place; what fails leaves neither. */
export async function writeWhole(
  path: string,
  content: string | Uint8Array,
  { part = `${path}.${randomUUID()}.part`, sync = false }: WholeFileOptions = {},
): Promise<void> {
  try {
    await using file = await open(part, "w");
    await file.writeFile(content);
    if (sync) await file.sync();
    await rename(part, path);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}
