/** What is at a path, where that may be nothing. */
import type { Stats } from "node:fs";
import { stat } from "node:fs/promises";

/** Stats of what a path leads to; `undefined` where nothing can be reached there. */
export async function statsOf(path: string): Promise<Stats | undefined> {
  return await stat(path).catch(() => undefined);
}
