import assert from "node:assert/strict";
import { test } from "node:test";
import { ShapeError } from "../../../src/errors.ts";
import { concat, defineOp, Graph, neg, print, quickGelu, reshape, split } from "../../../src/graph/index.ts";

test("a graph prints one line per value, constants with their numbers, names with their scopes", () => {
  const graph = new Graph("demo");
  const x = graph.input("x", "float32", ["batch", "seq", 4]);
  graph.input("picked", "int64", ["batch*seq"]);
  const w = graph.initializer("w", "float32", [1, 4], () => new Uint8Array(16));
  const rows = graph.within("mlp", () => quickGelu(reshape(x, ["batch*seq", 4]), 1.702));
  const parts = split(concat([rows, w], 0), ["batch*seq", 1], 0);
  graph.output("y", parts[0]!);
  assert.equal(
    print(graph),
    `graph demo
  input x : float32[batch, seq, 4]
  input picked : int64[batch*seq]
  weight w : float32[1, 4]
  const mlp/const#0 : int64[2] = -1, 4
  const const#0 : int64[1] = 1
  %mlp/Reshape#0 = Reshape(x, mlp/const#0) {$to=batch*seq,4} : float32[batch*seq, 4]
  %mlp/QuickGelu#0 = QuickGelu(mlp/Reshape#0) {alpha=1.702} : float32[batch*seq, 4]
  %Concat#0 = Concat(mlp/QuickGelu#0, w) {axis=0} : float32[(batch*seq+1), 4]
  %Shape#0 = Shape(picked) {start=0, end=1} : int64[1]
  %Concat#1 = Concat(Shape#0, const#0) {axis=0} : int64[2]
  %Split#0, %Split#1 = Split(Concat#0, Concat#1) {axis=0, $sizes=batch*seq,1} : float32[batch*seq, 4], float32[1, 4]
  %y = Identity(Split#0) : float32[batch*seq, 4]
  return y`,
  );
});

test("printing depends on the numbers of a constant, which cache keys rely on", () => {
  const texts = [0.5, 0.25].map((value) => {
    const graph = new Graph("g");
    graph.output("y", neg(graph.constant("float32", [value], [])));
    return print(graph);
  });
  assert.notEqual(texts[0], texts[1]);
});

test("equal constants are made once, unequal ones apart", () => {
  const graph = new Graph("g");
  const one = graph.constant("float32", [1], []);
  assert.equal(graph.constant("float32", [1], []), one);
  for (const other of [
    graph.constant("float32", [1], [1]),
    graph.constant("float64", [1], []),
    graph.constant("float32", [2], []),
  ])
    assert.notEqual(other, one);
});

test("constants that cannot be written are refused when they are made", () => {
  const graph = new Graph("g");
  for (const [make, message] of [
    [() => graph.constant("float32", [1, 2], [3]), "constant: 2 values for [3], expected 3"],
    [() => graph.constant("int64", [0.5], []), "constant: 0.5 is no int64"],
    [() => graph.constant("float16", [1], []), "constant: float16 is not supported; make it float32 and cast it"],
    [() => graph.constant("float32", [1], ["n"]), "initialiser constant: [n] has a symbolic extent"],
    [
      () => graph.initializer("w", "int8", [2, "n"], () => new Uint8Array()),
      "initialiser w: [2, n] has a symbolic extent",
    ],
    [() => graph.input("x", "int8", [2, -1]), 'graph g: x has extent "-1" in [2, -1]'],
    [() => graph.input("x", "int8", [Number.NaN]), 'graph g: x has extent "NaN" in [NaN]'],
  ] as const)
    assert.throws(make, new ShapeError(message));
});

test("a name is given once, and outputs belong to their graph", () => {
  const graph = new Graph("g");
  const x = graph.input("x", "float32", [1]);
  assert.throws(() => graph.input("x", "float32", [1]), new ShapeError("graph g: the name x is taken"));
  graph.output("y", x);
  assert.throws(() => graph.output("y", x), new ShapeError("graph g: the name y is taken"));
  const stranger = new Graph("h").input("z", "float32", [1]);
  assert.throws(() => graph.output("z", stranger), new ShapeError("graph g: output z belongs to graph h"));
});

test("an operator is defined once", () => {
  assert.throws(
    () => defineOp({ onnx: "Neg", domain: "", infer: () => [], gradient: "none" }),
    /^Error: internal: operator Neg is defined twice$/,
  );
});
