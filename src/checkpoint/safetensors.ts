/**
 * Lazy reader for safetensors files: the header is checked against the real file size on opening, tensors are read by
 * byte range when asked for. Every field of a header is taken as hostile. Knows nothing about models or names.
 * Format: https://github.com/huggingface/safetensors#format
 */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { CheckpointError, messageOf } from "../errors.ts";
import { parseJson } from "../json.ts";
import { quoted } from "./quoted.ts";
import { type StoredDtype, bytesPerElement, isStoredDtype, widenInto } from "./stored-dtype.ts";

/** Longest header accepted, in bytes: the cap of the reference implementation (`MAX_HEADER_SIZE`). */
export const MAX_HEADER_BYTES = 100_000_000;

/** The header is `{ name: { shape: [...] } }`: three levels. */
const MAX_HEADER_DEPTH = 3;

/** Bytes read per call: few calls, and no second copy of a gigabyte tensor while it is converted. */
const CHUNK_BYTES = 8 * 1024 * 1024;

/** Length of the little-endian u64 that opens a file and holds the header's length, in bytes. */
const LENGTH_PREFIX_BYTES = 8;

/** Where one tensor lies; `begin` and `end` are byte positions in the file at `path`, `end` exclusive. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
  readonly path: string;
}

/** One open safetensors file. Close it, or declare it with `using`. */
export class SafetensorsFile {
  readonly path: string;
  /** By the name in the file, in the file's byte order. */
  readonly entries: ReadonlyMap<string, TensorEntry>;
  /** Size of the whole file in bytes. */
  readonly sizeBytes: number;
  /** Time of the last change when it was opened, in nanoseconds since 1970. */
  readonly mtimeNs: bigint;
  /** Byte position of the first tensor's data. */
  readonly dataBegin: number;
  #file: number | undefined;

  private constructor(path: string, file: number) {
    const stats = fstatSync(file, { bigint: true });
    if (!stats.isFile()) throw new CheckpointError(`${path}: not a regular file.`);
    this.path = path;
    this.#file = file;
    this.sizeBytes = Number(stats.size);
    this.mtimeNs = stats.mtimeNs;
    const header = this.#readHeader();
    this.dataBegin = LENGTH_PREFIX_BYTES + header.length;
    this.entries = readEntries(path, header, this.dataBegin, this.sizeBytes);
  }

  /**
   * Opens a file and checks its header: every range inside the file, no overlap or gap, every size the one its shape
   * and dtype ask for.
   * @throws {CheckpointError} naming the file, the tensor, what was expected and what was found
   */
  static open(path: string): SafetensorsFile {
    let file: number;
    try {
      // O_NONBLOCK: opening a pipe that somebody put there must not wait for a writer.
      file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    } catch (error) {
      throw new CheckpointError(`${path}: cannot be opened (${messageOf(error)}).`, { cause: error });
    }
    try {
      return new SafetensorsFile(path, file);
    } catch (error) {
      closeSync(file);
      throw error;
    }
  }

  /**
   * Fills `target` from byte `position` of the file.
   * @throws {CheckpointError} when the file is closed or has become shorter since it was opened
   */
  readInto(target: Uint8Array, position: number): void {
    if (this.#file === undefined) throw new CheckpointError(`${this.path}: read after close.`);
    for (let filled = 0; filled < target.length;) {
      const wanted = Math.min(target.length - filled, CHUNK_BYTES);
      const count = readSync(this.#file, target, filled, wanted, position + filled);
      if (count === 0) {
        throw new CheckpointError(
          `${this.path}: ends at byte ${position + filled}, had ${this.sizeBytes} bytes when opened. Do not change a checkpoint in use.`,
        );
      }
      filled += count;
    }
  }

  /** The stored bytes of elements `begin` to `begin + count` (row-major) of `entry`. */
  readBytes(entry: TensorEntry, begin: number, count: number): Uint8Array {
    const size = bytesPerElement(entry.dtype);
    const bytes = new Uint8Array(count * size);
    this.readInto(bytes, entry.begin + begin * size);
    return bytes;
  }

  /**
   * Elements `begin` to `begin + count` (row-major) of `entry` as float32.
   * @throws {CheckpointError} for a dtype that is not F32, F16 or BF16
   */
  readFloats(entry: TensorEntry, begin: number, count: number): Float32Array {
    const size = bytesPerElement(entry.dtype);
    if (entry.dtype === "F32") {
      const out = new Float32Array(count);
      this.readInto(new Uint8Array(out.buffer), entry.begin + begin * size);
      return out;
    }
    if (entry.dtype !== "F16" && entry.dtype !== "BF16") {
      throw new CheckpointError(
        `${this.path}: ${quoted(entry.name)} is ${entry.dtype}, only F32, F16 and BF16 can be read as floats.`,
      );
    }
    const out = new Float32Array(count);
    const bits = new Uint32Array(out.buffer);
    const chunk = new Uint16Array(Math.min(count, CHUNK_BYTES / 2));
    for (let done = 0; done < count; done += chunk.length) {
      const part = chunk.subarray(0, Math.min(count - done, chunk.length));
      this.readInto(new Uint8Array(part.buffer, 0, part.byteLength), entry.begin + (begin + done) * size);
      widenInto(part, entry.dtype, bits.subarray(done));
    }
    return out;
  }

  /** Closes the file; reading afterwards throws. */
  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #readHeader(): Uint8Array {
    if (this.sizeBytes < LENGTH_PREFIX_BYTES) {
      throw new CheckpointError(
        `${this.path}: ${this.sizeBytes} bytes, a safetensors file has at least ${LENGTH_PREFIX_BYTES}. Download it again.`,
      );
    }
    const prefix = new Uint8Array(LENGTH_PREFIX_BYTES);
    this.readInto(prefix, 0);
    const length = new DataView(prefix.buffer).getBigUint64(0, true);
    const available = this.sizeBytes - LENGTH_PREFIX_BYTES;
    // Checked before a byte is allocated for it.
    if (length > BigInt(available)) {
      throw new CheckpointError(
        `${this.path}: header of ${length} bytes announced, ${available} are left in the file. Not a safetensors file, or the download is incomplete: download it again.`,
      );
    }
    if (length > BigInt(MAX_HEADER_BYTES)) {
      throw new CheckpointError(
        `${this.path}: header of ${length} bytes, at most ${MAX_HEADER_BYTES} are accepted. The file is damaged or hostile.`,
      );
    }
    const header = new Uint8Array(Number(length));
    this.readInto(header, LENGTH_PREFIX_BYTES);
    return header;
  }
}

function readEntries(path: string, header: Uint8Array, dataBegin: number, sizeBytes: number): Map<string, TensorEntry> {
  const where = `${path}: header`;
  const json = parseJson(header, { where, maxDepth: MAX_HEADER_DEPTH, uniqueKeys: true });
  if (!isObject(json)) {
    throw new CheckpointError(`${where}: expected a JSON object, found ${quoted(json)}. Not a safetensors file.`);
  }
  const entries: TensorEntry[] = [];
  for (const [name, value] of Object.entries(json)) {
    if (name !== "__metadata__") entries.push(readEntry(path, name, value, dataBegin, sizeBytes));
  }
  // Empty tensors share their begin with the next one, so they come first.
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let covered = dataBegin;
  let last = "the header";
  for (const { name, begin, end } of entries) {
    if (begin !== covered) {
      const what = begin < covered ? "overlaps" : "leaves a gap after";
      throw new CheckpointError(
        `${path}: ${quoted(name)} begins at byte ${begin} and ${what} ${last}, which ends at byte ${covered}. The file is damaged or hostile: download it again.`,
      );
    }
    covered = end;
    last = quoted(name);
  }
  if (covered !== sizeBytes) {
    throw new CheckpointError(
      `${path}: tensors end at byte ${covered}, file has ${sizeBytes}. The file is damaged or hostile: download it again.`,
    );
  }
  return new Map(entries.map((entry) => [entry.name, entry]));
}

function readEntry(path: string, name: string, value: unknown, dataBegin: number, sizeBytes: number): TensorEntry {
  const refuse = (problem: string): never => {
    throw new CheckpointError(`${path}: ${quoted(name)} ${problem}`);
  };
  if (!isObject(value)) return refuse(`has ${quoted(value)} where an object with dtype, shape, data_offsets belongs.`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (!isStoredDtype(dtype)) return refuse(`has dtype ${quoted(dtype)}, which this reader does not know.`);
  if (!isCounts(shape)) return refuse(`has shape ${quoted(shape)}, expected a list of non-negative integers.`);
  if (!isCounts(offsets) || offsets.length !== 2) {
    return refuse(`has data_offsets ${quoted(offsets)}, expected two non-negative integers.`);
  }
  const [from, to] = offsets as [number, number];
  if (from > to) return refuse(`has data_offsets ${quoted(offsets)}: the end is before the begin.`);
  const begin = dataBegin + from;
  const end = dataBegin + to;
  if (end > sizeBytes) {
    return refuse(
      `ends at byte ${end}, file has ${sizeBytes}. Download incomplete or file damaged: run \`rge pull\` again.`,
    );
  }
  // Compared as a product of integers below 2^53: a huge shape stops at the first step past the file's own size.
  const expected = byteLength(shape, bytesPerElement(dtype));
  if (expected !== to - from) {
    return refuse(
      `is ${dtype} ${quoted(shape)}, which takes ${expected ?? "more than 2^53"} bytes, but spans ${to - from}. The file is damaged or hostile.`,
    );
  }
  return { name, dtype, shape, begin, end, path };
}

/** `size * product(shape)`, or `undefined` past 2^53 - 1. */
function byteLength(shape: readonly number[], size: number): number | undefined {
  if (shape.includes(0)) return 0;
  let product = size;
  for (const dim of shape) {
    product *= dim;
    if (!Number.isSafeInteger(product)) return undefined;
  }
  return product;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && (item as number) >= 0);
}
