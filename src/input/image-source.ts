/** Where a picture comes from, and its bytes: bounded, and never from the network. */
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { ImageError, messageOf } from "../errors.ts";

/** A file's path, a `data:` URL in base64, or the bytes of an encoded picture. */
export type ImageSource = string | Uint8Array | ArrayBuffer;

/** `error` names at most so much of a source, so that a long `data:` URL does not fill the log. */
const MAX_LABEL_CHARS = 200;

/** How errors name `source` when the caller gave no label of its own. */
export function labelOf(source: ImageSource): string {
  if (typeof source !== "string") return "image";
  if (/^data:/i.test(source)) return "data: URL";
  return source.length <= MAX_LABEL_CHARS ? source : `${source.slice(0, MAX_LABEL_CHARS)}…`;
}

/**
 * The encoded bytes of `source`.
 * @param maxBytes most bytes accepted; a file is refused by its size before it is read
 * @param label names the source in errors
 * @returns a view, not a copy, where `source` already holds bytes
 * @throws {ImageError} no such file, too large, empty, a malformed `data:` URL, or a URL of any other kind
 */
export async function readImageBytes(source: ImageSource, maxBytes: number, label: string): Promise<Uint8Array> {
  let bytes: Uint8Array;
  if (typeof source !== "string") {
    bytes = source instanceof Uint8Array ? source : new Uint8Array(source);
  } else if (/^data:/i.test(source)) {
    bytes = readDataUrl(source, maxBytes, label);
  } else {
    const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(source)?.[1];
    if (scheme !== undefined) {
      throw new ImageError(
        `${label}: ${scheme}: URLs are not fetched, as a server that did would reach whatever its network holds for ` +
          "anyone who asks (server-side request forgery). Download the picture and give its path or bytes.",
      );
    }
    bytes = await readFileBytes(source, maxBytes, label);
  }
  if (bytes.length === 0) throw new ImageError(`${label}: empty, expected an encoded picture`);
  refuseLarge(bytes.length, maxBytes, label);
  return bytes;
}

function refuseLarge(sizeBytes: number, maxBytes: number, label: string): void {
  if (sizeBytes <= maxBytes) return;
  throw new ImageError(`${label}: ${sizeBytes} bytes, limit ${maxBytes}. Shrink the picture or raise limits.maxBytes.`);
}

function readDataUrl(url: string, maxBytes: number, label: string): Uint8Array {
  const comma = url.indexOf(",");
  const head = url.slice(0, comma);
  const body = url.slice(comma + 1);
  if (comma < 0 || !/;base64$/i.test(head)) {
    throw new ImageError(`${label}: expected data:<type>;base64,<characters>`);
  }
  refuseLarge(Math.floor((body.length * 3) / 4) - 2, maxBytes, label);
  // Buffer.from skips what is not base64, so a damaged URL would otherwise pass for a shorter picture.
  if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(body)) throw new ImageError(`${label}: not base64 after the comma`);
  return Buffer.from(body, "base64");
}

async function readFileBytes(path: string, maxBytes: number, label: string): Promise<Uint8Array> {
  let file;
  try {
    // O_NONBLOCK: opening a pipe that somebody put there must not wait for a writer.
    file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    throw new ImageError(`${label}: cannot be opened: ${messageOf(error)}`, { cause: error });
  }
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw new ImageError(`${label}: not a regular file`);
    const { size } = stats;
    refuseLarge(size, maxBytes, label);
    // One byte more than stat said tells a file that still grows.
    const buffer = Buffer.alloc(size + 1);
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    if (length !== size) throw new ImageError(`${label}: changed while being read. Try again.`);
    return buffer.subarray(0, length);
  } catch (error) {
    if (error instanceof ImageError) throw error;
    throw new ImageError(`${label}: cannot be read: ${messageOf(error)}`, { cause: error });
  } finally {
    await file.close();
  }
}
