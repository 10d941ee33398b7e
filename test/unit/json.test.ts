import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { CheckpointError } from "../../src/errors.ts";
import { parseJson, readBoundedFile, readJsonFile } from "../../src/json.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function refusal(message: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof CheckpointError && message.test(error.message);
}

test("brackets and quotes inside strings do not count as nesting", () => {
  const value = { a: '[[["{{', 'b"]': "\\", c: [1, { d: "é\u2028" }] };
  assert.deepEqual(parseJson(bytes(JSON.stringify(value)), { where: "x", maxDepth: 3 }), value);
});

test("nesting past the limit is refused before parsing, at the limit it is not", () => {
  assert.deepEqual(parseJson(bytes("[[[]]]"), { where: "x", maxDepth: 3 }), [[[]]]);
  assert.throws(
    () => parseJson(bytes("[[[[]]]]"), { where: "x", maxDepth: 3 }),
    refusal(/^x: JSON nested deeper than 3/),
  );
  assert.throws(() => parseJson(bytes("[".repeat(1e6)), { where: "x" }), refusal(/deeper than 64/));
});

test("a repeated outermost key is refused where keys must be unique", () => {
  const twice = bytes('{"a":1,"b":[1,2,{"c":1,"d":2}],"a":2}');
  assert.deepEqual(parseJson(twice, { where: "x" }), { a: 2, b: [1, 2, { c: 1, d: 2 }] });
  assert.throws(() => parseJson(twice, { where: "x", uniqueKeys: true }), refusal(/3 entries under only 2 names/));
  assert.deepEqual(parseJson(bytes("{}"), { where: "x", uniqueKeys: true }), {});
  assert.deepEqual(parseJson(bytes('{"a":[1,2]}'), { where: "x", uniqueKeys: true }), { a: [1, 2] });
});

test("a file is refused over its size, when it is no file, and when it is no JSON", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rge-test-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "a.json");
  assert.throws(() => readJsonFile(path, { maxBytes: 10 }), refusal(/a\.json: no such file/));
  assert.equal(readJsonFile(path, { maxBytes: 10, missing: "undefined" }), undefined);
  writeFileSync(path, "[1,2,3]");
  assert.deepEqual(readJsonFile(path, { maxBytes: 7 }), [1, 2, 3]);
  assert.deepEqual(readBoundedFile(path, 7), new Uint8Array(bytes("[1,2,3]")));
  assert.throws(() => readJsonFile(path, { maxBytes: 6 }), refusal(/7 bytes, at most 6/));
  assert.throws(() => readJsonFile(folder, { maxBytes: 10 }), refusal(/not a regular file/));
  writeFileSync(path, "{]");
  assert.throws(() => readJsonFile(path, { maxBytes: 10 }), refusal(/not valid JSON/));
});

test("a pipe in place of a file does not hang", { skip: process.platform === "win32" && "no mkfifo" }, (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rge-test-"));
  t.after(() => rmSync(folder, { recursive: true }));
  execFileSync("mkfifo", [join(folder, "pipe")]);
  assert.throws(() => readJsonFile(join(folder, "pipe"), { maxBytes: 10 }), refusal(/not a regular file/));
});
