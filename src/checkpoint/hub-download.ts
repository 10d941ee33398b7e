/** Downloads chosen files of a repository into its cache, with their progress. */
import { mkdir, statfs } from "node:fs/promises";
import { join } from "node:path";
import { HubError } from "../errors.ts";
import type { RepoCache } from "./hub-cache.ts";
import type { HubClient } from "./hub-client.ts";
import { type RemoteFile, downloadBlob, sizeOf } from "./hub-file.ts";

/** Shortest time between two progress reports of one file, in milliseconds. */
const PROGRESS_INTERVAL_MS = 100;

/** How far a download is. */
export interface DownloadProgress {
  /** The file that is being received. */
  readonly file: string;
  /** Bytes of that file there are, those from an earlier run included. */
  readonly receivedBytes: number;
  readonly totalBytes: number;
  /** Files complete, and files in all. */
  readonly filesDone: number;
  readonly filesTotal: number;
}

/**
 * Brings `files` into the snapshot of `commit`, one after another.
 * @param onProgress called at most every 100 ms for one file, and when it is complete
 * @throws {HubError} refused, unreachable, content that is not what the hub lists, or more than the disk has room for
 */
export async function downloadFiles(
  files: readonly RemoteFile[],
  client: HubClient,
  cache: RepoCache,
  commit: string,
  onProgress: ((progress: DownloadProgress) => void) | undefined,
): Promise<void> {
  await expectSpace(files, cache, client.settings.cacheFolder);
  for (const [filesDone, file] of files.entries()) {
    let reportedAt = -Infinity;
    await downloadFile(file, client, cache, commit, (receivedBytes) => {
      const now = performance.now();
      const isComplete = receivedBytes === file.sizeBytes;
      if (!onProgress || (!isComplete && now - reportedAt < PROGRESS_INTERVAL_MS)) return;
      reportedAt = now;
      const done = isComplete ? filesDone + 1 : filesDone;
      const { name, sizeBytes } = file;
      onProgress({ file: name, receivedBytes, totalBytes: sizeBytes, filesDone: done, filesTotal: files.length });
    });
  }
}

/**
 * Brings one file into the snapshot of `commit`.
 * @param onBytes called with the number of bytes there are so far
 * @returns its path
 * @throws {HubError} refused, unreachable, or content that is not what the hub lists
 */
export async function downloadFile(
  file: RemoteFile,
  client: HubClient,
  cache: RepoCache,
  commit: string,
  onBytes: (receivedBytes: number) => void = () => {},
): Promise<string> {
  const blob = cache.blobPath(file.hash);
  if ((await sizeOf(blob)) === file.sizeBytes) onBytes(file.sizeBytes);
  else await downloadBlob(file, blob, client, onBytes);
  await cache.link(commit, file.name, file.hash);
  return join(cache.snapshot(commit), file.name);
}

/** Refuses before the first byte what could not be stored. */
async function expectSpace(files: readonly RemoteFile[], cache: RepoCache, cacheFolder: string): Promise<void> {
  let missing = 0;
  for (const { hash, sizeBytes } of files) {
    const blob = cache.blobPath(hash);
    const present = (await sizeOf(blob)) ?? (await sizeOf(`${blob}.incomplete`)) ?? 0;
    missing += Math.max(0, sizeBytes - present);
  }
  await mkdir(cacheFolder, { recursive: true });
  const { bavail, bsize } = await statfs(cacheFolder);
  if (missing > bavail * bsize) {
    throw new HubError(
      `${cacheFolder}: ${missing} bytes are to be downloaded, ${bavail * bsize} are free. Set HF_HUB_CACHE to a larger disk.`,
    );
  }
}
