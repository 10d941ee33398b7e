/**
 * Turns `owner/name[@revision]` into a complete snapshot in the cache that all Hugging Face tools share, downloading
 * what is missing. Which files that are is said by the kind of repository.
 */
import { HubError, messageOf } from "../errors.ts";
import { RepoCache } from "./hub-cache.ts";
import { HubClient, type HubClientOptions, hubSettings } from "./hub-client.ts";
import { type DownloadProgress, downloadFile, downloadFiles } from "./hub-download.ts";
import type { RemoteFile } from "./hub-file.ts";
import { type ListOptions, listRepo, resolveCommit } from "./hub-listing.ts";
import { type RepoType, isCommit, parseRepoName } from "./hub-repo.ts";

/** What is wanted of a kind of repository. */
export interface RepoKind extends ListOptions {
  readonly type: RepoType;
  /** Whether the cache has everything that is wanted of `commit`. */
  isComplete(cache: RepoCache, commit: string): boolean;
  /**
   * The files to download, in order.
   * @param fetchFile downloads one at once, where it says which others are needed; gives its path
   */
  plan(
    listed: ReadonlyMap<string, RemoteFile>,
    snapshot: Snapshot,
    fetchFile: (file: RemoteFile) => Promise<string>,
  ): Promise<readonly RemoteFile[]>;
  /** Said where everything planned was downloaded and it is not complete nevertheless. */
  readonly incomplete: string;
}

/** A state of a repository in the cache. */
export interface Snapshot {
  readonly cache: RepoCache;
  readonly commit: string;
  /** `owner/name`, for messages. */
  readonly name: string;
}

/** How a download reports, stops and finds its settings. */
export interface ResolveOptions extends HubClientOptions {
  /** Called at most every 100 ms for one file, and when it is complete. */
  onProgress?: ((progress: DownloadProgress) => void) | undefined;
  /** Called with a sentence when what is cached is used because the hub could not be reached. */
  onNotice?: ((message: string) => void) | undefined;
  /** Where `HF_ENDPOINT`, `HF_HUB_CACHE`, `HF_HOME`, `HF_TOKEN`, `HF_HUB_OFFLINE` are read from. @default process.env */
  env?: NodeJS.ProcessEnv | undefined;
}

/**
 * The snapshot of a revision, downloaded as far as it is missing. A commit hash that is cached, and every cached
 * revision with `HF_HUB_OFFLINE=1`, is used without any network.
 * @throws {HubError} with `status` where the hub refused; an unreachable hub and nothing cached; content that is not
 *   what the hub lists; names that are not names
 * @throws the reason of `options.signal` when that is aborted
 */
export async function resolveRepo(name: string, kind: RepoKind, options: ResolveOptions): Promise<Snapshot> {
  const { repo, revision } = parseRepoName(name, kind.type);
  const settings = hubSettings(options.env ?? process.env);
  const cache = new RepoCache(settings.cacheFolder, repo);
  const cached = (): Snapshot | undefined => {
    const commit = cache.commitOf(revision);
    return commit !== undefined && kind.isComplete(cache, commit) ? { cache, commit, name: repo.name } : undefined;
  };
  if (settings.offline || isCommit(revision)) {
    const found = cached();
    if (found !== undefined) return found;
  }
  if (settings.offline) {
    throw new HubError(
      `${name}: not in ${settings.cacheFolder}, or not completely, and HF_HUB_OFFLINE is set. Unset it to download.`,
    );
  }
  const client = new HubClient(settings, repo, options);
  let commit: string;
  try {
    commit = await resolveCommit(client, revision);
  } catch (error) {
    const found = isOutage(error) ? cached() : undefined;
    if (found === undefined) throw error;
    options.onNotice?.(`${messageOf(error)} Using the cached ${name} in ${cache.snapshot(found.commit)}.`);
    return found;
  }
  const snapshot = { cache, commit, name: repo.name };
  const listed = await listRepo(client, commit, kind);
  const files = await kind.plan(listed, snapshot, (file) => downloadFile(file, client, cache, commit));
  await downloadFiles(files, client, cache, commit, options.onProgress);
  await cache.writeRef(revision, commit);
  if (!kind.isComplete(cache, commit)) throw new HubError(`${name}: ${kind.incomplete}`);
  return snapshot;
}

/** Not reached, or failing for now: what a cached copy may stand in for. A refusal is not. */
function isOutage(error: unknown): boolean {
  if (!(error instanceof HubError)) return false;
  return error.status === undefined || error.status === 429 || error.status >= 500;
}
