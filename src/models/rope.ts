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
  // Many rows share few positions: each is turned by once.
  const places = new Map<number, number>();
  const known: { cos: number[]; sin: number[] } = { cos: [], sin: [] };
  const placeOf = (position: number): number => {
    const place = places.get(position) ?? known.cos.length;
    if (place < known.cos.length) return place;
    places.set(position, place);
    for (const frequency of frequencies) {
      const angle = Math.fround(frequency * position);
      known.cos.push(Math.cos(angle));
      known.sin.push(Math.sin(angle));
    }
    return place;
  };
  const axes = [...new Set(axisOf)];
  for (let row = 0; row < rows; row++) {
    for (const axis of axes) {
      const place = placeOf(positions[axis]![row]!);
      for (let i = 0; i < width; i++) {
        if (axisOf[i] !== axis) continue;
        cos[row * width + i] = known.cos[place + i]!;
        sin[row * width + i] = known.sin[place + i]!;
      }
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
