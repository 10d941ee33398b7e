/**
 * Turns what a user names a dataset by - a folder, or `owner/dataset[@revision]` on the Hugging Face hub - into a local
 * folder, downloading the files that are wanted and missing into the cache that all Hugging Face tools share.
 *
 * Which files a commit has is kept beside the snapshot (`listings/<commit>.json`), because a snapshot alone cannot say
 * whether it has all that is wanted: other programs and earlier calls wanted other files.
 */
import { statSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import * as z from "zod";
import type { RepoCache } from "../checkpoint/hub-cache.ts";
import { staysInside } from "../checkpoint/hub-listing.ts";
import { type RepoKind, type ResolveOptions, resolveRepo } from "../checkpoint/hub-resolve.ts";
import { HubError } from "../errors.ts";
import { parseJson, readBoundedFile } from "../json.ts";
import { writeWhole } from "../whole-file.ts";

/** Most files and folders of a repository; MMEB-V2 has some hundred, one with a file per picture is refused. */
const MAX_FILES = 100_000;

/** Largest kept listing that is read, in bytes: `MAX_FILES` with paths of 500 characters. */
const MAX_LISTING_BYTES = 64 * 1024 * 1024;

const listingSchema = z.array(
  z.object({
    path: z.string().refine(staysInside),
    sizeBytes: z.int().min(0),
    hash: z.string().regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/),
  }),
);

/** A file of a dataset on the hub. */
interface DatasetFile {
  /** Path in the repository, with `/` between its parts. */
  readonly path: string;
  readonly sizeBytes: number;
  /** SHA-256 of the content (LFS, 64 hex digits), or the Git blob hash (40 hex digits). */
  readonly hash: string;
}

/** What of a dataset is downloaded, and how. */
export interface ResolveDatasetOptions extends ResolveOptions {
  /** Whether a file is wanted, by its path in the repository with `/` between its parts. */
  wants: (path: string) => boolean;
  /** Told every path of the repository before `wants` is asked; what it throws ends the call. */
  onListed?: ((paths: readonly string[]) => void) | undefined;
}

/** A dataset that lies on this machine. */
export interface ResolvedDataset {
  /** The local folder, or the snapshot, which may have files that earlier calls wanted. */
  readonly folder: string;
  /** Commit hash; `undefined` for a local folder, which is returned as it is. */
  readonly revision: string | undefined;
  /** The files that were wanted; none for a local folder. */
  readonly files: readonly DatasetFile[];
  /** Folder for what is made of the files; it goes when the dataset is deleted from the cache. `undefined` for a local folder. */
  readonly derivedFolder: string | undefined;
}

/**
 * The local folder of a dataset: `nameOrPath` itself where it is a folder, otherwise the folder of
 * `owner/dataset[@revision]` in the Hugging Face cache. A commit hash whose wanted files are cached, and every such
 * revision with `HF_HUB_OFFLINE=1`, is used without any network.
 * @param nameOrPath the revision is a branch, a tag or a commit hash, by default `main`
 * @throws {HubError} with `status` where the hub refused; an unreachable hub and nothing cached; content that is not
 *   what the hub lists; names that are not names; no file that is wanted
 * @throws the reason of `options.signal` when that is aborted
 */
export async function resolveDataset(nameOrPath: string, options: ResolveDatasetOptions): Promise<ResolvedDataset> {
  if (statSync(nameOrPath, { throwIfNoEntry: false })?.isDirectory())
    return { folder: nameOrPath, revision: undefined, files: [], derivedFolder: undefined };
  const { cache, commit } = await resolveRepo(nameOrPath, datasetKind(options), options);
  return {
    folder: cache.snapshot(commit),
    revision: commit,
    files: readListing(cache, commit)!.filter(({ path }) => options.wants(path)),
    derivedFolder: join(cache.folder, "unpacked"),
  };
}

function datasetKind({ wants, onListed }: ResolveDatasetOptions): RepoKind {
  return {
    type: "dataset",
    isRecursive: true,
    maxFiles: MAX_FILES,
    isComplete(cache, commit) {
      const listing = readListing(cache, commit);
      if (listing === undefined) return false;
      onListed?.(listing.map(({ path }) => path));
      const wanted = listing.filter(({ path }) => wants(path));
      return (
        wanted.length > 0 && wanted.every((file) => isThere(join(cache.snapshot(commit), file.path), file.sizeBytes))
      );
    },
    async plan(listed, { cache, commit, name }) {
      onListed?.([...listed.keys()]);
      const wanted = [...listed.values()].filter(({ name: path }) => wants(path));
      if (wanted.length === 0) throw new HubError(`${name}: none of its ${listed.size} files is wanted.`);
      const listing = [...listed.values()].map(({ name: path, sizeBytes, hash }) => ({ path, sizeBytes, hash }));
      await writeListing(cache, commit, listing);
      return wanted.sort((a, b) => a.sizeBytes - b.sizeBytes);
    },
    incomplete: "files went away while others were downloaded. Try again.",
  };
}

function isThere(path: string, sizeBytes: number): boolean {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats !== undefined && stats.isFile() && stats.size === sizeBytes;
}

function listingPath(cache: RepoCache, commit: string): string {
  return join(cache.folder, "listings", `${commit}.json`);
}

function readListing(cache: RepoCache, commit: string): DatasetFile[] | undefined {
  const path = listingPath(cache, commit);
  const bytes = readBoundedFile(path, MAX_LISTING_BYTES);
  if (bytes === undefined) return undefined;
  const listing = listingSchema.safeParse(parseJson(bytes, { where: path }));
  if (!listing.success)
    throw new HubError(`${path}: not a listing of files (${z.prettifyError(listing.error)}). Delete it.`);
  return listing.data;
}

async function writeListing(cache: RepoCache, commit: string, files: readonly DatasetFile[]): Promise<void> {
  const path = listingPath(cache, commit);
  await mkdir(dirname(path), { recursive: true });
  await writeWhole(path, JSON.stringify(files));
}
