import assert from "node:assert/strict";
import { test } from "node:test";
import { toFloat16, toFloat32 } from "../../../src/checkpoint/stored-dtype.ts";

const halfOf = (value: number): number => new Uint16Array(toFloat16(Float32Array.of(value)).buffer)[0]!;

test("every float16 comes back from float32 as it was", () => {
  const halves = Uint16Array.from({ length: 65_536 }, (_, i) => i);
  const back = new Uint16Array(toFloat16(toFloat32(new Uint8Array(halves.buffer), "F16")).buffer);
  for (const [i, half] of halves.entries()) {
    const isNan = (half & 0x7fff) > 0x7c00;
    // NaN keeps its sign only.
    if (isNan) assert.equal(back[i]! & 0x7e00, 0x7e00);
    else assert.equal(back[i], half);
  }
});

test("float16 rounds to nearest, ties to even", () => {
  // Neighbours of 1 are 2^-10 above and 2^-11 below.
  assert.equal(halfOf(1 + 2 ** -11), 0x3c00);
  assert.equal(halfOf(1 + 3 * 2 ** -11), 0x3c02);
  assert.equal(halfOf(1 + 2 ** -11 + 2 ** -20), 0x3c01);
  assert.equal(halfOf(65_519), 0x7bff);
  assert.equal(halfOf(65_520), 0x7c00);
  assert.equal(halfOf(-1e9), 0xfc00);
  // Below 2^-14 steps are of 2^-24.
  assert.equal(halfOf(2 ** -25), 0);
  assert.equal(halfOf(1.5 * 2 ** -24), 2);
  assert.equal(halfOf(-(2 ** -24)), 0x8001);
});
