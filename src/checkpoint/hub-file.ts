/**
 * Downloads one file of known size and hash; what a cut leaves behind is continued by the next try or the next run.
 * `@huggingface/hub` starts each file afresh, which a cut at 3 of 4 GB makes expensive, so this part is our own.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, mkdir, open, rename, rm, stat, truncate } from "node:fs/promises";
import { dirname } from "node:path";
import { HubError } from "../errors.ts";
import type { HubClient } from "./hub-client.ts";

/** A file as the hub lists it. */
export interface RemoteFile {
  /** Path in the repository, with `/` between its parts. */
  readonly name: string;
  readonly url: string;
  readonly sizeBytes: number;
  /** SHA-256 of the content (LFS, 64 hex digits), or the Git blob hash (40 hex digits). */
  readonly hash: string;
}

/**
 * Downloads `file` to `path`, which appears only with the right size and hash. The part received so far is at
 * `path` + `.incomplete`. Two processes may do this at once: every byte is written at its own position, so both write
 * the same, and the length of the partial file is always that of a gapless beginning.
 * @param onBytes called with the number of bytes there are so far
 * @throws {HubError} refused, unreachable, or content that is not what the hub listed
 */
export async function downloadBlob(
  file: RemoteFile,
  path: string,
  client: HubClient,
  onBytes: (receivedBytes: number) => void,
): Promise<void> {
  const partial = `${path}.incomplete`;
  await mkdir(dirname(path), { recursive: true });
  try {
    await receiveChecked(file, partial, client, onBytes);
    await rename(partial, path);
  } catch (error) {
    // Another process that finished the same file first has taken the partial file away.
    if (!isMissing(error) || (await sizeOf(path)) !== file.sizeBytes) throw error;
    onBytes(file.sizeBytes);
  }
}

async function receiveChecked(
  file: RemoteFile,
  partial: string,
  client: HubClient,
  onBytes: (receivedBytes: number) => void,
): Promise<void> {
  const continued = (await sizeOf(partial)) ?? 0;
  await receive(file, partial, client, onBytes);
  let found = await hashOf(partial, file);
  if (found !== file.hash && continued > 0) {
    // The part that lay there from an earlier run may have been bad.
    await rm(partial);
    await receive(file, partial, client, onBytes);
    found = await hashOf(partial, file);
  }
  if (found === file.hash) return;
  await rm(partial, { force: true });
  throw new HubError(
    `GET ${file.url}: content has hash ${found}, the hub lists ${file.hash}. It was deleted: try again, and check HF_ENDPOINT and proxies if it stays so.`,
  );
}

async function receive(
  file: RemoteFile,
  partial: string,
  client: HubClient,
  onBytes: (receivedBytes: number) => void,
): Promise<void> {
  if (((await sizeOf(partial)) ?? 0) > file.sizeBytes) await truncate(partial, file.sizeBytes);
  // "a" makes the file without emptying it; positions are ignored in that mode, so it is opened again.
  await (await open(partial, "a")).close();
  await using output = await open(partial, "r+");
  for (let failures = 0; ;) {
    const begin = (await output.stat()).size;
    onBytes(begin);
    if (begin === file.sizeBytes) return;
    try {
      await receiveFrom(begin, file, output, client, onBytes);
    } catch (error) {
      const progressed = (await output.stat()).size > begin;
      failures = progressed ? 1 : failures + 1;
      await client.waitToRetry(error, file.url, failures);
    }
  }
}

/** One request; ends when the body ends, which may be early. */
async function receiveFrom(
  begin: number,
  file: RemoteFile,
  output: FileHandle,
  client: HubClient,
  onBytes: (receivedBytes: number) => void,
): Promise<void> {
  const response = await client.openFile(file.url, begin);
  // A server that ignores the range sends the whole file: the same bytes are written again from position 0.
  let position = response.status === 206 ? rangeBegin(response) : 0;
  if (!response.body || position === undefined || position > begin) {
    await response.body?.cancel();
    throw new HubError(
      `GET ${file.url}: asked for bytes from ${begin}, got ${response.status} with Content-Range ${response.headers.get("content-range")}. Check HF_ENDPOINT and proxies.`,
    );
  }
  const first = position;
  for await (const chunk of response.body) {
    if (position + chunk.length > file.sizeBytes) {
      throw new HubError(`GET ${file.url}: more than the ${file.sizeBytes} bytes that the hub lists. Try again.`);
    }
    for (let written = 0; written < chunk.length;) {
      written += (await output.write(chunk, written, chunk.length - written, position + written)).bytesWritten;
    }
    position += chunk.length;
    onBytes(position);
  }
  client.throwIfAborted();
  if (position < file.sizeBytes && position === first) throw new TypeError("the answer was empty");
}

function rangeBegin(response: Response): number | undefined {
  const begin = /^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "")?.[1];
  return begin === undefined ? undefined : Number(begin);
}

async function hashOf(path: string, { hash, sizeBytes }: RemoteFile): Promise<string> {
  const digest = createHash(hash.length === 64 ? "sha256" : "sha1");
  if (hash.length === 40) digest.update(`blob ${sizeBytes}\0`);
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) digest.update(chunk as Buffer);
  return digest.digest("hex");
}

/** Size of a file in bytes, or `undefined` where there is none. */
export async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
