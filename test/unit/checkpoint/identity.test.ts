import assert from "node:assert/strict";
import { closeSync, ftruncateSync, mkdirSync, openSync, renameSync, symlinkSync, utimesSync, writeSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { hashCheckpoint } from "../../../src/checkpoint/identity.ts";
import { SafetensorsFile } from "../../../src/checkpoint/safetensors.ts";
import { rawSafetensors, temporaryFolder } from "./files.ts";

/** A sparse file of 300 MiB, above the size up to which files are hashed whole. */
function writeBig(path: string): void {
  const bytes = 300 * 1024 * 1024;
  const header = JSON.stringify({ w: { dtype: "U8", shape: [bytes], data_offsets: [0, bytes] } });
  const file = openSync(path, "w");
  const start = rawSafetensors(header, 0);
  writeSync(file, start);
  ftruncateSync(file, start.length + bytes);
  closeSync(file);
  utimesSync(path, 1000, 1000);
}

function patch(path: string, position: number): void {
  const file = openSync(path, "r+");
  writeSync(file, Uint8Array.of(1), 0, 1, position);
  closeSync(file);
  utimesSync(path, 1000, 1000);
}

function hashOf(path: string): string {
  using file = SafetensorsFile.open(path);
  return hashCheckpoint([], [file]);
}

test("a big file's hash follows its sampled blocks and the time of its last change", (t) => {
  const path = join(temporaryFolder(t), "big.safetensors");
  writeBig(path);
  const first = hashOf(path);
  assert.equal(hashOf(path), first);
  patch(path, 300 * 1024 * 1024);
  const changed = hashOf(path);
  assert.notEqual(changed, first);
  utimesSync(path, 2000, 2000);
  assert.notEqual(hashOf(path), changed);
});

test("a blob of the Hugging Face cache is known by its name, whenever it was downloaded", (t) => {
  const folder = join(temporaryFolder(t), "models--a--b");
  mkdirSync(join(folder, "blobs"), { recursive: true });
  const blob = join(folder, "blobs", "ab".repeat(32));
  writeBig(blob);
  const link = join(folder, "model.safetensors");
  symlinkSync(blob, link);
  const first = hashOf(link);
  utimesSync(blob, 2000, 2000);
  assert.equal(hashOf(link), first);
  renameSync(blob, join(folder, "blobs", "cd".repeat(32)));
  symlinkSync(join(folder, "blobs", "cd".repeat(32)), join(folder, "other"));
  renameSync(join(folder, "other"), link);
  assert.notEqual(hashOf(link), first);
});
