import { ShapeError } from "../errors.ts";
import type { DType } from "../dtype.ts";

/**
 * Little-endian bytes of small constants.
 * @throws {ShapeError} for an element type that no constant here has, or a fraction where whole numbers are due
 */
export function packNumbers(dtype: DType, values: readonly number[]): Uint8Array {
  if (dtype === "float32") return new Uint8Array(Float32Array.from(values).buffer);
  if (dtype === "float64") return new Uint8Array(Float64Array.from(values).buffer);
  const fraction = values.find((value) => !Number.isSafeInteger(value));
  if (fraction !== undefined) throw new ShapeError(`constant: ${fraction} is no ${dtype}`);
  if (dtype === "int32") return new Uint8Array(Int32Array.from(values).buffer);
  if (dtype === "int64") return new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
  if (dtype === "uint8") return Uint8Array.from(values);
  throw new ShapeError(`constant: ${dtype} is not supported; make it float32 and cast it`);
}
