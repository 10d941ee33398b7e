/**
 * Bounded JSON: size, nesting and key repetition are checked before anything is parsed, because every JSON file
 * here comes from a download. Knows nothing about what the values mean.
 */
import { closeSync, fstatSync, openSync, readSync, constants } from "node:fs";
import { CheckpointError, messageOf } from "./errors.ts";

/** Deepest nesting accepted by default; tokenizer and config files of the families here stay under 12. */
const DEFAULT_MAX_DEPTH = 64;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;

/** How `readJsonFile` bounds a file, and what it makes of one that is not there. */
export interface JsonFileOptions {
  /** Largest file accepted, in bytes. */
  maxBytes: number;
  /** Deepest nesting of objects and arrays accepted. @default 64 */
  maxDepth?: number;
  /** What a file that does not exist means. @default "error" */
  missing?: "error" | "undefined";
}

/**
 * The parsed content of a JSON file, or `undefined` where it does not exist and `missing` is `"undefined"`.
 * @throws {CheckpointError} missing or not a regular file, over `maxBytes`, nested past `maxDepth`, not UTF-8 or not JSON
 */
export function readJsonFile(path: string, { maxBytes, maxDepth, missing = "error" }: JsonFileOptions): unknown {
  const bytes = readBoundedFile(path, maxBytes);
  if (bytes === undefined) {
    if (missing === "undefined") return undefined;
    throw new CheckpointError(`${path}: no such file. Check the folder, or download the model again.`);
  }
  return parseJson(bytes, { where: path, ...(maxDepth === undefined ? {} : { maxDepth }) });
}

/** Where the bytes come from (for messages) and how they are bounded. */
export interface ParseJsonOptions {
  /** Named at the start of every message, e.g. the file's path. */
  where: string;
  /** Deepest nesting of objects and arrays accepted. @default 64 */
  maxDepth?: number;
  /** Refuse an outermost object that has a key twice, where `JSON.parse` keeps the last one. @default false */
  uniqueKeys?: boolean;
}

/**
 * Parses UTF-8 JSON whose size the caller has already bounded.
 * @throws {CheckpointError} nested past `maxDepth`, a repeated outermost key with `uniqueKeys`, not UTF-8 or not JSON
 */
export function parseJson(bytes: Uint8Array, options: ParseJsonOptions): unknown {
  const { where, maxDepth = DEFAULT_MAX_DEPTH, uniqueKeys = false } = options;
  const { depth, outermostEntries } = scan(bytes, maxDepth);
  if (depth > maxDepth) {
    throw new CheckpointError(`${where}: JSON nested deeper than ${maxDepth} levels. The file is damaged or hostile.`);
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new CheckpointError(`${where}: not valid JSON (${messageOf(error).slice(0, 200)}). Download it again.`, {
      cause: error,
    });
  }
  if (uniqueKeys && typeof value === "object" && value !== null && !Array.isArray(value)) {
    const keys = Object.keys(value).length;
    if (keys !== outermostEntries) {
      throw new CheckpointError(
        `${where}: ${outermostEntries} entries under only ${keys} names: a name occurs twice. The file is damaged or hostile.`,
      );
    }
  }
  return value;
}

/** One pass that knows strings and brackets only; what it accepts, `JSON.parse` may still refuse. */
function scan(bytes: Uint8Array, maxDepth: number): { depth: number; outermostEntries: number } {
  let depth = 0;
  let deepest = 0;
  let commas = 0;
  let empty = true;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      empty = false;
      for (at++; at < bytes.length && bytes[at] !== QUOTE; at++) if (bytes[at] === BACKSLASH) at++;
    } else if (byte === 0x7b || byte === 0x5b) {
      depth++;
      if (depth > deepest) deepest = depth;
      if (deepest > maxDepth) break;
    } else if (byte === 0x7d || byte === 0x5d) {
      depth--;
    } else if (byte === COMMA && depth === 1) {
      commas++;
    }
  }
  return { depth: deepest, outermostEntries: empty ? 0 : commas + 1 };
}

/**
 * The content of a file of at most `maxBytes` bytes, or `undefined` where it does not exist.
 * @throws {CheckpointError} not a regular file, over `maxBytes`, or not readable
 */
export function readBoundedFile(path: string, maxBytes: number): Uint8Array | undefined {
  let file: number;
  try {
    // O_NONBLOCK: opening a pipe that somebody put there must not wait for a writer.
    file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw new CheckpointError(`${path}: cannot be opened (${messageOf(error)}).`, { cause: error });
  }
  try {
    const stats = fstatSync(file);
    if (!stats.isFile()) throw new CheckpointError(`${path}: not a regular file.`);
    if (stats.size > maxBytes) {
      throw new CheckpointError(`${path}: ${stats.size} bytes, at most ${maxBytes} are accepted for this file.`);
    }
    const bytes = new Uint8Array(stats.size);
    let filled = 0;
    while (filled < bytes.length) {
      const count = readSync(file, bytes, filled, bytes.length - filled, filled);
      if (count === 0) throw new CheckpointError(`${path}: became shorter while it was read. Try again.`);
      filled += count;
    }
    return bytes;
  } finally {
    closeSync(file);
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
}
