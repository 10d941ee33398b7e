import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ImageError } from "../../../src/errors.ts";
import { smartResize } from "../../../src/input/smart-resize.ts";

type Row = [height: number, width: number, factor: number, minPixels: number, maxPixels: number, h: number, w: number];
const ROWS = JSON.parse(
  readFileSync(new URL("../../fixtures/input/smart-resize.json", import.meta.url), "utf8"),
) as Row[];

test("smartResize agrees with transformers on two thousand sizes", () => {
  for (const [height, width, factor, minPixels, maxPixels, outHeight, outWidth] of ROWS) {
    const resized = smartResize(height, width, { factor, minPixels, maxPixels });
    assert.deepEqual(resized, { height: outHeight, width: outWidth }, `${height} x ${width}, factor ${factor}`);
  }
});

test("smartResize takes a ratio of 200 and refuses a steeper one", () => {
  const bounds = { factor: 28, minPixels: 3136, maxPixels: 1_000_000 };
  assert.ok(smartResize(10, 2000, bounds).height >= 28);
  assert.throws(() => smartResize(10, 2001, bounds), ImageError);
});
