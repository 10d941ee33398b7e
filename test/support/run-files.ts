/** What an evaluation leaves, to be compared with what another one leaves. */
import assert from "node:assert/strict";
import { globSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/** Times of day and durations, which no two runs have in common. */
const TIMES =
  /"(?:seconds|date)": [\d.]+|Seconds<\/dt><dd>[\d.]+|\d{4}-\d\d-\d\d[T ][\d:.]+(?:Z| UTC)?|[\d.,]+ (?:s|min|h)\b/g;

/** Every file of a run but its embeddings, by name, with times struck out. */
export function filesOf(folder: string): Record<string, string> {
  const names = globSync("**/*", {
    cwd: folder,
    exclude: (name) => name === "embeddings" || name.startsWith("earlier-"),
  });
  const files = names.sort().filter((name) => statSync(join(folder, name)).isFile());
  return Object.fromEntries(
    files.map((name) => [name, readFileSync(join(folder, name), "utf8").replaceAll(TIMES, "TIME")]),
  );
}

/** Both runs left the same files; those that differ are named, not shown. */
export function assertSameFiles(actual: Record<string, string>, expected: Record<string, string>): void {
  assert.deepEqual(Object.keys(actual), Object.keys(expected));
  assert.deepEqual(
    Object.keys(actual).filter((name) => actual[name] !== expected[name]),
    [],
  );
}
