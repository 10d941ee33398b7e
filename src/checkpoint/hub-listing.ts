/** What the hub says about a repository: which commit a revision means, and which files that has. Believes nothing. */
import { datasetInfo, listFiles, modelInfo } from "@huggingface/hub";
import * as z from "zod";
import { HubError, messageOf } from "../errors.ts";
import type { HubClient } from "./hub-client.ts";
import type { RemoteFile } from "./hub-file.ts";
import { type HubRepo, fileUrl, isCommit } from "./hub-repo.ts";
import { quoted } from "./quoted.ts";

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

/** What of a repository is listed. */
export interface ListOptions {
  /** Whether files in folders are listed too; their paths have `/` on every system. */
  readonly isRecursive: boolean;
  /** Most files and folders accepted. */
  readonly maxFiles: number;
}

/**
 * The commit that `revision` means.
 * @throws {HubError} refused, unreachable, or an answer that is no commit or another than was asked for
 */
export async function resolveCommit(client: HubClient, revision: string): Promise<string> {
  const { repo, fetchApi: fetch } = client;
  const hubUrl = client.settings.endpoint;
  let commit: unknown;
  try {
    const question = { name: repo.name, revision, hubUrl, fetch };
    const answer =
      repo.type === "model"
        ? await modelInfo({ ...question, additionalFields: ["sha"] })
        : await datasetInfo({ ...question, additionalFields: ["sha"] });
    commit = answer.sha;
  } catch (error) {
    throw asHubError(error, client);
  }
  if (typeof commit !== "string" || !isCommit(commit) || (isCommit(revision) && revision !== commit)) {
    throw new HubError(
      `${hubUrl}: gives ${quoted(commit)} as the commit of ${repo.name}@${revision}. Check HF_ENDPOINT.`,
    );
  }
  return commit;
}

/**
 * The files of a commit by their paths, none of which leaves the repository's folder.
 * @throws {HubError} refused, unreachable, more than `maxFiles`, or an answer that is no listing
 */
export async function listRepo(
  client: HubClient,
  commit: string,
  { isRecursive, maxFiles }: ListOptions,
): Promise<Map<string, RemoteFile>> {
  const { repo, fetchApi: fetch } = client;
  const hubUrl = client.settings.endpoint;
  const files = new Map<string, RemoteFile>();
  let entries = 0;
  try {
    for await (const item of listFiles({ repo, revision: commit, recursive: isRecursive, hubUrl, fetch })) {
      if (++entries > maxFiles) throw tooManyFiles(repo, maxFiles);
      const { type, path, size, oid, lfs } = listingSchema.parse(item);
      if (!staysInside(path) || (!isRecursive && path.includes("/"))) {
        throw new HubError(
          `${repo.name}: lists ${quoted(path)}, which would leave the ${repo.type}'s folder. Do not use it.`,
        );
      }
      const hash = lfs?.oid ?? oid;
      if (type !== "file" || hash === undefined) continue;
      files.set(path, { name: path, url: fileUrl(hubUrl, repo, commit, path), sizeBytes: lfs?.size ?? size, hash });
    }
  } catch (error) {
    throw asHubError(error, client);
  }
  return files;
}

/** Whether a path with `/` between its parts names something below the folder it is relative to. */
export function staysInside(path: string): boolean {
  return !/[\\\0]/.test(path) && path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}

function tooManyFiles({ type, name }: HubRepo, maxFiles: number): HubError {
  const advice = type === "model" ? "Not a model." : "Download what you need of it, and give that folder.";
  return new HubError(`${name}: lists more than ${maxFiles} files. ${advice}`);
}

function asHubError(error: unknown, client: HubClient): unknown {
  client.throwIfAborted();
  if (error instanceof HubError) return error;
  const said = error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error);
  return new HubError(
    `${client.settings.endpoint}: unexpected answer about ${client.repo.name} (${said}). Check HF_ENDPOINT.`,
    { cause: error },
  );
}
