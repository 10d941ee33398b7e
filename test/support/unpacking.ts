/** Unpacks archives that a test made, in folders that are there until it ends. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { type UnpackOptions, unpackArchive } from "../../src/dataset/archive.ts";
import { DatasetError } from "../../src/errors.ts";

/** Lies in every folder that was unpacked. */
export const MARKER: string = ".rge-unpacked.json";

/** A folder with files in it, that is there until the test ends. */
export function folderWith(t: TestContext, files: Record<string, Uint8Array> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), "rge-archive-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  return folder;
}

/** Unpacks an archive of this name and content, and gives the folder. */
export async function unpacked(
  t: TestContext,
  name: string,
  content: Uint8Array,
  options?: UnpackOptions,
): Promise<string> {
  const folder = folderWith(t, { [name]: content });
  await unpackArchive(join(folder, name), join(folder, "out"), options);
  return join(folder, "out");
}

/** Checks that an archive is refused with all of `parts` in the message, and that nothing is left of it. */
export async function assertRefused(
  t: TestContext,
  name: string,
  content: Uint8Array,
  parts: readonly string[],
  options?: UnpackOptions,
): Promise<void> {
  const folder = folderWith(t, { [name]: content });
  await assert.rejects(unpackArchive(join(folder, name), join(folder, "out"), options), (error: unknown) => {
    assert.ok(error instanceof DatasetError, String(error));
    for (const part of [name, ...parts])
      assert.ok(error.message.includes(part), `expected ${part} in: ${error.message}`);
    return true;
  });
  assert.deepEqual(readdirSync(folder), [name]);
}

/** Everything below a folder, folders too, in order. */
export function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
}
