/** Where lines of results go. */
import { open, type FileHandle } from "node:fs/promises";
import type { Writable } from "node:stream";
import { messageOf, UsageError } from "../errors.ts";
import { EXIT, StatusError } from "./exit-status.ts";

/** Takes lines one by one; each is out before the next is asked for. */
export interface Output extends AsyncDisposable {
  /** How messages name it. */
  readonly name: string;
  /** Writes a line and its line break. */
  write(line: string): Promise<void>;
}

/** Writes `text` and waits until the stream has taken it. */
export async function writeText(stream: Writable, text: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  stream.write(text, (error) => (error ? reject(error) : resolve()));
  await promise;
}

/** stdout as an `Output`. */
export function standardOutput(): Output {
  return {
    name: "the output",
    write: (line) => writeText(process.stdout, `${line}\n`),
    [Symbol.asyncDispose]: async () => {},
  };
}

/**
 * Opens a file to write lines to. A line is a single write, so that a kill leaves at most the last one torn.
 * @param existing what to do with a file that has content: refuse it, replace it, or keep its first `keepBytes` bytes
 * @param option how errors name it where it cannot be opened
 * @throws {UsageError} content that is to be refused, or a path that cannot be written
 */
export async function openOutput(
  path: string,
  existing: "refuse" | "replace" | { keepBytes: number },
  option: string = "--output",
): Promise<Output> {
  let file: FileHandle;
  try {
    file = await open(path, "a");
    const { size } = await file.stat();
    if (existing === "refuse" && size > 0) {
      await file.close();
      throw new UsageError(`${path} is there already: --resume goes on with it, --force replaces it`);
    }
    const keepBytes = typeof existing === "object" ? existing.keepBytes : 0;
    if (size > keepBytes) await file.truncate(keepBytes);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`${option} ${path}: ${messageOf(error)}`, { cause: error });
  }
  return {
    name: path,
    write: async (line) => {
      try {
        await file.appendFile(`${line}\n`);
      } catch (error) {
        throw new StatusError(EXIT.failed, new Error(`${path}: ${messageOf(error)}`, { cause: error }));
      }
    },
    [Symbol.asyncDispose]: () => file.close(),
  };
}
