/**
 * Writes the entries of an archive below one folder. Names, kinds and sizes are somebody else's, so each is checked:
 * nothing is written outside the folder, no link is ever made, and what comes out is bounded while it comes.
 * It writes synchronously: a chunk at a time, in the order in which the archive is read, with nothing else to wait for.
 */
import { closeSync, mkdirSync, openSync, writeSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { quoted } from "../checkpoint/quoted.ts";
import { DatasetError, messageOf } from "../errors.ts";

/** What an archive may come to. */
export interface ArchiveLimits {
  /** Entries, and folders that are made for them. @default 5,000,000: the frames in MMEB-V2's largest archive (52 GB) are about a million */
  readonly maxEntries: number;
  /** Bytes of one file. @default 4 GiB: a parquet file of page images has some hundred MB */
  readonly maxEntryBytes: number;
  /** Bytes of all files. @default 256 GiB: five times MMEB-V2's largest archive */
  readonly maxTotalBytes: number;
  /**
   * Bytes that come out for each of the archive; the first 64 MiB are free. @default 100: pictures are compressed
   * already, and even raw ones shrink some ten times, where bombs reach a thousand and more
   */
  readonly maxRatio: number;
}

/** Limits in force where none are given. */
export const ARCHIVE_LIMITS: ArchiveLimits = {
  maxEntries: 5_000_000,
  maxEntryBytes: 4 * 2 ** 30,
  maxTotalBytes: 256 * 2 ** 30,
  maxRatio: 100,
};

/** Bytes that may come out of however small an archive: one white picture shrinks a thousand times. */
const FREE_BYTES = 64 * 2 ** 20;

/** Deepest folder accepted; MMEB-V2's have six levels. */
const MAX_DEPTH = 32;

/** Where entries go and what they may come to. */
export interface EntryWriterOptions {
  /** Named in errors. */
  readonly archive: string;
  /** Size of the archive itself, in bytes. */
  readonly archiveBytes: number;
  readonly folder: string;
  /** Names that no entry at the top may have. */
  readonly reserved: readonly string[];
  readonly limits: ArchiveLimits;
}

/** Writes one archive's entries, one after another. */
export class EntryWriter {
  readonly #options: EntryWriterOptions;
  readonly #maxBytes: number;
  #entries = 0;
  #bytes = 0;
  #open: { readonly name: string; readonly file: number } | undefined;

  constructor(options: EntryWriterOptions) {
    const { archiveBytes, limits } = options;
    this.#options = options;
    this.#maxBytes = Math.min(limits.maxTotalBytes, FREE_BYTES + limits.maxRatio * archiveBytes);
  }

  /**
   * Makes a folder.
   * @throws {DatasetError} a name that is not accepted, or too many entries
   */
  addFolder(name: string): void {
    this.#makeFolder(name, this.#pathOf(name));
  }

  /**
   * Begins a file; `write` and `endFile` follow.
   * @param sizeBytes as the archive says
   * @throws {DatasetError} a name that is not accepted or that is there already, too large, or too many entries
   */
  beginFile(name: string, sizeBytes: number): void {
    const { maxEntryBytes } = this.#options.limits;
    if (sizeBytes > maxEntryBytes) this.refuse(name, `has ${sizeBytes} bytes, at most ${maxEntryBytes} are accepted`);
    const path = this.#pathOf(name);
    this.#open = { name, file: this.#openNew(name, path) };
  }

  /**
   * Appends to the file.
   * @throws {DatasetError} no room on the disk
   */
  write(chunk: Uint8Array): void {
    const { name, file } = this.#open!;
    this.#try(name, () => {
      for (let written = 0; written < chunk.length;) written += writeSync(file, chunk, written);
    });
  }

  /** Ends the file that was begun, where there is one. */
  endFile(): void {
    const open = this.#open;
    this.#open = undefined;
    if (open) closeSync(open.file);
  }

  /**
   * Counts bytes that came out of the archive, before they are used.
   * @throws {DatasetError} more than so large an archive may come to
   */
  count(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes <= this.#maxBytes) return;
    const { archiveBytes, limits } = this.#options;
    const { maxRatio, maxTotalBytes } = limits;
    this.refuse(
      this.#open?.name,
      `more than ${this.#maxBytes} bytes come out of ${archiveBytes}; at most ${maxRatio} times as many and ${maxTotalBytes} in all are accepted`,
    );
  }

  /**
   * Ends the work because of what an entry is.
   * @param name `undefined` where it is about the archive
   * @throws {DatasetError} always
   */
  refuse(name: string | undefined, reason: string, cause?: unknown): never {
    const entry = name === undefined ? "" : `entry ${quoted(name)}: `;
    throw new DatasetError(
      `${this.#options.archive}: ${entry}${reason}. The archive is damaged or hostile; nothing of it was kept.`,
      { cause },
    );
  }

  #pathOf(name: string): string {
    const { folder, reserved } = this.#options;
    this.#countEntries(name, 1);
    const problem = problemOf(name);
    if (problem !== undefined) this.refuse(name, problem);
    const parts = name.split("/").filter((part) => part !== "" && part !== ".");
    if (parts.length > MAX_DEPTH) this.refuse(name, `deeper than ${MAX_DEPTH} folders`);
    // Disks that do not tell cases apart exist.
    if (reserved.includes(parts[0]?.toLowerCase() ?? "")) this.refuse(name, "has a name that is kept for the program");
    return join(folder, ...parts);
  }

  #countEntries(name: string, count: number): void {
    const { maxEntries } = this.#options.limits;
    this.#entries += count;
    if (this.#entries > maxEntries) this.refuse(name, `one of more than ${maxEntries} entries`);
  }

  #openNew(name: string, path: string): number {
    return this.#try(name, () => {
      try {
        return openSync(path, "wx");
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
        this.#makeFolder(name, dirname(path));
        return openSync(path, "wx");
      }
    });
  }

  #makeFolder(name: string, path: string): void {
    const first = this.#try(name, () => mkdirSync(path, { recursive: true }));
    // One entry can need many folders.
    if (first !== undefined) this.#countEntries(name, relative(first, path).split(sep).length);
  }

  #try<T>(name: string, work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (error instanceof DatasetError) throw error;
      if (error instanceof Error && "code" in error && error.code === "EEXIST")
        this.refuse(name, "is there twice, or differs by case only on a disk that does not tell cases apart", error);
      throw new DatasetError(
        `${this.#options.archive}: entry ${quoted(name)} cannot be written (${messageOf(error)}).`,
        { cause: error },
      );
    }
  }
}

function problemOf(name: string): string | undefined {
  if (name === "") return "has no name";
  if (name.includes("\0")) return "has a NUL in its name";
  if (name.includes("\\")) return "has a backslash in its name, which leaves folders on some systems";
  if (name.startsWith("/") || /^[A-Za-z]:/.test(name)) return "has an absolute path";
  if (name.split("/").includes("..")) return "would leave the folder";
  return undefined;
}
