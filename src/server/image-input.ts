/** Pictures that requests name: `data:` URLs, files under a root, URLs where they are allowed. */
import { realpath } from "node:fs/promises";
import { isAbsolute, join, relative } from "node:path";
import type { ImageSource } from "../embed/types.ts";
import { HttpError } from "./errors.ts";
import { fetchImage } from "./remote-image.ts";

/** What the operator allows. */
export interface ImagePolicy {
  /** Folder under which files may be named; none without. */
  readonly filesRoot?: string | undefined;
  readonly allowRemote: boolean;
  readonly maxBytes: number;
}

/**
 * The source of a picture that a client named.
 * @throws {HttpError} 403 for what is not allowed
 */
export async function imageOf(name: string, policy: ImagePolicy, signal: AbortSignal): Promise<ImageSource> {
  if (/^data:/i.test(name)) return name;
  if (/^https?:/i.test(name)) {
    if (!policy.allowRemote)
      throw new HttpError(
        403,
        "remote_images_off",
        "this server does not fetch pictures: send a data: URL, or have it started with --allow-remote-images",
      );
    return await fetchImage(name, { maxBytes: policy.maxBytes, signal });
  }
  return await fileUnder(policy.filesRoot, name);
}

/**
 * The path of a file under the root, links resolved.
 * @throws {HttpError} 403 without a root, or outside it; 404 where nothing is
 */
export async function fileUnder(root: string | undefined, name: string): Promise<string> {
  if (root === undefined)
    throw new HttpError(
      403,
      "files_off",
      "this server reads no files for clients: send a data: URL, or have it started with --files FOLDER",
    );
  const realRoot = await realpath(root);
  const wanted = isAbsolute(name) ? name : join(realRoot, name);
  // What is outside is told apart from what is absent only by those who may know.
  const outside = (path: string): boolean => {
    const inside = relative(realRoot, path);
    return inside.startsWith("..") || isAbsolute(inside);
  };
  const denied = new HttpError(403, "outside_root", "the file is not under the folder that this server reads from");
  if (name.includes("\0") || outside(wanted)) throw denied;
  const real = await realpath(wanted).catch(() => undefined);
  if (real === undefined) throw new HttpError(404, "no_file", `there is no file ${JSON.stringify(name.slice(0, 200))}`);
  if (outside(real)) throw denied;
  return real;
}
