/** Writer for safetensors files, one tensor in memory at a time; the file appears whole or not at all. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { CheckpointError } from "../errors.ts";
import { quoted } from "./quoted.ts";
import { MAX_HEADER_BYTES } from "./safetensors.ts";
import { type StoredDtype, bytesPerElement, toBfloat16, toFloat16 } from "./stored-dtype.ts";

/** One tensor to write. */
export interface TensorToWrite {
  name: string;
  dtype: StoredDtype;
  shape: readonly number[];
  /**
   * Row-major content: little-endian bytes of `dtype`, or floats for `F32` (as they are), `BF16` and `F16` (rounded).
   * A function is called when its tensor's turn comes, so that a big checkpoint is never in memory at once.
   */
  data: Uint8Array | Float32Array | (() => Uint8Array | Float32Array);
}

/**
 * Writes a safetensors file in the order of the reference implementation: widest dtype first, then by name. It goes to
 * a temporary file beside `path` that is renamed at the end; a failure leaves what was at `path` as it was.
 * @throws {CheckpointError} for a name given twice, an illegal shape, or content that does not fill its shape
 */
export function writeSafetensors(path: string, tensors: Iterable<TensorToWrite>): void {
  const ordered = [...tensors].sort(
    (a, b) => bytesPerElement(b.dtype) - bytesPerElement(a.dtype) || (a.name < b.name ? -1 : 1),
  );
  const header = encodeHeader(path, ordered);
  const temporary = `${path}.${process.pid}.tmp`;
  const file = openSync(temporary, "w");
  try {
    try {
      writeAll(file, header);
      for (const tensor of ordered) writeAll(file, encodeContent(path, tensor));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

function encodeHeader(path: string, tensors: readonly TensorToWrite[]): Uint8Array {
  // No prototype, so that a tensor called "__proto__" stays a tensor. transformers refuses files without a format.
  const header = Object.assign(Object.create(null) as Record<string, unknown>, { __metadata__: { format: "pt" } });
  let position = 0;
  for (const { name, dtype, shape } of tensors) {
    if (name in header) throw new CheckpointError(`${path}: ${quoted(name)} is given twice, or is a reserved name.`);
    const end = position + contentBytes(path, { name, dtype, shape });
    header[name] = { dtype, shape, data_offsets: [position, end] };
    position = end;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  // Spaces up to a multiple of 8, so that the data is aligned for readers that map the file.
  const padded = Math.ceil(json.length / 8) * 8;
  if (padded > MAX_HEADER_BYTES) {
    throw new CheckpointError(`${path}: header of ${padded} bytes, readers accept at most ${MAX_HEADER_BYTES}.`);
  }
  const bytes = new Uint8Array(8 + padded).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(padded), true);
  bytes.set(json, 8);
  return bytes;
}

function contentBytes(path: string, { name, dtype, shape }: Pick<TensorToWrite, "name" | "dtype" | "shape">): number {
  const bytes = shape.reduce((product, dim) => product * dim, bytesPerElement(dtype));
  if (!shape.every((dim) => Number.isSafeInteger(dim) && dim >= 0) || !Number.isSafeInteger(bytes)) {
    throw new CheckpointError(`${path}: ${quoted(name)} has shape ${quoted(shape)}, expected non-negative integers.`);
  }
  return bytes;
}

function encodeContent(path: string, tensor: TensorToWrite): Uint8Array {
  const { name, dtype, shape } = tensor;
  const data = typeof tensor.data === "function" ? tensor.data() : tensor.data;
  let bytes: Uint8Array;
  if (data instanceof Uint8Array) bytes = data;
  else if (dtype === "F32") bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  else if (dtype === "BF16") bytes = toBfloat16(data);
  else if (dtype === "F16") bytes = toFloat16(data);
  else {
    throw new CheckpointError(`${path}: ${quoted(name)}: floats can be written as F32, BF16 or F16, not as ${dtype}.`);
  }
  const expected = contentBytes(path, tensor);
  if (bytes.length !== expected) {
    throw new CheckpointError(
      `${path}: ${quoted(name)} is ${dtype} ${quoted(shape)}, which takes ${expected} bytes, but has ${bytes.length}.`,
    );
  }
  return bytes;
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length;) written += writeSync(file, bytes, written);
}
