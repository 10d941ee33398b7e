/** The size that a Qwen-VL processor gives to a picture: multiples of the merged patch, inside a budget of pixels. */
import { ImageError } from "../errors.ts";

/** Steepest side ratio that the reference accepts (transformers, `qwen2_vl`). */
const MAX_ASPECT_RATIO = 200;

/** Bounds on a resized picture. */
export interface PixelBounds {
  /** Side of one merged patch, in pixels: `patchSize * mergeSize`. Both sides become multiples of it. */
  readonly factor: number;
  /** Fewest pixels (width times height) after the resize, at least 1; smaller pictures are scaled up. */
  readonly minPixels: number;
  /** Most pixels after the resize; larger pictures are scaled down. */
  readonly maxPixels: number;
}

/** Python's `round`: a tie goes to the even neighbour. */
function roundHalfToEven(x: number): number {
  const floor = Math.floor(x);
  const fraction = x - floor;
  if (fraction !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

/**
 * `smart_resize` of transformers 5.18 (`models/qwen2_vl/image_processing_qwen2_vl.py`), to the last rounding.
 * @param height of the picture, in pixels
 * @param width of the picture, in pixels
 * @returns height and width after the resize, in pixels
 * @throws {ImageError} a side ratio past 200
 */
export function smartResize(
  height: number,
  width: number,
  { factor, minPixels, maxPixels }: PixelBounds,
): { height: number; width: number } {
  const ratio = Math.max(height, width) / Math.min(height, width);
  if (ratio > MAX_ASPECT_RATIO) {
    throw new ImageError(
      `${width} x ${height} pixels: one side is ${ratio.toFixed(0)} times the other, the model takes at most ` +
        `${MAX_ASPECT_RATIO}. Crop the picture.`,
    );
  }
  let outHeight = roundHalfToEven(height / factor) * factor;
  let outWidth = roundHalfToEven(width / factor) * factor;
  if (outHeight * outWidth > maxPixels) {
    const shrink = Math.sqrt((height * width) / maxPixels);
    outHeight = Math.max(factor, Math.floor(height / shrink / factor) * factor);
    outWidth = Math.max(factor, Math.floor(width / shrink / factor) * factor);
  } else if (outHeight * outWidth < minPixels) {
    const grow = Math.sqrt(minPixels / (height * width));
    outHeight = Math.ceil((height * grow) / factor) * factor;
    outWidth = Math.ceil((width * grow) / factor) * factor;
  }
  return { height: outHeight, width: outWidth };
}
