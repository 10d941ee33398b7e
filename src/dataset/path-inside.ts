/** Names that rows give are relative to a folder, and must not leave it. */
import { isAbsolute, relative, resolve, sep } from "node:path";
import { RowError } from "./row-text.ts";

/**
 * The absolute path of `name` below `root`.
 * @param field that `name` stands in, for the message
 * @throws {RowError} the folder itself, or anything outside it
 */
export function pathInside(root: string, name: string, field?: string): string {
  const path = resolve(root, name);
  const inside = relative(root, path);
  if (inside === "" || inside === ".." || inside.startsWith(`..${sep}`) || isAbsolute(inside))
    throw new RowError(`${field === undefined ? "" : `${field} `}${JSON.stringify(name)} is not inside ${root}`);
  return path;
}
