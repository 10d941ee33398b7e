/**
 * Encoded pictures to 8-bit RGB, as `PIL.Image.open(file).convert("RGB")` gives it: no colour management, no gamma,
 * alpha dropped and not blended, and turned upright only where Pillow does so by itself (TIFF).
 * The only file that imports sharp, and only when the first picture comes.
 */
import type { Metadata, Sharp, SharpOptions } from "sharp";
import { ImageError, messageOf } from "../errors.ts";
import { decodeGif, gifSize } from "./gif.ts";
import { sniffFormat, type ImageFormat } from "./image-format.ts";
import { labelOf, readImageBytes, type ImageSource } from "./image-source.ts";

/** Bounds on what is decoded. */
export interface ImageLimits {
  /** Most bytes of an encoded picture: far above a camera's JPEG, far below what exhausts a server. @default 67108864 */
  readonly maxBytes?: number;
  /** Most pixels, by the header and before the decode: where Pillow warns of a bomb; 268 MB as RGB. @default 89478485 */
  readonly maxPixels?: number;
}

/** A decoded picture. */
export interface RgbImage {
  /** `[height, width, 3]`, row-major. */
  readonly rgb: Uint8Array;
  /** In pixels. */
  readonly width: number;
  /** In pixels. */
  readonly height: number;
}

/** Colour spaces, in libvips' names, from which RGB follows without colour management. */
const COLOUR_SPACES: ReadonlySet<string> = new Set(["srgb", "b-w", "cmyk", "rgb16", "grey16"]);

/**
 * Decodes the first frame of a JPEG, PNG, WebP, GIF, AVIF or TIFF.
 * Byte for byte what Pillow 12 gives, but for AVIF, where libheif's chroma filter differs by a few levels and a picture
 * stored turned comes out upright.
 * @param label names the picture in errors: a path, or "image 2 of the item"
 * @throws {ImageError} not readable, too large, damaged or cut off, or of a kind that has no RGB reading
 */
export async function decodeImage(
  source: ImageSource,
  limits: ImageLimits = {},
  label: string = labelOf(source),
): Promise<RgbImage> {
  const { maxBytes = 64 * 2 ** 20, maxPixels = 89_478_485 } = limits;
  const bytes = await readImageBytes(source, maxBytes, label);
  const format = sniffFormat(bytes, label);
  if (format === "gif") {
    const size = gifSize(bytes, label);
    refuseManyPixels(size, maxPixels, label);
    return decodeGif(bytes, size, label);
  }
  const { default: sharp } = await import("sharp");
  // libvips counts warnings among JPEG's errors at its strictest level, and cameras write files that earn them.
  const options: SharpOptions = { failOn: "error", ignoreIcc: true, pages: 1, limitInputPixels: false };
  try {
    const metadata = await sharp(bytes, options).metadata();
    refuseManyPixels(metadata, maxPixels, label);
    refuseWithoutReading(metadata, label);
    return await readRgb(sharp(bytes, options), metadata, format);
  } catch (error) {
    if (error instanceof ImageError) throw error;
    const reason = messageOf(error).split("\n", 1)[0];
    throw new ImageError(`${label}: the ${format} data is damaged or cut off: ${reason}`, { cause: error });
  }
}

function refuseManyPixels(
  { width, height }: { width: number; height: number },
  maxPixels: number,
  label: string,
): void {
  if (width * height <= maxPixels) return;
  throw new ImageError(
    `${label}: ${width} x ${height} pixels, limit ${maxPixels}. Shrink the picture or raise limits.maxPixels.`,
  );
}

function refuseWithoutReading({ space, depth, channels }: Metadata, label: string): void {
  if (space === "grey16" && channels === 1) {
    throw new ImageError(
      `${label}: 16-bit greyscale, which Pillow turns white from 256 up, so no model has been trained on its reading. ` +
        "Convert the picture to 8 bits.",
    );
  }
  if ((depth === "uchar" || depth === "ushort") && COLOUR_SPACES.has(space)) return;
  throw new ImageError(`${label}: colour space ${space}, ${depth} samples. Convert the picture to 8-bit RGB.`);
}

async function readRgb(image: Sharp, { space }: Metadata, format: ImageFormat): Promise<RgbImage> {
  if (format === "tiff") image = image.autoOrient();
  if (space === "cmyk") {
    const cmyk = image.pipelineColourspace("cmyk").toColourspace("cmyk").raw();
    const { data, info } = await cmyk.toBuffer({ resolveWithObject: true });
    return { rgb: cmykToRgb(data, info.channels), width: info.width, height: info.height };
  }
  const { data, info } = await image.removeAlpha().toColourspace("srgb").raw().toBuffer({ resolveWithObject: true });
  if (info.channels !== 3) throw new ImageError(`internal: ${info.channels} channels after the conversion to RGB`);
  return { rgb: data, width: info.width, height: info.height };
}

/** `a * b / 255`, rounded as Pillow's MULDIV255 does it. */
function mulDiv255(a: number, b: number): number {
  const product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

/** Kernel, Pillow's `cmyk2rgb`: what black leaves, less the ink's share of that. Zero is no ink. */
function cmykToRgb(cmyk: Uint8Array, channels: number): Uint8Array {
  const rgb = new Uint8Array((cmyk.length / channels) * 3);
  let to = 0;
  for (let from = 0; from < cmyk.length; from += channels) {
    const light = 255 - cmyk[from + 3]!;
    for (let ink = 0; ink < 3; ink++) rgb[to++] = light - mulDiv255(cmyk[from + ink]!, light);
  }
  return rgb;
}
