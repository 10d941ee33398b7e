/** Pictures that lie as bytes in a dataset, as files: each content once, named by its hash. */
import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { DatasetError, messageOf } from "../errors.ts";
import { sniffFormat } from "../input/image-format.ts";
import { statsOf } from "../stats-of.ts";
import { writeWhole } from "../whole-file.ts";

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
    const there = await statsOf(path);
    if (there?.isFile() && there.size === bytes.length) return path;
    try {
      await mkdir(this.#folder, { recursive: true });
      await writeWhole(path, bytes);
    } catch (error) {
      throw new DatasetError(`${this.#folder}: pictures cannot be kept (${messageOf(error)})`, { cause: error });
    }
    return path;
  }
}
