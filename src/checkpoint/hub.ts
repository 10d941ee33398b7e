/**
 * Turns what a user names a model by - `nano`, a folder, or `owner/model[@revision]` on the Hugging Face hub - into a
 * local folder, downloading what is missing into the cache that all Hugging Face tools share.
 */
import { statSync } from "node:fs";
import { mkdir, statfs } from "node:fs/promises";
import { join } from "node:path";
import { listFiles, modelInfo } from "@huggingface/hub";
import * as z from "zod";
import { HubError, messageOf } from "../errors.ts";
import { ADAPTER_FILE } from "./adapter-config.ts";
import { ModelCache, isCommit } from "./hub-cache.ts";
import { HubClient, type HubClientOptions, hubSettings } from "./hub-client.ts";
import { type RemoteFile, downloadBlob, sizeOf } from "./hub-file.ts";
import { quoted } from "./quoted.ts";
import { NANO, NANO_FOLDER } from "./nano.ts";
import { INDEX_FILE, SINGLE_FILE, readShardNames } from "./shards.ts";

/** Most files accepted at a model's top level; big ones have some 200. */
const MAX_FILES = 10_000;

/** Largest file accepted that is not weights, in bytes; the largest tokenizers have 35 MB. */
const MAX_SMALL_FILE_BYTES = 256 * 1024 * 1024;

/** Shortest time between two progress reports of one file, in milliseconds. */
const PROGRESS_INTERVAL_MS = 100;

/** Everything but weights that reading a model or an adapter can need. */
const SMALL_FILES =
  /^(config.*\.json|generation_config\.json|(video_)?preprocessor_config\.json|processor_config\.json|tokenizer.*\.json|(special_tokens_map|added_tokens|vocab)\.json|merges\.txt|chat_template\.[\w.]+|model\.safetensors\.index\.json|adapter_config\.json)$/;

const listingSchema = z.object({
  type: z.string(),
  path: z.string().min(1).max(4096),
  size: z.int().min(0),
  oid: z
    .string()
    .regex(/^[0-9a-f]{40}$/)
    .optional(),
  lfs: z.object({ oid: z.string().regex(/^[0-9a-f]{64}$/), size: z.int().min(0) }).optional(),
});

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

/** How `resolveModel` reports, stops and finds its settings. */
export interface ResolveModelOptions extends HubClientOptions {
  /** Called at most every 100 ms for one file, and when it is complete. */
  onProgress?: (progress: DownloadProgress) => void;
  /** Called with a sentence when a cached model is used because the hub could not be reached. */
  onNotice?: (message: string) => void;
  /** Where `HF_ENDPOINT`, `HF_HUB_CACHE`, `HF_HOME`, `HF_TOKEN`, `HF_HUB_OFFLINE` are read from. @default process.env */
  env?: NodeJS.ProcessEnv;
}

/**
 * The local folder of a model or adapter: the package's own for `nano`, `nameOrPath` itself where it is a folder, otherwise the folder of
 * `owner/model[@revision]` in the Hugging Face cache, downloaded as far as it is missing. A commit hash that is cached,
 * and every cached revision with `HF_HUB_OFFLINE=1`, is used without any network.
 * @param nameOrPath the revision is a branch, a tag or a commit hash, by default `main`
 * @throws {HubError} with `status` where the hub refused; an unreachable hub and nothing cached; content that is not
 *   what the hub lists; names that are not names
 * @throws the reason of `options.signal` when that is aborted
 */
export async function resolveModel(nameOrPath: string, options: ResolveModelOptions = {}): Promise<string> {
  if (nameOrPath === NANO) return NANO_FOLDER;
  if (statSync(nameOrPath, { throwIfNoEntry: false })?.isDirectory()) return nameOrPath;
  const { model, revision } = parseName(nameOrPath);
  const settings = hubSettings(options.env ?? process.env);
  const cache = new ModelCache(settings.cacheFolder, model);
  if (settings.offline || isCommit(revision)) {
    const folder = cache.completeSnapshot(revision);
    if (folder !== undefined) return folder;
  }
  if (settings.offline) {
    throw new HubError(
      `${nameOrPath}: not in ${settings.cacheFolder}, or not completely, and HF_HUB_OFFLINE is set. Unset it to download.`,
    );
  }
  const client = new HubClient(settings, model, options);
  let commit: string;
  try {
    commit = await resolveCommit(client, model, revision);
  } catch (error) {
    const folder = isOutage(error) ? cache.completeSnapshot(revision) : undefined;
    if (folder === undefined) throw error;
    options.onNotice?.(`${messageOf(error)} Using the cached ${nameOrPath} in ${folder}.`);
    return folder;
  }
  await download(client, cache, model, commit, options.onProgress);
  await cache.writeRef(revision, commit);
  const folder = cache.completeSnapshot(commit);
  if (folder !== undefined) return folder;
  throw new HubError(
    `${nameOrPath}: ${INDEX_FILE} names shards that the model does not have. Choose another revision.`,
  );
}

function parseName(name: string): { model: string; revision: string } {
  // Owner and name as the hub allows them; a revision may have slashes ("refs/pr/3") but no part that leaves a folder.
  const part = /[A-Za-z0-9_][\w.-]{0,95}/.source;
  const found = new RegExp(`^(${part}/${part})(?:@(${part}(?:/${part})*))?$`).exec(name);
  if (!found || name.includes("..") || name.includes("--")) {
    throw new HubError(
      `${quoted(name)}: no such folder, and not a name such as "owner/model" or "owner/model@revision".`,
    );
  }
  return { model: found[1]!, revision: found[2] ?? "main" };
}

async function resolveCommit(client: HubClient, model: string, revision: string): Promise<string> {
  const { endpoint } = client.settings;
  let commit: unknown;
  try {
    const fetch = client.fetchApi;
    commit = (await modelInfo({ name: model, revision, hubUrl: endpoint, additionalFields: ["sha"], fetch })).sha;
  } catch (error) {
    throw asHubError(error, endpoint, model, client);
  }
  if (typeof commit !== "string" || !isCommit(commit) || (isCommit(revision) && revision !== commit)) {
    throw new HubError(
      `${endpoint}: gives ${quoted(commit)} as the commit of ${model}@${revision}. Check HF_ENDPOINT.`,
    );
  }
  return commit;
}

async function download(
  client: HubClient,
  cache: ModelCache,
  model: string,
  commit: string,
  onProgress: ResolveModelOptions["onProgress"],
): Promise<void> {
  const listed = await listModel(client, model, commit);
  const index = listed.get(INDEX_FILE);
  if (index && !listed.has(SINGLE_FILE)) await fetchFile(index, client, cache, commit, () => {});
  const files = planFiles(listed, index && join(cache.snapshot(commit), INDEX_FILE), model);
  await expectSpace(files, cache, client.settings.cacheFolder);
  for (const [filesDone, file] of files.entries()) {
    let reportedAt = -Infinity;
    await fetchFile(file, client, cache, commit, (receivedBytes) => {
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

async function listModel(client: HubClient, model: string, commit: string): Promise<Map<string, RemoteFile>> {
  const { endpoint } = client.settings;
  const files = new Map<string, RemoteFile>();
  let entries = 0;
  try {
    const repo = { type: "model", name: model } as const;
    for await (const item of listFiles({ repo, revision: commit, hubUrl: endpoint, fetch: client.fetchApi })) {
      if (++entries > MAX_FILES) throw new HubError(`${model}: lists more than ${MAX_FILES} files. Not a model.`);
      const { type, path, size, oid, lfs } = listingSchema.parse(item);
      if (/[/\\\0]/.test(path) || path === "." || path === "..") {
        throw new HubError(`${model}: lists ${quoted(path)}, which would leave the model's folder. Do not use it.`);
      }
      const hash = lfs?.oid ?? oid;
      if (type !== "file" || hash === undefined) continue;
      const url = `${endpoint}/${model}/resolve/${commit}/${encodeURIComponent(path)}`;
      files.set(path, { name: path, url, sizeBytes: lfs?.size ?? size, hash });
    }
  } catch (error) {
    throw asHubError(error, endpoint, model, client);
  }
  return files;
}

/** What to download, weights last: a snapshot that has its weights is complete. */
function planFiles(listed: ReadonlyMap<string, RemoteFile>, index: string | undefined, model: string): RemoteFile[] {
  const small = [...listed.values()].filter(({ name }) => SMALL_FILES.test(name));
  const tooBig = small.find(({ sizeBytes }) => sizeBytes > MAX_SMALL_FILE_BYTES);
  if (tooBig) {
    throw new HubError(
      `${model}: ${tooBig.name} has ${tooBig.sizeBytes} bytes, at most ${MAX_SMALL_FILE_BYTES} are accepted. Do not use it.`,
    );
  }
  const shards = index !== undefined && !listed.has(SINGLE_FILE) ? readShardNames(index) : [];
  const weights = [SINGLE_FILE, ...shards, ADAPTER_FILE].flatMap((name) => listed.get(name) ?? []);
  if (weights.length === 0) {
    throw new HubError(
      `${model}: has no ${SINGLE_FILE}, ${INDEX_FILE} or ${ADAPTER_FILE}. Choose a revision with safetensors weights.`,
    );
  }
  return [...small, ...weights];
}

async function fetchFile(
  file: RemoteFile,
  client: HubClient,
  cache: ModelCache,
  commit: string,
  onBytes: (receivedBytes: number) => void,
): Promise<void> {
  const blob = cache.blobPath(file.hash);
  if ((await sizeOf(blob)) === file.sizeBytes) onBytes(file.sizeBytes);
  else await downloadBlob(file, blob, client, onBytes);
  await cache.link(commit, file.name, file.hash);
}

/** Refuses before the first byte what could not be stored. */
async function expectSpace(files: readonly RemoteFile[], cache: ModelCache, cacheFolder: string): Promise<void> {
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

/** Not reached, or failing for now: what a cached copy may stand in for. A refusal is not. */
function isOutage(error: unknown): boolean {
  if (!(error instanceof HubError)) return false;
  return error.status === undefined || error.status === 429 || error.status >= 500;
}

function asHubError(error: unknown, endpoint: string, model: string, client: HubClient): unknown {
  client.throwIfAborted();
  if (error instanceof HubError) return error;
  const said = error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error);
  return new HubError(`${endpoint}: unexpected answer about ${model} (${said}). Check HF_ENDPOINT.`, { cause: error });
}
