/**
 * Turns what a user names a model by - `nano`, a folder, or `owner/model[@revision]` on the Hugging Face hub - into a
 * local folder, downloading what is missing into the cache that all Hugging Face tools share.
 */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { HubError } from "../errors.ts";
import { ADAPTER_CONFIG_FILE, ADAPTER_FILE } from "./adapter-config.ts";
import { CONFIG_FILE } from "./config.ts";
import type { RemoteFile } from "./hub-file.ts";
import { type RepoKind, type ResolveOptions, resolveRepo } from "./hub-resolve.ts";
import { NANO, NANO_FOLDER } from "./nano.ts";
import { INDEX_FILE, SINGLE_FILE, readShardNames } from "./shards.ts";

/** Largest file accepted that is not weights, in bytes; the largest tokenizers have 35 MB. */
const MAX_SMALL_FILE_BYTES = 256 * 1024 * 1024;

/** Everything but weights that reading a model or an adapter can need. */
const SMALL_FILES =
  /^(config.*\.json|generation_config\.json|(video_)?preprocessor_config\.json|processor_config\.json|tokenizer.*\.json|(special_tokens_map|added_tokens|vocab)\.json|merges\.txt|chat_template\.[\w.]+|model\.safetensors\.index\.json|adapter_config\.json)$/;

const MODEL: RepoKind = {
  type: "model",
  isRecursive: false,
  // Big models have some 200 files at the top level.
  maxFiles: 10_000,
  isComplete: (cache, commit) => isComplete(cache.snapshot(commit)),
  async plan(listed, { name }, fetchFile) {
    const index = listed.get(INDEX_FILE);
    if (index === undefined || listed.has(SINGLE_FILE)) return planFiles(listed, [], name);
    return planFiles(listed, readShardNames(await fetchFile(index)), name);
  },
  incomplete: `${INDEX_FILE} names shards that the model does not have. Choose another revision.`,
};

/**
 * The local folder of a model or adapter: the package's own for `nano`, `nameOrPath` itself where it is a folder, otherwise the folder of
 * `owner/model[@revision]` in the Hugging Face cache, downloaded as far as it is missing. A commit hash that is cached,
 * and every cached revision with `HF_HUB_OFFLINE=1`, is used without any network.
 * @param nameOrPath the revision is a branch, a tag or a commit hash, by default `main`
 * @throws {HubError} with `status` where the hub refused; an unreachable hub and nothing cached; content that is not
 *   what the hub lists; names that are not names
 * @throws the reason of `options.signal` when that is aborted
 */
export async function resolveModel(nameOrPath: string, options: ResolveOptions = {}): Promise<string> {
  if (nameOrPath === NANO) return NANO_FOLDER;
  if (statSync(nameOrPath, { throwIfNoEntry: false })?.isDirectory()) return nameOrPath;
  const { cache, commit } = await resolveRepo(nameOrPath, MODEL, options);
  return cache.snapshot(commit);
}

/** What to download, weights last: a snapshot that has its weights is complete. */
function planFiles(listed: ReadonlyMap<string, RemoteFile>, shards: readonly string[], model: string): RemoteFile[] {
  const small = [...listed.values()].filter(({ name }) => SMALL_FILES.test(name));
  const tooBig = small.find(({ sizeBytes }) => sizeBytes > MAX_SMALL_FILE_BYTES);
  if (tooBig) {
    throw new HubError(
      `${model}: ${tooBig.name} has ${tooBig.sizeBytes} bytes, at most ${MAX_SMALL_FILE_BYTES} are accepted. Do not use it.`,
    );
  }
  const weights = [SINGLE_FILE, ...shards, ADAPTER_FILE].flatMap((name) => listed.get(name) ?? []);
  if (weights.length === 0) {
    throw new HubError(
      `${model}: has no ${SINGLE_FILE}, ${INDEX_FILE} or ${ADAPTER_FILE}. Choose a revision with safetensors weights.`,
    );
  }
  return [...small, ...weights];
}

/** Weights are downloaded last, so a snapshot that has them all has everything. */
function isComplete(folder: string): boolean {
  const has = (file: string): boolean => existsSync(join(folder, file)) && statSync(join(folder, file)).isFile();
  if (has(ADAPTER_CONFIG_FILE) && has(ADAPTER_FILE)) return true;
  if (!has(CONFIG_FILE)) return false;
  return has(SINGLE_FILE) || (has(INDEX_FILE) && readShardNames(join(folder, INDEX_FILE)).every(has));
}
