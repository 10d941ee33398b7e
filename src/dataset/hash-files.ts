/** What files hold, in one value. */
import { createHash } from "node:crypto";
import { hashFile } from "./row-files.ts";

/**
 * SHA-256 in hex over the hashes of files, in their order.
 * @throws {DatasetError} a file that cannot be read
 */
export async function hashFiles(files: readonly string[], signal?: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  for (const file of files) hash.update(`${await hashFile(file, signal)}\n`);
  return hash.digest("hex");
}
