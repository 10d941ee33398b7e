/** Numbers with a shape, outside any graph: what sessions are fed with and what they return. */
export interface HostTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array | Float64Array | BigInt64Array | Int32Array;
}

/** Graph input name -> numbers. */
export type Feeds = Readonly<Record<string, HostTensor>>;

/** float32 numbers with a shape. */
export function floats(data: Float32Array, shape: readonly number[]): HostTensor {
  return { data, shape };
}

/** Whole numbers as int64, which ONNX wants for indices. */
export function indices(values: ArrayLike<number>, shape: readonly number[] = [values.length]): HostTensor {
  return { data: BigInt64Array.from(values as ArrayLike<number> & Iterable<number>, BigInt), shape };
}

/** The arrays one after another; a single one is handed back as it is. */
export function joinFloats(arrays: readonly Float32Array[]): Float32Array {
  if (arrays.length === 1) return arrays[0]!;
  const joined = new Float32Array(arrays.reduce((sum, array) => sum + array.length, 0));
  let at = 0;
  for (const array of arrays) {
    joined.set(array, at);
    at += array.length;
  }
  return joined;
}
