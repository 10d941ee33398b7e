/** From pixels to the rows that a Qwen-VL vision tower reads. */

/** How a checkpoint cuts and scales a picture; the names are those of preprocessor_config.json in camelCase. */
export interface PatchLayout {
  /** Side of one patch, in pixels. */
  readonly patchSize: number;
  /** Frames in one patch; a still picture is repeated so often. */
  readonly temporalPatchSize: number;
  /** Side, in patches, of the square that the tower merges into one token. */
  readonly mergeSize: number;
  /** Per channel, of values scaled to 0..1. */
  readonly imageMean: readonly [number, number, number];
  /** Per channel, of values scaled to 0..1. */
  readonly imageStd: readonly [number, number, number];
  /** Factor that takes a byte to 0..1: 1 / 255. */
  readonly rescaleFactor: number;
}

/** Patches in time, down and across: t, h, w. */
export type Grid = readonly [t: number, h: number, w: number];

/** `[3, 256]`: what each byte becomes, in the reference's order of float32 roundings (scale, subtract, divide). */
function normalisedBytes({ imageMean, imageStd, rescaleFactor }: PatchLayout): Float32Array {
  const table = new Float32Array(3 * 256);
  for (let channel = 0; channel < 3; channel++) {
    const mean = Math.fround(imageMean[channel]!);
    const std = Math.fround(imageStd[channel]!);
    for (let byte = 0; byte < 256; byte++) {
      table[channel * 256 + byte] = Math.fround(Math.fround(byte * rescaleFactor) - mean) / std;
    }
  }
  return table;
}

/**
 * Cuts a picture into normalised patches, in the merge-group order of transformers' `Qwen2VLImageProcessor`:
 * the `mergeSize` by `mergeSize` patches of one token stand next to each other.
 * @param rgb `[height, width, 3]`, both sides multiples of `patchSize * mergeSize`
 * @returns patches `[h * w, 3 * temporalPatchSize * patchSize * patchSize]` (channel, frame, row, column) and their grid
 * @throws {RangeError} sides that are no such multiples
 */
export function patchify(
  rgb: Uint8Array,
  width: number,
  height: number,
  layout: PatchLayout,
): { patches: Float32Array; grid: Grid } {
  const { patchSize, temporalPatchSize, mergeSize } = layout;
  const block = patchSize * mergeSize;
  if (width % block !== 0 || height % block !== 0 || rgb.length !== width * height * 3) {
    throw new RangeError(`internal: patchify: ${rgb.length} bytes, ${width} x ${height}, blocks of ${block}`);
  }
  const patches = new Float32Array(rgb.length * temporalPatchSize);
  const table = normalisedBytes(layout);
  let to = 0;
  for (let top = 0; top < height; top += block) {
    for (let left = 0; left < width; left += block) {
      for (let y = top; y < top + block; y += patchSize) {
        for (let x = left; x < left + block; x += patchSize) {
          writePatch(rgb, (y * width + x) * 3, width * 3, layout, table, patches, to);
          to += 3 * temporalPatchSize * patchSize * patchSize;
        }
      }
    }
  }
  return { patches, grid: [1, height / patchSize, width / patchSize] };
}

/** Kernel: the patch whose first byte is `rgb[from]`, written at `patches[to]` as channel, frame, row, column. */
function writePatch(
  rgb: Uint8Array,
  from: number,
  rowBytes: number,
  { patchSize, temporalPatchSize }: PatchLayout,
  table: Float32Array,
  patches: Float32Array,
  to: number,
): void {
  const area = patchSize * patchSize;
  for (let channel = 0; channel < 3; channel++) {
    const start = to + channel * temporalPatchSize * area;
    for (let row = 0; row < patchSize; row++) {
      let source = from + row * rowBytes + channel;
      let target = start + row * patchSize;
      for (let column = 0; column < patchSize; column++) {
        patches[target] = table[channel * 256 + rgb[source]!]!;
        source += 3;
        target += 1;
      }
    }
    for (let frame = 1; frame < temporalPatchSize; frame++) {
      patches.copyWithin(start + frame * area, start, start + area);
    }
  }
}
