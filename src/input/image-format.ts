/** Which kind of picture a file is, by its first bytes and never by its name. */
import { ImageError } from "../errors.ts";

/** The formats that are decoded. */
export type ImageFormat = "jpeg" | "png" | "webp" | "gif" | "avif" | "tiff";

/** Formats that are refused by name: drawings run code or fetch, the others have no reference reading here. */
const REFUSED: readonly (readonly [name: string, at: number, magic: string])[] = [
  ["SVG", 0, "<svg"],
  ["XML or SVG", 0, "<?xml"],
  ["HTML or SVG", 0, "<!"],
  ["HTML", 0, "<html"],
  ["PDF", 0, "%PDF"],
  ["PostScript", 0, "%!PS"],
  ["BMP", 0, "BM"],
  ["JPEG XL", 0, "\xff\x0a"],
  ["JPEG XL", 4, "JXL "],
  ["JPEG 2000", 4, "jP  "],
  ["HEIC or another ISO media file", 4, "ftyp"],
];

/** Little and big endian, classic and BigTIFF. */
const TIFF_MAGIC = ["II*\0", "MM\0*", "II+\0", "MM\0+"];

/** Bytes that are looked at; an AVIF brand list is a few words long. */
const HEAD_BYTES = 64;

/**
 * The format of an encoded picture.
 * @param label names the picture in the error
 * @throws {ImageError} a format outside `ImageFormat`, named where it is a well-known one
 */
export function sniffFormat(bytes: Uint8Array, label: string): ImageFormat {
  const head = Buffer.from(bytes.subarray(0, HEAD_BYTES)).toString("latin1");
  if (head.startsWith("\xff\xd8\xff")) return "jpeg";
  if (head.startsWith("\x89PNG\r\n\x1a\n")) return "png";
  if (/^RIFF[^]{4}WEBP/.test(head)) return "webp";
  if (/^GIF8[79]a/.test(head)) return "gif";
  if (TIFF_MAGIC.some((magic) => head.startsWith(magic))) return "tiff";
  if (/^[^]{4}ftyp([^]{4})*?avi[fs]/.test(head)) return "avif";
  const refused = REFUSED.find(([, at, magic]) => head.trimStart().toLowerCase().startsWith(magic.toLowerCase(), at));
  throw new ImageError(
    `${label}: ${refused === undefined ? "no picture format that is known here" : `${refused[0]} is not read`}. ` +
      "Expected JPEG, PNG, WebP, GIF, AVIF or TIFF: convert it first.",
  );
}
