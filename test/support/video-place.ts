/** Videos that are folders of empty frames, and rows about them. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after } from "node:test";
import type { EvalTask } from "../../src/dataset/eval-task.ts";
import { readVideoTask, type ReadVideoOptions } from "../../src/dataset/video-task.ts";
import { DatasetError } from "../../src/errors.ts";

/** Removed when the test file is done. */
export const root: string = mkdtempSync(join(tmpdir(), "rge-videos-"));
after(() => rmSync(root, { recursive: true, force: true }));

let folders = 0;

/** A folder of frames and one of videos, neither of which is there yet. */
export interface Place {
  readonly frameRoot: string;
  readonly videoRoot: string;
  readonly cacheDir: string;
}

/** Another one for each test. */
export function newPlace(): Place {
  const folder = join(root, String(folders++));
  mkdirSync(folder);
  return {
    frameRoot: join(folder, "frames"),
    videoRoot: join(folder, "videos"),
    cacheDir: join(folder, "cache"),
  };
}

/** Writes frames of a video; their paths in its order. */
export function film({ frameRoot }: Place, name: string, count: number): string[] {
  const folder = join(frameRoot, name);
  mkdirSync(folder, { recursive: true });
  // Without leading zeros: their order is not that of the letters.
  const paths = Array.from({ length: count }, (_, i) => join(folder, `frame_${i + 1}.jpg`));
  for (const path of paths) writeFileSync(path, "");
  return paths;
}

/** Reads rows, written as JSONL, of one of the datasets. */
export async function readRows(
  name: string,
  place: Place,
  rows: readonly object[],
  options: Partial<ReadVideoOptions> = {},
): Promise<EvalTask> {
  const file = join(dirname(place.frameRoot), "rows.jsonl");
  writeFileSync(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const { frameRoot, cacheDir } = place;
  return await readVideoTask(name, { rows: file, frameRoot }, { cacheDir, ...options });
}

/** What is wrong, where there has to be something. */
export async function problemOf(work: Promise<unknown>): Promise<string> {
  const problem = await work.then(
    () => assert.fail("it was read"),
    (error: unknown) => error,
  );
  assert.ok(problem instanceof DatasetError, String(problem));
  return problem.message;
}

/** Slots of a video's frames. */
export function slots(count: number): string {
  return Array.from({ length: count }, (_, i) => `<|image_${i + 1}|>\n`).join("");
}
