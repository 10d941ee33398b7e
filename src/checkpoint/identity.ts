/** What a checkpoint is, as one hash, cheap enough to take on every start. */
import { createHash, type Hash } from "node:crypto";
import { readdirSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { readBoundedFile } from "../json.ts";
import type { SafetensorsFile } from "./safetensors.ts";

/** Files up to this size are hashed whole, in bytes: about 0.2 s. */
const WHOLE_FILE_BYTES = 256 * 1024 * 1024;

/** Names of files beside the weights that are read. */
const SIDE_FILE = /\.(json|jinja|txt)$/;

/** Of bigger files, this many blocks spread evenly, of this many bytes each. */
const SAMPLES = 64;
const SAMPLE_BYTES = 64 * 1024;

/**
 * Hash of configuration files and weights files; the same content gives the same hash on every machine wherever that
 * is affordable. Per weights file, beside its name, size and whole header:
 * - up to 256 MiB: every byte;
 * - bigger, and a blob of the Hugging Face cache that is named after its SHA-256: that name, checked on download;
 * - bigger: 64 blocks of 64 KiB and the time of the last change. Training touches nearly every weight, so the blocks
 *   would show it, but an edit of one tensor could miss them all; the time is what catches that. The price is that a
 *   copied or touched folder counts as another checkpoint, which costs a rebuilt cache where the opposite mistake
 *   would cost wrong vectors.
 * @param configs file name and content, in a fixed order
 * @returns 64 hex digits
 */
export function hashCheckpoint(
  configs: readonly (readonly [name: string, content: Uint8Array])[],
  files: readonly SafetensorsFile[],
): string {
  const hash = createHash("sha256").update("rge checkpoint 1\n");
  // Lengths before contents, so that no two different lists of parts make the same stream.
  for (const [name, content] of configs) hash.update(`${name} ${content.length}\n`).update(content);
  for (const file of files) {
    hash.update(`${basename(file.path)} ${file.sizeBytes} ${file.dataBegin}\n`);
    hashContent(hash, file);
  }
  return hash.digest("hex");
}

/**
 * Hash of the files beside the weights that decide what a model reads and writes: tokenizer, chat template, settings of
 * pictures and of generation.
 * @returns 64 hex digits
 * @throws {CheckpointError} a file of that kind that is too large
 */
export function hashSideFiles(folder: string): string {
  const hash = createHash("sha256");
  for (const name of readdirSync(folder).sort()) {
    if (!SIDE_FILE.test(name)) continue;
    const content = readBoundedFile(join(folder, name), WHOLE_FILE_BYTES)!;
    hash.update(`${name} ${content.length}\n`).update(content);
  }
  return hash.digest("hex");
}

function hashContent(hash: Hash, file: SafetensorsFile): void {
  if (file.sizeBytes <= WHOLE_FILE_BYTES) return hashRange(hash, file, 0, file.sizeBytes);
  hashRange(hash, file, 0, file.dataBegin);
  const blob = contentAddress(file.path);
  if (blob !== undefined) {
    hash.update(`sha256 ${blob}\n`);
    return;
  }
  hash.update(`changed ${file.mtimeNs}\n`);
  const stride = (file.sizeBytes - file.dataBegin - SAMPLE_BYTES) / (SAMPLES - 1);
  for (let i = 0; i < SAMPLES; i++) {
    const begin = file.dataBegin + Math.max(0, Math.floor(i * stride));
    hashRange(hash, file, begin, Math.min(begin + SAMPLE_BYTES, file.sizeBytes));
  }
}

function hashRange(hash: Hash, file: SafetensorsFile, begin: number, end: number): void {
  const block = new Uint8Array(Math.min(end - begin, 4 * 1024 * 1024));
  for (let position = begin; position < end;) {
    const part = block.subarray(0, Math.min(block.length, end - position));
    file.readInto(part, position);
    hash.update(part);
    position += part.length;
  }
}

/** The SHA-256 that a file in the Hugging Face cache is named after: `models--owner--name/blobs/<64 hex digits>`. */
function contentAddress(path: string): string | undefined {
  const real = realpathSync(path);
  const folder = dirname(real);
  const inCache = basename(folder) === "blobs" && basename(dirname(folder)).startsWith("models--");
  return inCache && /^[0-9a-f]{64}$/.test(basename(real)) ? basename(real) : undefined;
}
