/**
 * One model in the Hugging Face cache, in the layout that all Hugging Face tools share:
 * `models--owner--name/{blobs/<hash>, refs/<revision>, snapshots/<commit>/<file> -> ../../blobs/<hash>}`.
 */
import { randomUUID } from "node:crypto";
import { existsSync, statSync } from "node:fs";
import { copyFile, mkdir, rename, symlink, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { readBoundedFile } from "../json.ts";
import { ADAPTER_CONFIG_FILE, ADAPTER_FILE } from "./adapter-config.ts";
import { CONFIG_FILE } from "./config.ts";
import { INDEX_FILE, SINGLE_FILE, readShardNames } from "./shards.ts";

/** A full Git commit hash, which names one state for ever, where a branch or tag may move. */
export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

/** The cache of one model. */
export class ModelCache {
  readonly #folder: string;

  /** @param model `owner/name`, already checked */
  constructor(cacheFolder: string, model: string) {
    this.#folder = join(cacheFolder, `models--${model.replace("/", "--")}`);
  }

  /** Where the content with this hash lies once it is complete. */
  blobPath(hash: string): string {
    return join(this.#folder, "blobs", hash);
  }

  /** The folder that shows the files of `commit` under their own names. */
  snapshot(commit: string): string {
    return join(this.#folder, "snapshots", commit);
  }

  /** The folder of a cached revision with everything a model or adapter needs in it, or `undefined`. */
  completeSnapshot(revision: string): string | undefined {
    const commit = isCommit(revision) ? revision : this.#readRef(revision);
    if (commit === undefined) return undefined;
    const folder = this.snapshot(commit);
    return isComplete(folder) ? folder : undefined;
  }

  /** Notes that `revision` now means `commit`. Call it when the snapshot is complete, so that a cut leaves the old one. */
  async writeRef(revision: string, commit: string): Promise<void> {
    if (isCommit(revision)) return;
    const path = join(this.#folder, "refs", revision);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, commit);
  }

  /** Shows the blob `hash` as `file` in the snapshot of `commit`. */
  async link(commit: string, file: string, hash: string): Promise<void> {
    const path = join(this.snapshot(commit), file);
    const blob = this.blobPath(hash);
    await mkdir(dirname(path), { recursive: true });
    const temporary = `${path}.${randomUUID()}.tmp`;
    try {
      await symlink(relative(dirname(path), blob), temporary);
    } catch (error) {
      // Windows without developer mode allows no symbolic links; a copy is what the Python tools make there too.
      if (!(error instanceof Error && "code" in error && error.code === "EPERM")) throw error;
      await copyFile(blob, temporary);
    }
    await rename(temporary, path);
  }

  #readRef(revision: string): string | undefined {
    const bytes = readBoundedFile(join(this.#folder, "refs", revision), 256);
    const commit = bytes && new TextDecoder().decode(bytes).trim();
    return commit !== undefined && isCommit(commit) ? commit : undefined;
  }
}

/** Weights are downloaded last, so a snapshot that has them all has everything. */
function isComplete(folder: string): boolean {
  const has = (file: string): boolean => existsSync(join(folder, file)) && statSync(join(folder, file)).isFile();
  if (has(ADAPTER_CONFIG_FILE) && has(ADAPTER_FILE)) return true;
  if (!has(CONFIG_FILE)) return false;
  return has(SINGLE_FILE) || (has(INDEX_FILE) && readShardNames(join(folder, INDEX_FILE)).every(has));
}
