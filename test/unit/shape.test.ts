import assert from "node:assert/strict";
import { test } from "node:test";
import { ShapeError } from "../../src/errors.ts";
import {
  addDims,
  broadcastShapes,
  formatShape,
  multiplyDims,
  normalizeAxis,
  parseShape,
  type Shape,
} from "../../src/shape.ts";

test("products of extents are sorted, with the number first", () => {
  assert.equal(multiplyDims(2, 3), 6);
  assert.equal(multiplyDims(), 1);
  assert.equal(multiplyDims("seq", 2, "batch"), "2*batch*seq");
  assert.equal(multiplyDims("2*seq", "3*batch"), "6*batch*seq");
  assert.equal(multiplyDims("seq", "seq"), "seq*seq");
  assert.equal(multiplyDims("seq", 0), 0);
});

test("a product of products does not depend on the order of the factors", () => {
  assert.equal(
    multiplyDims(multiplyDims("batch", 2), multiplyDims(3, "seq")),
    multiplyDims("seq", multiplyDims(6, "batch")),
  );
});

test("sums of extents are sorted, with the number last", () => {
  assert.equal(addDims(2, 3), 5);
  assert.equal(addDims("past", 0), "past");
  assert.equal(addDims("seq", "past"), "(past+seq)");
  assert.equal(addDims("seq", 2, "past", 1), "(past+seq+3)");
  assert.equal(addDims("seq", "2*seq"), "3*seq");
  assert.equal(addDims(2, "batch*seq", "seq"), "(batch*seq+seq+2)");
});

test("a sum of sums does not depend on how it was bracketed", () => {
  assert.equal(addDims(addDims("a", "b"), addDims("c", 1)), addDims("c", addDims(1, "b", "a")));
  assert.equal(addDims(addDims("a", "b"), addDims("a", "b")), "(2*a+2*b)");
});

test("a sum is one factor of a product", () => {
  assert.equal(multiplyDims(2, addDims("past", "seq"), "batch"), "2*(past+seq)*batch");
  assert.equal(addDims(multiplyDims(2, addDims("past", "seq")), "batch"), "(2*(past+seq)+batch)");
  assert.equal(addDims(addDims(multiplyDims(2, addDims("a", "b")), "c"), "d"), "(2*(a+b)+c+d)");
});

test("shapes print in brackets and are read back from their attribute form", () => {
  const shape: Shape = ["2*batch", 3, "(past+seq)"];
  assert.equal(formatShape(shape), "[2*batch, 3, (past+seq)]");
  assert.deepEqual(parseShape(shape.join(",")), shape);
  assert.deepEqual(parseShape(""), []);
});

test("shapes broadcast as NumPy's do, named extents only with themselves and 1", () => {
  assert.deepEqual(broadcastShapes([2, 1, 3], [4, 1], "add"), [2, 4, 3]);
  assert.deepEqual(broadcastShapes(["batch", 1], ["seq"], "add"), ["batch", "seq"]);
  assert.deepEqual(broadcastShapes([], ["seq"], "add"), ["seq"]);
  assert.deepEqual(broadcastShapes([1], [0], "add"), [0]);
  for (const [a, b, clash] of [
    [[2, 3], [2], "3 against 2"],
    [["seq"], [4], "seq against 4"],
    [["batch"], ["seq"], "batch against seq"],
  ] as const)
    assert.throws(
      () => broadcastShapes(a, b, "add"),
      new ShapeError(`add: cannot broadcast ${formatShape(a)} with ${formatShape(b)}: ${clash}`),
    );
});

test("axes count from either end, and none is outside the rank", () => {
  assert.equal(normalizeAxis(-1, 3, "softmax"), 2);
  assert.equal(normalizeAxis(0, 3, "softmax"), 0);
  for (const axis of [3, -4, 0.5])
    assert.throws(
      () => normalizeAxis(axis, 3, "softmax"),
      new ShapeError(`softmax: axis ${axis} is outside a tensor of rank 3`),
    );
});
