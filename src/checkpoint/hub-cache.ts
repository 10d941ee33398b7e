/**
 * One repository in the Hugging Face cache, in the layout that all Hugging Face tools share:
 * `models--owner--name/{blobs/<hash>, refs/<revision>, snapshots/<commit>/<file> -> ../../blobs/<hash>}`.
 */
import { randomUUID } from "node:crypto";
import { copyFile, mkdir, rename, symlink, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { readBoundedFile } from "../json.ts";
import { type HubRepo, cacheFolderName, isCommit } from "./hub-repo.ts";

/** The cache of one repository. */
export class RepoCache {
  /** Everything of the repository lies here; the tools that delete a repository from the cache delete this folder. */
  readonly folder: string;

  constructor(cacheFolder: string, repo: HubRepo) {
    this.folder = join(cacheFolder, cacheFolderName(repo));
  }

  /** Where the content with this hash lies once it is complete. */
  blobPath(hash: string): string {
    return join(this.folder, "blobs", hash);
  }

  /** The folder that shows the files of `commit` under their own names. */
  snapshot(commit: string): string {
    return join(this.folder, "snapshots", commit);
  }

  /** The commit that a revision meant when it was last downloaded, or `undefined`. */
  commitOf(revision: string): string | undefined {
    if (isCommit(revision)) return revision;
    const bytes = readBoundedFile(join(this.folder, "refs", revision), 256);
    const commit = bytes && new TextDecoder().decode(bytes).trim();
    return commit !== undefined && isCommit(commit) ? commit : undefined;
  }

  /** Notes that `revision` now means `commit`. Call it when the snapshot is complete, so that a cut leaves the old one. */
  async writeRef(revision: string, commit: string): Promise<void> {
    if (isCommit(revision)) return;
    const path = join(this.folder, "refs", revision);
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
}
