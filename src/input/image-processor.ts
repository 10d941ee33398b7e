/** A checkpoint's way from an encoded picture to the patches that its vision tower reads. */
import { createHash } from "node:crypto";
import { ImageError } from "../errors.ts";
import { readImageProcessorConfig, type ImageProcessorConfig } from "./image-processor-config.ts";
import { labelOf, type ImageSource } from "./image-source.ts";
import { decodeImage, type ImageLimits, type RgbImage } from "./image.ts";
import { patchify, type Grid } from "./patches.ts";
import { resizeBicubic } from "./resize.ts";
import { smartResize } from "./smart-resize.ts";

/** What a caller may set for one picture. */
export interface PrepareOptions {
  /** Fewest pixels after the resize. @default the checkpoint's */
  readonly minPixels?: number | undefined;
  /** Most pixels after the resize. @default the checkpoint's */
  readonly maxPixels?: number | undefined;
  /** A shorter side is stretched to so many pixels, before the resize: RGE's evaluation takes 28. @default none */
  readonly minSide?: number | undefined;
  /** Bounds on the encoded picture. @default those of `ImageLimits` */
  readonly limits?: ImageLimits | undefined;
  /** Names the picture in errors: "image 2 of the item". @default the path, or "image" */
  readonly label?: string | undefined;
}

/** A picture as a model takes it. */
export interface PreparedImage {
  /** `[h * w, 3 * temporalPatchSize * patchSize * patchSize]` of `grid`: the model's `pixel_values`. */
  readonly patches: Float32Array;
  /** Patches in time, down and across: the model's `image_grid_thw`. */
  readonly grid: Grid;
  /** How many `<|image_pad|>` ids stand for it: `t * h * w / mergeSize^2`. */
  readonly tokens: number;
  /** After the resize, in pixels. */
  readonly width: number;
  /** After the resize, in pixels. */
  readonly height: number;
  /** SHA-256 in hex over the resized size and pixels: equal for pictures that the model cannot tell apart. */
  readonly hash: string;
}

/** Prepares pictures as transformers' `Qwen2VLImageProcessor` (Pillow backend) does. */
export class ImageProcessor {
  /** The checkpoint's settings. */
  readonly config: ImageProcessorConfig;
  constructor(config: ImageProcessorConfig) {
    this.config = config;
  }

  /**
   * Reads the settings of the checkpoint in `folder`.
   * @throws {CheckpointError} missing or unsupported settings
   */
  static load(folder: string): ImageProcessor {
    return new ImageProcessor(readImageProcessorConfig(folder));
  }

  /**
   * Decodes, resizes and cuts one picture. The decode runs on libvips' threads; the rest blocks the calling thread
   * (0.2 to 0.3 s for 12 megapixels), so a server calls this from a worker.
   * @throws {ImageError} not readable, past a limit, steeper than 200 to 1, or bounds that fit no picture
   */
  async prepare(source: ImageSource, options: PrepareOptions = {}): Promise<PreparedImage> {
    const { patchSize, mergeSize } = this.config;
    const { minPixels = this.config.minPixels, maxPixels = this.config.maxPixels, limits } = options;
    const label = options.label ?? labelOf(source);
    const factor = patchSize * mergeSize;
    for (const [name, value] of Object.entries({ minPixels, maxPixels })) {
      if (!Number.isSafeInteger(value) || value < 1)
        throw new ImageError(`${label}: ${name}=${value} is no pixel count`);
    }
    if (minPixels > maxPixels) throw new ImageError(`${label}: minPixels=${minPixels} > maxPixels=${maxPixels}`);
    const image = withMinSide(await decodeImage(source, limits, label), options.minSide ?? 1);
    const { width, height } = targetSize(image, { factor, minPixels, maxPixels }, label);
    const rgb = resizeBicubic(image.rgb, image.width, image.height, width, height);
    const hash = createHash("sha256").update(`${width}x${height}:`).update(rgb).digest("hex");
    const { patches, grid } = patchify(rgb, width, height, this.config);
    return { patches, grid, tokens: (grid[0] * grid[1] * grid[2]) / mergeSize ** 2, width, height, hash };
  }
}

/** Stretches the sides that are too short, first the width and then the height, as two resizes in Pillow do. */
function withMinSide({ rgb, width, height }: RgbImage, minSide: number): RgbImage {
  const [wide, high] = [Math.max(width, minSide), Math.max(height, minSide)];
  const widened = wide === width ? rgb : resizeBicubic(rgb, width, height, wide, height);
  return {
    rgb: high === height ? widened : resizeBicubic(widened, wide, height, wide, high),
    width: wide,
    height: high,
  };
}

function targetSize(
  { width, height }: { width: number; height: number },
  bounds: Parameters<typeof smartResize>[2],
  label: string,
): { width: number; height: number } {
  try {
    return smartResize(height, width, bounds);
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    throw new ImageError(`${label}: ${error.message}`, { cause: error });
  }
}
