/** Pictures that lie as bytes in a dataset, as files: each content once, named by its hash. */
import { createHash, randomUUID } from "node:crypto";
import { mkdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { DatasetError, messageOf } from "../errors.ts";
import { sniffFormat } from "../input/image-format.ts";

/** A folder of pictures; several processes may write into it. */
export class PictureFiles {
  readonly #folder: string;

  /** @param folder is made where it is missing */
  constructor(folder: string) {
    this.#folder = resolve(folder);
  }

  /**
   * The file that holds `bytes`, written unless it is there.
   * @param label names the picture in errors
   * @returns its absolute path
   * @throws {ImageError} bytes of no picture format that is known
   * @throws {DatasetError} no room or no rights
   */
  async keep(bytes: Uint8Array, label: string): Promise<string> {
    const format = sniffFormat(bytes, label);
    const name = `${createHash("sha256").update(bytes).digest("hex")}.${format}`;
    const path = join(this.#folder, name);
    if (await isThere(path, bytes.length)) return path;
    const part = `${path}.${randomUUID()}.part`;
    try {
      await mkdir(this.#folder, { recursive: true });
      await writeFile(part, bytes, { flag: "wx" });
      await rename(part, path);
    } catch (error) {
      await rm(part, { force: true });
      throw new DatasetError(`${this.#folder}: pictures cannot be kept (${messageOf(error)})`, { cause: error });
    }
    return path;
  }
}

async function isThere(path: string, sizeBytes: number): Promise<boolean> {
  return await stat(path).then(
    (stats) => stats.isFile() && stats.size === sizeBytes,
    () => false,
  );
}
