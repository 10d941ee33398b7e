/**
 * First frame of a GIF as RGB. libvips clears transparent pixels to black, where Pillow keeps their palette colour,
 * so GIF is decoded here. Format: CompuServe, "Graphics Interchange Format", version 89a.
 */
import { ImageError } from "../errors.ts";

/** Codes have at most 12 bits (GIF89a, appendix F). */
const MAX_CODES = 4096;

/** Walks through the file; reading past its end is an error, never a zero. */
class GifReader {
  readonly #bytes: Uint8Array;
  readonly #label: string;
  #at = 0;
  constructor(bytes: Uint8Array, label: string) {
    this.#bytes = bytes;
    this.#label = label;
  }

  take(size: number): Uint8Array {
    if (this.#at + size > this.#bytes.length) throw this.damaged("cut off");
    this.#at += size;
    return this.#bytes.subarray(this.#at - size, this.#at);
  }

  byte(): number {
    return this.take(1)[0]!;
  }

  /** Little-endian. */
  word(): number {
    const [low, high] = this.take(2);
    return low! | (high! << 8);
  }

  /** The sub-blocks up to the terminator, joined. */
  subBlocks(): Uint8Array {
    const blocks: Uint8Array[] = [];
    for (let size = this.byte(); size !== 0; size = this.byte()) blocks.push(this.take(size));
    return Buffer.concat(blocks);
  }

  /** `[colours, 3]`, from the low bits of a descriptor's flags. */
  colours(flags: number): Uint8Array | undefined {
    return (flags & 0x80) === 0 ? undefined : this.take(3 << ((flags & 7) + 1));
  }

  damaged(what: string): ImageError {
    return new ImageError(`${this.#label}: the gif data is damaged or cut off: ${what}`);
  }
}

/** Where the first frame lies, and how it is coloured. */
interface Frame {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  readonly interlaced: boolean;
  readonly colours: Uint8Array | undefined;
  /** Palette index of see-through pixels. */
  readonly transparent: number | undefined;
}

/** Reads up to the first frame's compressed data; the reader then stands before it. */
function readFirstFrame(reader: GifReader): { width: number; height: number; frame: Frame } {
  reader.take(6);
  const screenWidth = reader.word();
  const screenHeight = reader.word();
  const screenFlags = reader.byte();
  reader.take(2);
  const screenColours = reader.colours(screenFlags);
  let transparent: number | undefined;
  for (;;) {
    const marker = reader.byte();
    if (marker === 0x21) {
      const label = reader.byte();
      const block = reader.subBlocks();
      if (label === 0xf9 && block.length >= 4 && (block[0]! & 1) === 1) transparent = block[3]!;
    } else if (marker === 0x2c) {
      const [left, top, width, height] = [reader.word(), reader.word(), reader.word(), reader.word()];
      const flags = reader.byte();
      const colours = reader.colours(flags) ?? screenColours;
      const frame = { left, top, width, height, interlaced: (flags & 0x40) !== 0, colours, transparent };
      // Pillow grows the canvas to a first frame that overhangs it.
      return { width: Math.max(screenWidth, left + width), height: Math.max(screenHeight, top + height), frame };
    } else if (marker === 0x3b) {
      throw reader.damaged("no frame");
    }
  }
}

/**
 * Size of the canvas, in pixels, from the headers.
 * @throws {ImageError} damaged, or without a frame
 */
export function gifSize(bytes: Uint8Array, label: string): { width: number; height: number } {
  const reader = new GifReader(bytes, label);
  const { width, height } = readFirstFrame(reader);
  if (width === 0 || height === 0) throw reader.damaged(`${width} x ${height} pixels`);
  return { width, height };
}

/**
 * Decodes the first frame on its canvas, as Pillow does: see-through pixels keep their palette colour, and what the
 * frame leaves uncovered has the see-through index, or else index 0.
 * @param size what `gifSize` gave; checked against the caller's limits by then
 * @returns `rgb` as `[height, width, 3]`
 * @throws {ImageError} damaged or cut off
 */
export function decodeGif(
  bytes: Uint8Array,
  { width, height }: { width: number; height: number },
  label: string,
): { rgb: Uint8Array; width: number; height: number } {
  const reader = new GifReader(bytes, label);
  const { frame } = readFirstFrame(reader);
  const indices = inflate(reader, frame.width * frame.height);
  const rgb = new Uint8Array(width * height * 3);
  const colour = palette(frame.colours);
  const rest = (frame.transparent ?? 0) * 3;
  if (frame.width < width || frame.height < height) {
    for (let i = 0; i < rgb.length; i++) rgb[i] = colour[rest + (i % 3)]!;
  }
  const rows = rowOrder(frame);
  let from = 0;
  for (const row of rows) {
    let to = ((frame.top + row) * width + frame.left) * 3;
    for (let x = 0; x < frame.width; x++) {
      const entry = indices[from++]! * 3;
      rgb[to++] = colour[entry]!;
      rgb[to++] = colour[entry + 1]!;
      rgb[to++] = colour[entry + 2]!;
    }
  }
  return { rgb, width, height };
}

/** `[256, 3]`: black past the file's own colours, and a grey ramp where it has none. */
function palette(colours: Uint8Array | undefined): Uint8Array {
  const full = new Uint8Array(256 * 3);
  if (colours === undefined) return full.map((_, i) => Math.floor(i / 3));
  full.set(colours);
  return full;
}

/** Rows of the frame in the order of the file. */
function rowOrder({ height, interlaced }: Frame): number[] {
  const passes = interlaced
    ? [
        [0, 8],
        [4, 8],
        [2, 4],
        [1, 2],
      ]
    : [[0, 1]];
  const rows: number[] = [];
  for (const [start, step] of passes) for (let row = start!; row < height; row += step!) rows.push(row);
  return rows;
}

/** Kernel: GIF's variable-width LZW, up to `size` palette indices. */
function inflate(reader: GifReader, size: number): Uint8Array {
  const rootBits = reader.byte();
  if (rootBits < 1 || rootBits > 8) throw reader.damaged(`LZW starts with ${rootBits} bits`);
  const data = reader.subBlocks();
  const out = new Uint8Array(size);
  const prefix = new Int16Array(MAX_CODES);
  const suffix = new Uint8Array(MAX_CODES);
  const stack = new Uint8Array(MAX_CODES + 1);
  const clear = 1 << rootBits;
  for (let i = 0; i < clear; i++) suffix[i] = i;
  let [bits, next, previous, first, at, to, held, heldBits] = [rootBits + 1, clear + 2, -1, 0, 0, 0, 0, 0];
  while (to < size) {
    while (heldBits < bits) {
      if (at === data.length) throw reader.damaged(`${to} of ${size} pixels`);
      held |= data[at++]! << heldBits;
      heldBits += 8;
    }
    const code = held & ((1 << bits) - 1);
    held >>= bits;
    heldBits -= bits;
    if (code === clear) {
      [bits, next, previous] = [rootBits + 1, clear + 2, -1];
      continue;
    }
    if (code === clear + 1) throw reader.damaged(`${to} of ${size} pixels`);
    if (code > next || (code === next && previous < 0) || (previous < 0 && code > clear)) {
      throw reader.damaged(`LZW code ${code} of ${next}`);
    }
    // Code `next` is the string about to be defined: the previous one with its own first index at the end.
    let depth = 0;
    let link = code;
    if (code === next) {
      stack[depth++] = first;
      link = previous;
    }
    while (link >= clear) {
      stack[depth++] = suffix[link]!;
      link = prefix[link]!;
    }
    first = link;
    stack[depth++] = first;
    while (depth > 0 && to < size) out[to++] = stack[--depth]!;
    if (previous >= 0 && next < MAX_CODES) {
      prefix[next] = previous;
      suffix[next] = first;
      next += 1;
      if (next === 1 << bits && bits < 12) bits += 1;
    }
    previous = code;
  }
  return out;
}
