/**
 * Unpacks an archive of pictures once: into a folder beside its place, which takes that place when it is complete. What
 * is at the place is therefore complete, whenever a run was killed, and however many unpack it at once.
 */
import { randomUUID } from "node:crypto";
import { existsSync, utimesSync } from "node:fs";
import { mkdir, readdir, rename, rm, stat, statfs, writeFile } from "node:fs/promises";
import { basename, dirname, join, normalize } from "node:path";
import * as z from "zod";
import { DatasetError, messageOf } from "../errors.ts";
import { parseJson, readBoundedFile } from "../json.ts";
import { type ArchiveFiles, archiveOf, groupArchives, isZip } from "./archive-parts.ts";
import { ARCHIVE_LIMITS, type ArchiveLimits, EntryWriter } from "./entry-writer.ts";
import { untar } from "./untar.ts";
import { unzip } from "./unzip.ts";

/** How far an archive is unpacked. */
export interface UnpackProgress {
  /** Its file name, with the number of a part off. */
  readonly archive: string;
  /** Bytes of the archive that are read, of all its parts. */
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** How an archive is unpacked. */
export interface UnpackOptions {
  /** Called at most every 100 ms, and at the end. */
  readonly onProgress?: ((progress: UnpackProgress) => void) | undefined;
  readonly limits?: Partial<ArchiveLimits> | undefined;
  /** Is the same for the same content; another than the folder was unpacked from is refused. @default sizes and times of the files */
  readonly identity?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Lies in every folder that was unpacked, written last. */
const MARKER = ".rge-unpacked.json";
const MARKER_BYTES = 64 * 1024;
const markerSchema = z.object({ archive: z.string(), identity: z.string() });

const UNFINISHED = /\.[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.unpacking$/;
/** Shortest time between two reports of progress, in milliseconds. */
const PROGRESS_INTERVAL_MS = 100;
/** An unfinished folder is touched this often while somebody works on it, in milliseconds. */
const TOUCH_INTERVAL_MS = 20_000;
/** One that was not touched for so long was left by a run that was killed. */
const ABANDONED_MS = 10 * 60_000;

/**
 * Unpacks `.zip`, `.tar`, `.tar.gz` or `.tgz` into `folder`, unless that was done before.
 * @param file the archive; of a tar that was cut into parts (`a.tar.gz-00`, `a.tar.part_aa`) any, the others lie beside it
 * @param folder need not exist; is there, complete, when this returns
 * @throws {DatasetError} not an archive, damaged, cut off or hostile, naming the entry; a part that is missing; a folder
 *   that is there and was not unpacked from this archive; no room
 * @throws the reason of `options.signal`
 */
export async function unpackArchive(file: string, folder: string, options: UnpackOptions = {}): Promise<void> {
  const { signal } = options;
  signal?.throwIfAborted();
  try {
    await unpackOnce(await findArchive(normalize(file)), folder, options);
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof DatasetError) throw error;
    throw new DatasetError(`${file}: cannot be unpacked into ${folder} (${messageOf(error)})`, {
      cause: error,
    });
  }
}

/** Whether `folder` was unpacked by `unpackArchive`; nothing else makes its marker. */
export function isUnpacked(folder: string): boolean {
  return readMarker(folder) !== undefined;
}

/** Whether a folder of this name is one that is being unpacked into, or was when a run was killed. */
export function isUnfinished(name: string): boolean {
  return UNFINISHED.test(name);
}

/** The file's archive, with the parts that lie beside it. */
async function findArchive(file: string): Promise<ArchiveFiles> {
  const path = archiveOf(file);
  if (path === file) return { path, parts: [file] };
  const beside = (await readdir(dirname(file))).map((name) => join(dirname(file), name));
  const [archive] = groupArchives(beside.filter((other) => other !== path && archiveOf(other) === path));
  if (path === undefined || archive === undefined)
    throw new DatasetError(`${file}: expected .zip, .tar, .tar.gz, .tgz, or the parts of a tar from 00 or aa on`);
  if (isZip(archive))
    throw new DatasetError(`${file}: a part of a zip. Join all of them to one file, in the order of their names.`);
  return archive;
}

async function unpackOnce(archive: ArchiveFiles, folder: string, options: UnpackOptions): Promise<void> {
  const { sizeBytes, identity } = await inspect(archive, options.identity);
  await removeAbandoned(folder);
  if (existsSync(folder)) {
    if (isFrom(archive, identity, folder)) return;
    throw new DatasetError(
      `${folder}: is there and was not unpacked from ${archive.path}. Use it as it is, or move it.`,
    );
  }
  const unfinished = `${folder}.${randomUUID()}.unpacking`;
  await mkdir(unfinished, { recursive: true });
  try {
    await expectSpace(archive, sizeBytes, unfinished);
    await unpackInto(unfinished, archive, sizeBytes, options);
    await writeFile(join(unfinished, MARKER), JSON.stringify({ archive: basename(archive.path), identity }));
    await rename(unfinished, folder).catch((error: unknown) => {
      // Another process was first.
      if (!isFrom(archive, identity, folder)) throw error;
    });
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

async function unpackInto(
  folder: string,
  archive: ArchiveFiles,
  totalBytes: number,
  { signal, onProgress, limits }: UnpackOptions,
): Promise<void> {
  const name = basename(archive.path);
  let doneBytes = 0;
  let reportedAt = -Infinity;
  let touchedAt = performance.now();
  const onBytes = (bytes: number): void => {
    signal?.throwIfAborted();
    doneBytes += bytes;
    const now = performance.now();
    if (now - touchedAt >= TOUCH_INTERVAL_MS) {
      touchedAt = now;
      utimesSync(folder, new Date(), new Date());
    }
    if (!onProgress || now - reportedAt < PROGRESS_INTERVAL_MS) return;
    reportedAt = now;
    onProgress({ archive: name, doneBytes, totalBytes });
  };
  const writer = new EntryWriter({
    archive: archive.path,
    archiveBytes: totalBytes,
    folder,
    reserved: [MARKER],
    limits: { ...ARCHIVE_LIMITS, ...limits },
  });
  try {
    if (isZip(archive)) await unzip(archive.parts[0]!, writer, onBytes);
    else await untar(archive.parts, writer, onBytes);
  } finally {
    writer.endFile();
  }
  onProgress?.({ archive: name, doneBytes: totalBytes, totalBytes });
}

async function inspect(
  { parts }: ArchiveFiles,
  identity: string | undefined,
): Promise<{ sizeBytes: number; identity: string }> {
  const files = await Promise.all(parts.map((part) => stat(part)));
  return {
    sizeBytes: files.reduce((sum, { size }) => sum + size, 0),
    identity: identity ?? files.map(({ size, mtimeMs }) => `${size}@${mtimeMs}`).join(" "),
  };
}

/**
 * Whether `folder` was unpacked from this content.
 * @throws {DatasetError} it was unpacked from other content
 */
function isFrom({ path }: ArchiveFiles, identity: string, folder: string): boolean {
  const marker = readMarker(folder);
  if (marker?.identity === identity) return true;
  if (marker !== undefined)
    throw new DatasetError(
      `${folder}: was unpacked from another ${marker.archive} than ${path} is now. Delete the folder to unpack it again.`,
    );
  return false;
}

function readMarker(folder: string): z.infer<typeof markerSchema> | undefined {
  const path = join(folder, MARKER);
  const bytes = readBoundedFile(path, MARKER_BYTES);
  if (bytes === undefined) return undefined;
  const marker = markerSchema.safeParse(parseJson(bytes, { where: path }));
  if (!marker.success) throw new DatasetError(`${path}: not written by this program. Delete ${folder}.`);
  return marker.data;
}

/** Pictures shrink little, so less room than the archive takes itself is too little. */
async function expectSpace({ path }: ArchiveFiles, sizeBytes: number, folder: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  if (sizeBytes > bavail * bsize)
    throw new DatasetError(
      `${path}: has ${sizeBytes} bytes, ${bavail * bsize} are free in ${dirname(folder)} to unpack it. Make room there.`,
    );
}

/** Takes away what killed runs left beside `folder`. */
async function removeAbandoned(folder: string): Promise<void> {
  const parent = dirname(folder);
  await mkdir(parent, { recursive: true });
  for (const name of await readdir(parent)) {
    if (!isUnfinished(name) || name.replace(UNFINISHED, "") !== basename(folder)) continue;
    const path = join(parent, name);
    // Another process may have finished it, or taken it away.
    const touchedMs = (await stat(path).catch(() => undefined))?.mtimeMs ?? Infinity;
    if (Date.now() - touchedMs > ABANDONED_MS) await rm(path, { recursive: true, force: true });
  }
}
