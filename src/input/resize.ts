/**
 * Pillow's antialiased bicubic resize on 8-bit RGB, bit for bit: the filter is stretched by the scale when shrinking,
 * weights are 22-bit fixed point, and the horizontal pass is rounded to bytes before the vertical one.
 * Follows Pillow 12 `src/libImaging/Resample.c` (`precompute_coeffs`, `normalize_coeffs_8bpc`, the 8bpc passes).
 */

/** 32 bits less 8 for the sample and 2 for weights outside 0..1: what Pillow calls PRECISION_BITS. */
const PRECISION_BITS = 32 - 8 - 2;
const HALF = 1 << (PRECISION_BITS - 1);
/** Reach of the cubic on either side, in source pixels at scale 1. */
const CUBIC_SUPPORT = 2;

/** Per output position: the first source position, how many are read, and their fixed-point weights. */
interface Taps {
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** `[outSize, stride]`, zero past `count`. */
  readonly weights: Int32Array;
  readonly stride: number;
}

/** Keys' cubic convolution with a = -0.5. */
function cubic(distance: number): number {
  const x = Math.abs(distance);
  if (x < 1) return ((-0.5 + 2) * x - (-0.5 + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * -0.5;
  return 0;
}

function makeTaps(inSize: number, outSize: number): Taps {
  const scale = inSize / outSize;
  const stretch = Math.max(scale, 1);
  const support = CUBIC_SUPPORT * stretch;
  const inverseStretch = 1 / stretch;
  const stride = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(outSize);
  const count = new Int32Array(outSize);
  const weights = new Int32Array(outSize * stride);
  const exact = new Float64Array(stride);
  for (let out = 0; out < outSize; out++) {
    const center = (out + 0.5) * scale;
    const low = Math.max(0, Math.trunc(center - support + 0.5));
    const size = Math.min(inSize, Math.trunc(center + support + 0.5)) - low;
    let sum = 0;
    for (let i = 0; i < size; i++) {
      exact[i] = cubic((i + low - center + 0.5) * inverseStretch);
      sum += exact[i]!;
    }
    for (let i = 0; i < size; i++) {
      const weight = (sum === 0 ? exact[i]! : exact[i]! / sum) * (1 << PRECISION_BITS);
      weights[out * stride + i] = Math.trunc(weight + (weight < 0 ? -0.5 : 0.5));
    }
    first[out] = low;
    count[out] = size;
  }
  return { first, count, weights, stride };
}

/** Kernel: rows `firstRow` to `firstRow + rows` of `rgb`, each resized to `outWidth`. */
function resizeRows(rgb: Uint8Array, width: number, firstRow: number, rows: number, outWidth: number): Uint8Array {
  const { first, count, weights, stride } = makeTaps(width, outWidth);
  const out = new Uint8ClampedArray(rows * outWidth * 3);
  let to = 0;
  for (let row = 0; row < rows; row++) {
    const rowStart = (firstRow + row) * width * 3;
    for (let x = 0; x < outWidth; x++) {
      let red = HALF;
      let green = HALF;
      let blue = HALF;
      let from = rowStart + first[x]! * 3;
      const end = x * stride + count[x]!;
      for (let tap = x * stride; tap < end; tap++) {
        const weight = weights[tap]!;
        red = (red + Math.imul(rgb[from]!, weight)) | 0;
        green = (green + Math.imul(rgb[from + 1]!, weight)) | 0;
        blue = (blue + Math.imul(rgb[from + 2]!, weight)) | 0;
        from += 3;
      }
      out[to] = red >> PRECISION_BITS;
      out[to + 1] = green >> PRECISION_BITS;
      out[to + 2] = blue >> PRECISION_BITS;
      to += 3;
    }
  }
  return new Uint8Array(out.buffer);
}

/** Kernel: columns of `rgb` (whose row 0 is source row `firstRow`) resized to the rows of `taps`. */
function resizeColumns(rgb: Uint8Array, width: number, firstRow: number, taps: Taps): Uint8Array {
  const rowBytes = width * 3;
  const outHeight = taps.first.length;
  const out = new Uint8ClampedArray(outHeight * rowBytes);
  const sums = new Int32Array(rowBytes);
  for (let y = 0; y < outHeight; y++) {
    sums.fill(HALF);
    for (let tap = 0; tap < taps.count[y]!; tap++) {
      const weight = taps.weights[y * taps.stride + tap]!;
      const from = (taps.first[y]! - firstRow + tap) * rowBytes;
      for (let i = 0; i < rowBytes; i++) sums[i] = (sums[i]! + Math.imul(rgb[from + i]!, weight)) | 0;
    }
    const to = y * rowBytes;
    for (let i = 0; i < rowBytes; i++) out[to + i] = sums[i]! >> PRECISION_BITS;
  }
  return new Uint8Array(out.buffer);
}

/**
 * Resizes 8-bit RGB exactly as `PIL.Image.resize((outWidth, outHeight), BICUBIC)` does.
 * Synchronous: about 0.2 s for 12 megapixels down to 1, so call it off the main thread.
 * @param rgb `[height, width, 3]`, row-major
 * @returns `[outHeight, outWidth, 3]`; `rgb` itself, not a copy, where the size stays
 * @throws {RangeError} sizes that are not positive integers, or an `rgb` of another length
 */
export function resizeBicubic(
  rgb: Uint8Array,
  width: number,
  height: number,
  outWidth: number,
  outHeight: number,
): Uint8Array {
  for (const size of [width, height, outWidth, outHeight]) {
    if (!Number.isSafeInteger(size) || size < 1) throw new RangeError(`internal: resizeBicubic: size ${size}`);
  }
  if (rgb.length !== width * height * 3) {
    throw new RangeError(`internal: resizeBicubic: ${rgb.length} bytes for ${width} x ${height} x 3`);
  }
  if (outHeight === height) return outWidth === width ? rgb : resizeRows(rgb, width, 0, height, outWidth);
  const taps = makeTaps(height, outHeight);
  if (outWidth === width) return resizeColumns(rgb, width, 0, taps);
  // Image.resize in Pillow's Python shrinks very tall pictures downwards first, which rounds differently.
  if (height > width * 100 && outHeight < height) {
    return resizeRows(resizeColumns(rgb, width, 0, taps), width, 0, outHeight, outWidth);
  }
  // Only the rows that the vertical pass reads are worth the horizontal pass.
  const firstRow = taps.first[0]!;
  const rows = taps.first[outHeight - 1]! + taps.count[outHeight - 1]! - firstRow;
  return resizeColumns(resizeRows(rgb, width, firstRow, rows, outWidth), outWidth, firstRow, taps);
}
