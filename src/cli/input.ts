/** Where lines of items come from. */
import { createReadStream } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { Readable } from "node:stream";
import { messageOf, UsageError } from "../errors.ts";
import { countLines } from "../lines.ts";

/** A file of items, or stdin. */
export interface Input {
  /** How messages name it. */
  readonly name: string;
  /** What paths in it are relative to. */
  readonly folder: string;
  /** Items in it, where that can be counted. */
  readonly count: () => Promise<number | undefined>;
  /** Its bytes; ends with an error when `signal` is aborted. */
  readonly read: (signal: AbortSignal) => Readable;
}

/**
 * The input called `path`; `-` is stdin, whose paths are relative to the working folder.
 * @throws {UsageError} no such file, or a folder
 */
export async function openInput(path: string): Promise<Input> {
  if (path === "-") {
    return {
      name: "stdin",
      folder: process.cwd(),
      count: async () => undefined,
      read: (signal) => closedBy(signal, process.stdin),
    };
  }
  let stats;
  try {
    stats = await stat(path);
  } catch (error) {
    throw new UsageError(`--input ${path}: ${messageOf(error)}`, { cause: error });
  }
  if (stats.isDirectory()) throw new UsageError(`--input ${path}: a folder, expected a file with one item per line`);
  // A pipe can be read once only.
  const isCountable = stats.isFile();
  return {
    name: path,
    folder: dirname(path),
    count: async () => (isCountable ? await countLines(createReadStream(path)) : undefined),
    read: (signal) => closedBy(signal, createReadStream(path)),
  };
}

/** Whether two paths lead to one file that exists. */
export async function isSameFile(a: string, b: string): Promise<boolean> {
  try {
    return (await realpath(a)) === (await realpath(b));
  } catch {
    // One of them is not there, so it is not the other.
    return false;
  }
}

/** A pipe that nobody writes to would otherwise keep the program alive after an abort. */
function closedBy(signal: AbortSignal, stream: Readable): Readable {
  if (signal.aborted) stream.destroy();
  signal.addEventListener("abort", () => stream.destroy());
  return stream;
}
