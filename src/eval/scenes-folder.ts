/** What a folder that `rge scenes` wrote holds. */
import { join } from "node:path";
import { z } from "zod";
import { DatasetError } from "../errors.ts";
import { readJsonFile } from "../json.ts";
import { META_TASKS } from "../scenes/task.ts";

/** By this file in it a folder is known. */
export const SCENES_FILE = "scenes.json";

/** A dataset as `scenes.json` lists it. */
export interface ScenesDataset {
  readonly name: string;
  readonly metaTask: (typeof META_TASKS)[number];
  readonly ood: boolean;
  readonly hops: number;
}

/** Longest description accepted, in bytes. */
const MAX_BYTES = 1 << 20;
const description = z.object({
  train: z.int(),
  eval: z.int(),
  seed: z.int(),
  datasets: z
    .array(
      z.object({
        name: z.string().regex(/^\w+$/),
        metaTask: z.enum(META_TASKS),
        ood: z.boolean(),
        hops: z.int(),
      }),
    )
    .min(1)
    .max(1000),
});

/**
 * Reads what a folder of Scenes holds.
 * @throws {DatasetError} no `scenes.json`, or a damaged one
 */
export function readScenes(folder: string): { seed: number; eval: number; datasets: ScenesDataset[] } {
  const file = join(folder, SCENES_FILE);
  const json = readJsonFile(file, { maxBytes: MAX_BYTES, missing: "undefined" });
  if (json === undefined) throw new DatasetError(`${file} is not there. \`rge scenes --out ${folder}\` writes one.`);
  const parsed = description.safeParse(json);
  if (!parsed.success) throw new DatasetError(`${file}: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}
