/** Reads reference tensors in tests; trusts its files, unlike the loader of the package. */
import { readFileSync } from "node:fs";

/** One tensor: row-major values and their shape. */
export interface ReferenceTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: Float32Array | BigInt64Array | Uint8Array;
}

const VIEWS: Record<string, (bytes: ArrayBuffer) => ReferenceTensor["data"]> = {
  F32: (bytes) => new Float32Array(bytes),
  I64: (bytes) => new BigInt64Array(bytes),
  U8: (bytes) => new Uint8Array(bytes),
};

/** All tensors of a safetensors file by name; F32, I64 and U8 only, any other dtype throws. */
export function readSafetensors(path: string): Map<string, ReferenceTensor> {
  const file = readFileSync(path);
  const headerEnd = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString("utf8", 8, headerEnd)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const tensors = new Map<string, ReferenceTensor>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const [start, end] = entry.data_offsets;
    // A copy of its own: typed arrays need an aligned start.
    const bytes = new Uint8Array(file.subarray(headerEnd + start, headerEnd + end)).buffer;
    const make = VIEWS[entry.dtype];
    if (make === undefined) throw new Error(`${path}: ${name} is ${entry.dtype}`);
    tensors.set(name, { dtype: entry.dtype, shape: entry.shape, data: make(bytes) });
  }
  return tensors;
}
