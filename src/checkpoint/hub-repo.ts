/** What a repository of the hub is called, and where that puts it: on the hub and in the cache. Knows no network. */
import { HubError } from "../errors.ts";
import { quoted } from "./quoted.ts";

/** Kinds of repositories that are downloaded. */
export type RepoType = "model" | "dataset";

/** One repository. */
export interface HubRepo {
  readonly type: RepoType;
  /** `owner/name`, already checked. */
  readonly name: string;
}

/**
 * Reads `owner/name[@revision]`.
 * @returns the revision is a branch, a tag or a commit hash, `main` where none is named
 * @throws {HubError} anything else
 */
export function parseRepoName(name: string, type: RepoType): { repo: HubRepo; revision: string } {
  // Owner and name as the hub allows them; a revision may have slashes ("refs/pr/3") but no part that leaves a folder.
  const part = /[A-Za-z0-9_][\w.-]{0,95}/.source;
  const found = new RegExp(`^(${part}/${part})(?:@(${part}(?:/${part})*))?$`).exec(name);
  if (!found || name.includes("..") || name.includes("--")) {
    throw new HubError(
      `${quoted(name)}: no such folder, and not a name such as "owner/${type}" or "owner/${type}@revision".`,
    );
  }
  return { repo: { type, name: found[1]! }, revision: found[2] ?? "main" };
}

/** A full Git commit hash, which names one state for ever, where a branch or tag may move. */
export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

/** Name of the repository's folder in the cache: `datasets--owner--name`. */
export function cacheFolderName({ type, name }: HubRepo): string {
  return `${type}s--${name.replace("/", "--")}`;
}

/** Address of the repository's page. */
export function repoUrl(endpoint: string, { type, name }: HubRepo): string {
  return type === "model" ? `${endpoint}/${name}` : `${endpoint}/${type}s/${name}`;
}

/** Address of the content of one file. */
export function fileUrl(endpoint: string, repo: HubRepo, commit: string, path: string): string {
  return `${repoUrl(endpoint, repo)}/resolve/${commit}/${path.split("/").map(encodeURIComponent).join("/")}`;
}
