import assert from "node:assert/strict";
import { test } from "node:test";
import { patchify, type PatchLayout } from "../../../src/input/patches.ts";

const LAYOUT: PatchLayout = {
  patchSize: 1,
  temporalPatchSize: 2,
  mergeSize: 2,
  imageMean: [0, 0, 0.5],
  imageStd: [1, 1, 0.5],
  rescaleFactor: 1 / 255,
};

test("patchify puts the patches of one merge group next to each other, frames repeated", () => {
  // 4 x 2 pixels whose red is the position; with patches of one pixel each row reads r, r, g, g, b, b.
  const rgb = Uint8Array.from({ length: 24 }, (_, i) => (i % 3 === 0 ? i / 3 : i % 3 === 1 ? 255 : 0));
  const { patches, grid } = patchify(rgb, 4, 2, LAYOUT);
  assert.deepEqual(grid, [1, 2, 4]);
  const rows = Array.from({ length: 8 }, (_, i) => [...patches.subarray(i * 6, i * 6 + 6)]);
  assert.deepEqual(
    rows.map(([red]) => Math.round(red! * 255)),
    [0, 1, 4, 5, 2, 3, 6, 7],
  );
  for (const [red, redAgain, ...rest] of rows) {
    assert.equal(red, redAgain);
    assert.deepEqual(rest, [1, 1, -1, -1]);
  }
});

test("patchify reads a patch row by row", () => {
  const rgb = Uint8Array.from({ length: 2 * 2 * 3 }, (_, i) => (i % 3 === 0 ? 255 * (i / 3 === 2 ? 1 : 0) : 0));
  const { patches } = patchify(rgb, 2, 2, { ...LAYOUT, patchSize: 2, mergeSize: 1, temporalPatchSize: 1 });
  assert.deepEqual([...patches.subarray(0, 4)], [0, 0, 1, 0]);
});

test("patchify refuses sides that are no multiple of the merged patch", () => {
  assert.throws(() => patchify(new Uint8Array(9), 3, 1, LAYOUT), RangeError);
});
