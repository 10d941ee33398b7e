/**
 * The number formats that safetensors files hold, and their way to and from float32. Little-endian hosts only, as
 * every platform Node supports with a prebuilt binary is, except s390x.
 */
import { CheckpointError } from "../errors.ts";

/** Bytes per element of each dtype of the safetensors format; those below a byte (F4, F6) are not recognised. */
const BYTES_PER_ELEMENT = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
} as const;

/** A dtype as a safetensors header spells it. Only `F32`, `F16` and `BF16` can be read as floats. */
export type StoredDtype = keyof typeof BYTES_PER_ELEMENT;

/** Whether `value` is a dtype this reader knows the element size of. */
export function isStoredDtype(value: unknown): value is StoredDtype {
  return typeof value === "string" && Object.hasOwn(BYTES_PER_ELEMENT, value);
}

/** Bytes that one element of `dtype` takes in a file. */
export function bytesPerElement(dtype: StoredDtype): number {
  return BYTES_PER_ELEMENT[dtype];
}

/**
 * `bytes` as float32: exact for `F32`, `F16` and `BF16`, which float32 contains.
 * @param bytes little-endian elements of `dtype`, whole ones only
 * @returns a new array, or for an aligned `F32` a view on `bytes`
 * @throws {CheckpointError} for every other dtype, and for a length that is no multiple of the element size
 */
export function toFloat32(bytes: Uint8Array, dtype: StoredDtype): Float32Array {
  if (dtype !== "F32" && dtype !== "F16" && dtype !== "BF16") {
    throw new CheckpointError(`dtype ${dtype} cannot be read as float32: only F32, F16 and BF16 can.`);
  }
  const size = bytesPerElement(dtype);
  if (bytes.length % size !== 0) {
    throw new CheckpointError(`${bytes.length} bytes are no whole number of ${dtype} elements of ${size} bytes.`);
  }
  const aligned = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  const length = aligned.length / size;
  if (dtype === "F32") return new Float32Array(aligned.buffer, aligned.byteOffset, length);
  const out = new Float32Array(length);
  widenInto(new Uint16Array(aligned.buffer, aligned.byteOffset, length), dtype, new Uint32Array(out.buffer));
  return out;
}

/** Writes the float32 bits of 16-bit floats to the start of `bits`, without a copy between. */
export function widenInto(halves: Uint16Array, dtype: "F16" | "BF16", bits: Uint32Array): void {
  if (dtype === "BF16") {
    // A bfloat16 is the upper half of a float32.
    for (let i = 0; i < halves.length; i++) bits[i] = halves[i]! << 16;
  } else {
    const table = float16Table();
    for (let i = 0; i < halves.length; i++) bits[i] = table[halves[i]!]!;
  }
}

/**
 * float32 to bfloat16, rounded to nearest with ties to even as PyTorch does; NaN stays NaN.
 * @returns two bytes per element, little-endian
 */
export function toBfloat16(values: Float32Array): Uint8Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const word = bits[i]!;
    const isNan = (word & 0x7fff_ffff) > 0x7f80_0000;
    // Rounding could carry a NaN's payload over into infinity, so a NaN gets its quiet bit instead.
    out[i] = isNan ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return new Uint8Array(out.buffer);
}

/**
 * float32 to float16, rounded to nearest with ties to even; too large becomes infinity, NaN stays NaN.
 * @returns two bytes per element, little-endian
 */
export function toFloat16(values: Float32Array): Uint8Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const word = bits[i]!;
    const sign = (word >>> 16) & 0x8000;
    const magnitude = word & 0x7fff_ffff;
    if (magnitude > 0x7f80_0000) out[i] = sign | 0x7e00;
    else if (magnitude >= 0x477f_f000) out[i] = sign | 0x7c00;
    // From 2^-14 on the exponent moves and 13 bits are rounded off; below, steps are of 2^-24.
    else if (magnitude >= 0x3880_0000)
      out[i] = sign | ((magnitude - 0x3800_0000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
    else out[i] = sign | roundHalfEven(Math.abs(values[i]!) * 2 ** 24);
  }
  return new Uint8Array(out.buffer);
}

function roundHalfEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}

let table: Uint32Array | undefined;

/** The float32 bits of all 65536 float16 values, made on first use; `Float16Array` is missing from Node 22. */
function float16Table(): Uint32Array {
  if (table) return table;
  table = new Uint32Array(0x1_0000);
  const value = new Float32Array(1);
  const bits = new Uint32Array(value.buffer);
  for (let half = 0; half < table.length; half++) {
    const sign = (half & 0x8000) << 16;
    const exponent = (half >>> 10) & 0x1f;
    const mantissa = half & 0x3ff;
    if (exponent === 0) {
      value[0] = mantissa * 2 ** -24;
      table[half] = bits[0]! | sign;
    } else {
      // Exponent 31 is infinity or NaN in float16, 255 in float32; the biases are 15 and 127.
      table[half] = sign | ((exponent === 31 ? 255 : exponent + 112) << 23) | (mantissa << 13);
    }
  }
  return table;
}
