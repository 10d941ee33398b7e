/** Pictures that rows name by paths relative to a folder. */
import { resolve } from "node:path";
import { statsOf } from "../stats-of.ts";
import { pathInside } from "./path-inside.ts";
import { RowError, textOf } from "./row-text.ts";

/** Finds pictures below one or several folders, none of which a path may leave. */
export class ImageRoot {
  readonly #roots: readonly string[];
  /** Many rows share a picture. */
  readonly #found = new Map<string, Promise<string>>();

  /** @param roots folders in the order in which they are looked through */
  constructor(...roots: readonly string[]) {
    this.#roots = roots.map((root) => resolve(root));
  }

  /**
   * The absolute path of the picture that a field names, or `undefined` where it names none.
   * @throws {RowError} no string, a path outside the folder, or of no file
   */
  async find(field: string, value: unknown): Promise<string | undefined> {
    const name = textOf(field, value);
    if (name === "") return undefined;
    const found = this.#found.get(name) ?? this.#look(field, name);
    this.#found.set(name, found);
    return await found;
  }

  async #look(field: string, name: string): Promise<string> {
    const paths = this.#roots.map((root) => pathInside(root, name, field));
    for (const path of paths) if ((await statsOf(path))?.isFile()) return path;
    throw new RowError(`${field}: there is no file ${paths.join(", nor ")}`);
  }
}
