import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { resizeBicubic } from "../../../src/input/resize.ts";

const ROWS = JSON.parse(readFileSync(new URL("../../fixtures/input/resize.json", import.meta.url), "utf8")) as [
  number,
  number,
  number,
  number,
  string,
][];

/** The bytes that make_input_fixtures.py resizes. */
function noise(width: number, height: number): Uint8Array {
  return Uint8Array.from({ length: width * height * 3 }, (_, i) => Math.imul(i, 2654435761) >>> 13);
}

test("resizeBicubic gives Pillow's bytes, up and down, at odd ratios", () => {
  for (const [width, height, outWidth, outHeight, sha256] of ROWS) {
    const resized = resizeBicubic(noise(width, height), width, height, outWidth, outHeight);
    const label = `${width} x ${height} to ${outWidth} x ${outHeight}`;
    assert.equal(createHash("sha256").update(resized).digest("hex"), sha256, label);
  }
});

test("resizeBicubic hands back its input where the size stays", () => {
  const rgb = noise(28, 28);
  assert.equal(resizeBicubic(rgb, 28, 28, 28, 28), rgb);
});

test("resizeBicubic refuses sizes that do not fit the bytes", () => {
  assert.throws(() => resizeBicubic(noise(4, 4), 4, 5, 2, 2), RangeError);
  assert.throws(() => resizeBicubic(noise(4, 4), 4, 4, 0, 2), RangeError);
});
