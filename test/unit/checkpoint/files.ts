/** Builds checkpoint files for these tests, damaged ones among them, in folders that go away with the test. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { TestContext } from "node:test";
import { CheckpointError } from "../../../src/errors.ts";

/** Path of a file or folder under `test/fixtures`. */
export function fixture(...parts: string[]): string {
  return fileURLToPath(new URL(join("../../fixtures", ...parts), import.meta.url));
}

/** An empty folder that is removed when the test ends. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "rge-test-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A folder with the configuration of a fixture, without its weights. */
export function folderWithConfig(t: TestContext, family = "qwen2_5_vl"): string {
  const folder = temporaryFolder(t);
  cpSync(fixture(family, "checkpoint", "config.json"), join(folder, "config.json"));
  return folder;
}

/** A safetensors file of exactly this header text and this many zero bytes of data, whether they fit or not. */
export function rawSafetensors(header: string | Uint8Array, dataBytes: number, announcedBytes?: bigint): Uint8Array {
  const json = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, announcedBytes ?? BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

/** The parsed config.json of a fixture, to change and write elsewhere. */
export function fixtureConfig(family: string): Record<string, unknown> {
  return JSON.parse(readFileSync(fixture(family, "checkpoint", "config.json"), "utf8")) as Record<string, unknown>;
}

export function writeJson(path: string, value: unknown): void {
  writeFileSync(path, JSON.stringify(value));
}

/** For `assert.throws`: a CheckpointError whose message holds every one of `parts`. */
export function checkpointError(...parts: string[]): (error: unknown) => boolean {
  return (error) => {
    if (!(error instanceof CheckpointError)) throw new Error("expected a CheckpointError", { cause: error });
    const missing = parts.find((part) => !error.message.includes(part));
    if (missing !== undefined) throw new Error(`expected ${JSON.stringify(missing)} in: ${error.message}`);
    return true;
  };
}
