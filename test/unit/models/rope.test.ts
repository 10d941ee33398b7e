import assert from "node:assert/strict";
import { test } from "node:test";
import { anglesOf, inverseFrequencies, mropeAxes, ropePositions } from "../../../src/models/index.ts";
import { InputError } from "../../../src/errors.ts";
import { assertClose } from "../../support/assert-close.ts";

const IMAGE = 99;
const TEXT = 7;

test("frequencies fall from 1 by equal factors", () => {
  assertClose(inverseFrequencies(8, 10_000), [1, 0.1, 0.01, 0.001], { rtol: 1e-6, atol: 0 });
  const frequencies = inverseFrequencies(128, 1e6);
  assert.equal(frequencies.length, 64);
  // theta^(-126/128)
  assertClose([frequencies[63]!], [1.2409377607517204e-6], { rtol: 1e-6, atol: 0 });
});

test("sectioned axes are runs of time, height and width", () => {
  assert.deepEqual(mropeAxes([2, 3, 3], false), [0, 0, 1, 1, 1, 2, 2, 2]);
  const axes = mropeAxes([16, 24, 24], false);
  assert.deepEqual([axes.indexOf(1), axes.indexOf(2), axes.length], [16, 40, 64]);
});

test("interleaved axes take turns until a section is used up", () => {
  assert.deepEqual(mropeAxes([2, 3, 3], true), [0, 1, 2, 0, 1, 2, 0, 1]);
  assert.deepEqual(mropeAxes([4, 2, 2], true), [0, 1, 2, 0, 1, 2, 0, 0]);
  const axes = mropeAxes([24, 20, 20], true);
  assert.deepEqual(axes.slice(57), [0, 1, 2, 0, 0, 0, 0]);
  assert.deepEqual(
    [0, 1, 2].map((axis) => axes.filter((it) => it === axis).length),
    [24, 20, 20],
  );
});

test("each frequency turns by the position of its own axis", () => {
  const { cos, sin } = anglesOf(
    Float32Array.of(1, 0.5, 0.25),
    [0, 1, 2],
    [
      [1, 0],
      [2, 0],
      [4, 3],
    ],
  );
  const angles = [1, 1, 1, 0, 0, 0.75];
  assertClose(cos, angles.map(Math.cos), { rtol: 0, atol: 1e-7 });
  assertClose(sin, angles.map(Math.sin), { rtol: 0, atol: 1e-7 });
});

test("a prompt without images counts up on all axes", () => {
  const { axes, delta } = ropePositions([1, 2, 3], IMAGE, [], 2);
  assert.deepEqual(
    axes.map((axis) => [...axis]),
    [
      [0, 1, 2],
      [0, 1, 2],
      [0, 1, 2],
    ],
  );
  assert.equal(delta, 0);
});

test("two images stand on grids, and text goes on after the longer side of each", () => {
  // Patches 4 x 6 and 6 x 2, merged by 2: grids of 2 x 3 and 3 x 1 tokens.
  const ids = [
    TEXT,
    TEXT,
    ...Array.from({ length: 6 }, () => IMAGE),
    TEXT,
    ...Array.from({ length: 3 }, () => IMAGE),
    TEXT,
    TEXT,
  ];
  const { axes, delta } = ropePositions(
    ids,
    IMAGE,
    [
      [1, 4, 6],
      [1, 6, 2],
    ],
    2,
  );
  assert.deepEqual(
    axes.map((axis) => [...axis]),
    [
      [0, 1, /**/ 2, 2, 2, 2, 2, 2, /**/ 5, /**/ 6, 6, 6, /**/ 9, 10],
      [0, 1, /**/ 2, 2, 2, 3, 3, 3, /**/ 5, /**/ 6, 7, 8, /**/ 9, 10],
      [0, 1, /**/ 2, 3, 4, 2, 3, 4, /**/ 5, /**/ 6, 6, 6, /**/ 9, 10],
    ],
  );
  // The next position would be 11, after 14 tokens.
  assert.equal(delta, -3);
});

test("two images side by side do not run into each other", () => {
  const { axes, delta } = ropePositions(
    [IMAGE, IMAGE, IMAGE],
    IMAGE,
    [
      [1, 2, 4],
      [1, 2, 2],
    ],
    2,
  );
  assert.deepEqual(
    axes.map((axis) => [...axis]),
    [
      [0, 0, 2],
      [0, 0, 2],
      [0, 1, 2],
    ],
  );
  assert.equal(delta, 0);
});

test("image tokens that do not match the grids are a bug of ours", () => {
  const wrong: [number[], [number, number, number][]][] = [
    [[IMAGE, IMAGE], [[1, 2, 2]]],
    [[IMAGE, TEXT], [[1, 2, 4]]],
    [[TEXT], [[1, 2, 2]]],
  ];
  for (const [ids, grids] of wrong)
    assert.throws(
      () => ropePositions(ids, IMAGE, grids, 2),
      (error) => error instanceof InputError && error.message.startsWith("internal:"),
    );
});
