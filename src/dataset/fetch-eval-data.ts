/**
 * Evaluation data as `TIGER-Lab/MMEB-eval` has it: a folder of rows per dataset, and archives of the pictures that they
 * name. From the hub or from a folder, it comes out as a folder of rows and the folders that image paths begin in.
 *
 * An archive from the hub is unpacked in the dataset's folder of the cache, as `unpacked/<hash of its content>`: commits
 * that share it share its pictures, and they go when the dataset is deleted from the cache.
 * A local folder is used as it is where it has pictures. Where it has archives and no pictures, each is unpacked beside
 * itself into a folder of its name: `images.zip` into `images/`.
 */
import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import { opendir, readdir } from "node:fs/promises";
import { extname, join } from "node:path";
import type { DownloadProgress } from "../checkpoint/hub-download.ts";
import type { ResolveOptions } from "../checkpoint/hub-resolve.ts";
import { quoted } from "../checkpoint/quoted.ts";
import { DatasetError } from "../errors.ts";
import { archiveOf, groupArchives } from "./archive-parts.ts";
import { type UnpackOptions, type UnpackProgress, isUnfinished, isUnpacked, unpackArchive } from "./archive.ts";
import type { ArchiveLimits } from "./entry-writer.ts";
import { type ResolvedDataset, resolveDataset } from "./hub-dataset.ts";

/** How far fetching is. */
export type EvalDataProgress =
  | ({ readonly stage: "download" } & DownloadProgress)
  | ({ readonly stage: "unpack" } & UnpackProgress);

/** What is fetched, and how. */
export interface FetchEvalDataOptions extends Omit<ResolveOptions, "onProgress"> {
  /** Datasets whose rows are wanted: folders, or files without their endings. All where `undefined`. */
  datasets: readonly string[] | undefined;
  /** Whether an archive is wanted, by its path in the repository with the number of a part off. @default all */
  archives?: ((path: string) => boolean) | undefined;
  /** What one archive may come to. */
  limits?: Partial<ArchiveLimits> | undefined;
  /** Called at most every 100 ms for one file, and when it is complete. */
  onProgress?: ((progress: EvalDataProgress) => void) | undefined;
}

/** Evaluation data on this machine. */
export interface EvalData {
  /** Has a folder of rows for each dataset that was wanted, and may have others. */
  readonly folder: string;
  /** Folders that image paths may be relative to, in the order in which they are tried. */
  readonly imageRoots: readonly string[];
  /** Commit hash; `undefined` for a local folder. */
  readonly revision: string | undefined;
}

const ROWS = /\.(?:parquet|jsonl?)$/i;
const ARCHIVE_ENDING = /\.(?:zip|tgz|tar(?:\.gz)?)$/i;
const PICTURES: readonly string[] = [".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"];

/** Where `unzip -d images images.zip` puts the pictures. */
const IMAGE_FOLDER = "images";

/** So many folders that hold nothing but one folder are gone into: MMEB-V2's archives wrap theirs in up to three. */
const MAX_WRAPPERS = 4;

/** Folders below a local folder that are looked through for pictures; a link could lead in circles. */
const MAX_SEARCH_DEPTH = 4;

/**
 * Fetches rows and pictures of `owner/dataset[@revision]`, or takes those of a local folder.
 * @throws {HubError} as `resolveDataset`
 * @throws {DatasetError} a dataset of which the repository has no rows; an archive that cannot be unpacked
 * @throws the reason of `options.signal`
 */
export async function fetchEvalData(nameOrPath: string, options: FetchEvalDataOptions): Promise<EvalData> {
  const { datasets, archives = () => true, onProgress } = options;
  const ofArchives = new Set<string>();
  const resolved = await resolveDataset(nameOrPath, {
    ...options,
    onListed(paths) {
      expectDatasets(nameOrPath, paths, datasets);
      const wanted = paths.filter((path) => archives(archiveOf(path) ?? path));
      for (const { parts } of groupArchives(wanted)) for (const part of parts) ofArchives.add(part);
    },
    wants: (path) => ofArchives.has(path) || hasRowsOf(path, datasets),
    onProgress: onProgress && ((progress) => onProgress({ stage: "download", ...progress })),
  });
  const { folder, revision } = resolved;
  const unpack: UnpackOptions = {
    limits: options.limits,
    signal: options.signal,
    onProgress: onProgress && ((progress) => onProgress({ stage: "unpack", ...progress })),
  };
  const unpacked = revision === undefined ? await unpackLocal(folder, unpack) : await unpackCached(resolved, unpack);
  const imageRoots = [folder];
  for (const root of unpacked) imageRoots.push(...(await rootsIn(root)));
  return { folder, imageRoots, revision };
}

/** Whether a file has rows of one of `datasets`. */
function hasRowsOf(path: string, datasets: readonly string[] | undefined): boolean {
  if (!ROWS.test(path)) return false;
  return datasets === undefined || namesOf(path).some((name) => datasets.includes(name));
}

/** The datasets that a file of rows may be of: its folders, and its own name without the ending. */
function namesOf(path: string): string[] {
  return path.replace(ROWS, "").split("/");
}

function expectDatasets(name: string, paths: readonly string[], datasets: readonly string[] | undefined): void {
  const rows = paths.filter((path) => ROWS.test(path));
  const missing = datasets?.filter((dataset) => !rows.some((path) => namesOf(path).includes(dataset))) ?? [];
  if (missing.length === 0) return;
  const there = [...new Set(rows.map((path) => namesOf(path).at(-2) ?? namesOf(path)[0]!))];
  throw new DatasetError(
    `${name}: has no rows of ${missing.map(quoted).join(", ")}; it has ${there.slice(0, 100).map(quoted).join(", ")}`,
  );
}

/** Unpacks the archives of a snapshot, each content once. */
async function unpackCached(
  { folder, files, derivedFolder }: ResolvedDataset,
  options: UnpackOptions,
): Promise<string[]> {
  const hashes = new Map(files.map(({ path, hash }) => [path, hash]));
  const roots: string[] = [];
  for (const { parts } of groupArchives([...hashes.keys()])) {
    const hash = createHash("sha256");
    for (const part of parts) hash.update(`${hashes.get(part)}\n`);
    const identity = hash.digest("hex");
    const root = join(derivedFolder!, identity);
    await unpackArchive(join(folder, parts[0]!), root, { ...options, identity });
    roots.push(root);
  }
  return roots;
}

/** The folders that have or get what is in the archives of a local folder. */
async function unpackLocal(folder: string, options: UnpackOptions): Promise<string[]> {
  const roots = isFolder(join(folder, IMAGE_FOLDER)) ? [join(folder, IMAGE_FOLDER)] : [];
  const archives = groupArchives(await readdir(folder));
  const isUsedAsItIs = archives.length > 0 && (await hasPictures(folder));
  for (const { path, parts } of archives) {
    const root = join(folder, path.replace(ARCHIVE_ENDING, ""));
    const isThere = isFolder(root);
    if (isThere ? isUnpacked(root) : !isUsedAsItIs) await unpackArchive(join(folder, parts[0]!), root, options);
    else if (!isThere) continue;
    if (!roots.includes(root)) roots.push(root);
  }
  return roots;
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Whether there are pictures that nobody unpacked for this program. */
async function hasPictures(folder: string, depth = 0): Promise<boolean> {
  for await (const entry of await opendir(folder)) {
    const path = join(folder, entry.name);
    if (PICTURES.includes(extname(entry.name).toLowerCase())) return true;
    if (!entry.isDirectory() && !(entry.isSymbolicLink() && isFolder(path))) continue;
    if (depth === MAX_SEARCH_DEPTH || isUnfinished(entry.name) || isUnpacked(path)) continue;
    if (await hasPictures(path, depth + 1)) return true;
  }
  return false;
}

/** A folder, and below it the one that all its content lies in, as images do in `MMEB/` of `mmeb_v1.tar.gz`. */
async function rootsIn(folder: string): Promise<string[]> {
  const roots = [folder];
  while (roots.length <= MAX_WRAPPERS) {
    const entries = await readdir(roots.at(-1)!, { withFileTypes: true });
    const [only, ...others] = entries.filter(({ name }) => !name.startsWith(".") && name !== "__MACOSX");
    if (only === undefined || others.length > 0 || !only.isDirectory()) break;
    roots.push(join(roots.at(-1)!, only.name));
  }
  return roots;
}
