/** Angles of rotary embeddings, computed as PyTorch does: float32 frequencies times float32 positions. */

/** Cosines and sines, each `[rows, headDim / 2]`. */
export interface Angles {
  readonly cos: Float32Array;
  readonly sin: Float32Array;
}

/** `theta^(-2i/dim)` for i below `dim / 2`, rounded to float32 at the steps where PyTorch rounds. */
export function inverseFrequencies(dim: number, theta: number): Float32Array {
  return Float32Array.from({ length: dim / 2 }, (_, i) => 1 / Math.fround(theta ** Math.fround((2 * i) / dim)));
}

/**
 * Angles of rows whose element `i` turns by `position(row, axisOf[i]) * frequency[i]`.
 * @param axisOf for each of the `headDim / 2` frequencies, which position axis drives it
 * @param positions one array per axis, each `[rows]`
 */
export function anglesOf(
  frequencies: Float32Array,
  axisOf: readonly number[],
  positions: readonly ArrayLike<number>[],
): Angles {
  const rows = positions[0]!.length;
  const width = frequencies.length;
  const cos = new Float32Array(rows * width);
  const sin = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < width; i++) {
      const angle = Math.fround(frequencies[i]! * positions[axisOf[i]!]![row]!);
      cos[row * width + i] = Math.cos(angle);
      sin[row * width + i] = Math.sin(angle);
    }
  }
  return { cos, sin };
}

/**
 * Which of the axes (time, height, width) drives each frequency of multimodal RoPE.
 * Sections in a row for Qwen2-VL and Qwen2.5-VL (arXiv:2409.12191); interleaved t h w t h w ... t t for Qwen3-VL, where
 * an axis stops taking its turn once its section is used up.
 */
export function mropeAxes(section: readonly [number, number, number], interleaved: boolean): readonly number[] {
  const total = section[0] + section[1] + section[2];
  return Array.from({ length: total }, (_, i) => {
    if (!interleaved) return i < section[0] ? 0 : i < section[0] + section[1] ? 1 : 2;
    const axis = i % 3;
    return axis !== 0 && i < section[axis]! * 3 ? axis : 0;
  });
}
