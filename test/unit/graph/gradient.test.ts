import assert from "node:assert/strict";
import { test } from "node:test";
import { ShapeError } from "../../../src/errors.ts";
import {
  abs,
  add,
  cast,
  detach,
  exp,
  filledLike,
  gather,
  gemm,
  gradients,
  Graph,
  mul,
  neg,
  print,
  reduceSum,
  softmax,
  split,
  tanh,
  validate,
} from "../../../src/graph/index.ts";
import type { OpRecord } from "../../../src/graph/op.ts";

function graphWith(): { graph: Graph; x: ReturnType<Graph["input"]>; w: ReturnType<Graph["input"]> } {
  const graph = new Graph("test");
  const x = graph.input("x", "float32", ["batch", 3]);
  const w = graph.input("w", "float32", [2, 3]);
  return { graph, x, w };
}

test("the backward pass of a layer is printed under its own scope, with nothing that the result does not need", () => {
  const { graph, x, w } = graphWith();
  const y = graph.within("mlp", () => tanh(gemm(x, w, { transB: true })));
  const loss = reduceSum(y, [0, 1], false);
  graph.output("dw", gradients(loss, [w])[0]!);
  assert.equal(
    print(graph),
    `graph test
  input x : float32[batch, 3]
  input w : float32[2, 3]
  const const#0 : int64[2] = 0, 1
  const gradient/const#0 : float32[] = 1
  const gradient/const#1 : int64[2] = 1, 1
  %mlp/Gemm#0 = Gemm(x, w) {transA=0, transB=1} : float32[batch, 2]
  %mlp/Tanh#0 = Tanh(mlp/Gemm#0) : float32[batch, 2]
  %ReduceSum#0 = ReduceSum(mlp/Tanh#0, const#0) {$axes=[0, 1], keepdims=0} : float32[]
  %gradient/Reshape#0 = Reshape(gradient/const#0, gradient/const#1) {$to=1,1} : float32[1, 1]
  %gradient/Shape#0 = Shape(mlp/Tanh#0) {start=0, end=2} : int64[2]
  %gradient/Expand#0 = Expand(gradient/Reshape#0, gradient/Shape#0) {$to=batch,2} : float32[batch, 2]
  %gradient.mlp/Mul#0 = Mul(mlp/Tanh#0, mlp/Tanh#0) : float32[batch, 2]
  %gradient.mlp/Sub#0 = Sub(gradient/const#0, gradient.mlp/Mul#0) : float32[batch, 2]
  %gradient.mlp/Mul#1 = Mul(gradient/Expand#0, gradient.mlp/Sub#0) : float32[batch, 2]
  %gradient.mlp/Gemm#1 = Gemm(gradient.mlp/Mul#1, x) {transA=1, transB=0} : float32[2, 3]
  %dw = Identity(gradient.mlp/Gemm#1) : float32[2, 3]
  return dw`,
  );
});

test("a tensor with several consumers gets the sum of their gradients", () => {
  const { graph, x } = graphWith();
  const seed = graph.input("seed", "float32", ["batch", 3]);
  const [dx] = gradients(add(neg(x), add(x, x)), [x], { gradOutput: seed });
  graph.output("dx", dx!);
  const nodes = print(graph).split("\n").slice(7, -1);
  assert.deepEqual(nodes, [
    "  %gradient/Add#0 = Add(seed, seed) : float32[batch, 3]",
    "  %gradient/Neg#0 = Neg(seed) : float32[batch, 3]",
    "  %gradient/Add#1 = Add(gradient/Add#0, gradient/Neg#0) : float32[batch, 3]",
    "  %dx = Identity(gradient/Add#1) : float32[batch, 3]",
  ]);
});

test("the gradient of a value between the loss and the inputs is whole, and the walk goes on behind it", () => {
  const { graph, x } = graphWith();
  const middle = mul(x, x);
  const loss = reduceSum(add(neg(middle), middle), [0, 1], false);
  const results = gradients(loss, [middle, x, loss]);
  assert.deepEqual(
    results.map(({ dtype, shape }) => [dtype, shape]),
    [
      ["float32", ["batch", 3]],
      ["float32", ["batch", 3]],
      ["float32", []],
    ],
  );
  results.forEach((result, i) => graph.output(`g${i}`, result));
  validate(graph);
});

test("paths that reach no wanted tensor get no nodes, whatever stands on them", () => {
  const { graph, x, w } = graphWith();
  const blocked = reduceSum(abs(w), [0], false);
  const before = graph.nodes.length;
  const [dx] = gradients(reduceSum(mul(x, blocked), [0, 1], false), [x]);
  assert.equal(graph.producerOf(dx!)?.op.onnx, "Mul");
  const made = graph.nodes.slice(before).filter(({ scope }) => scope.startsWith("gradient"));
  assert.deepEqual(
    made.map(({ op }) => op.onnx),
    ["Reshape", "Shape", "Expand", "Mul"],
  );
});

test("a part of a split that nothing uses gets zeros", () => {
  const { graph, x } = graphWith();
  const [first] = split(x, [1, 2], 1);
  const [dx] = gradients(reduceSum(first!, [0, 1], false), [x]);
  assert.equal(graph.producerOf(dx!)?.op.onnx, "Concat");
  assert.deepEqual(
    graph.producerOf(dx!)?.inputs.map((input) => graph.producerOf(input!)?.op.onnx),
    ["Expand", "ConstantOfShape"],
  );
});

test("gradients can be differentiated again", () => {
  const { graph, x } = graphWith();
  const once = gradients(reduceSum(mul(x, softmax(x)), [0, 1], false), [x])[0]!;
  graph.output("twice", gradients(reduceSum(once, [0, 1], false), [x])[0]!);
  validate(graph);
});

test("an operator without a rule on a needed path is an error that names it, its scope and the tensor", () => {
  const { graph, x } = graphWith();
  const y = graph.within("layers.0", () => abs(neg(x)));
  assert.throws(
    () => gradients(reduceSum(y, [0, 1], false), [x]),
    new ShapeError(
      "gradients: Abs (layers.0/Abs#0, in layers.0) stands between x and the loss and has no gradient rule",
    ),
  );
});

test("a path through whole numbers is no path", () => {
  const { graph, x } = graphWith();
  const rounded = cast(cast(x, "int64"), "float32");
  assert.throws(
    () => gradients(reduceSum(rounded, [0, 1], false), [x]),
    /does not depend on x, unless through whole numbers$/,
  );
  const counted = filledLike(x, "float32", 2);
  assert.throws(() => gradients(reduceSum(counted, [0, 1], false), [x]), /does not depend on x/);
  const at = graph.input("at", "int64", [2]);
  assert.throws(() => gradients(reduceSum(gather(x, at), [0, 1], false), [at]), {
    message: "gradients: at is int64[2]; only floats have gradients",
  });
});

test("a tensor that the loss does not depend on is an error, not zeros", () => {
  const { x, w } = graphWith();
  assert.throws(
    () => gradients(reduceSum(x, [0, 1], false), [x, w]),
    new ShapeError("gradients: the loss ReduceSum#0 does not depend on w, unless through whole numbers"),
  );
});

test("a call that fails leaves the graph as it was", () => {
  const { graph, x, w } = graphWith();
  const loss = reduceSum(tanh(x), [0, 1], false);
  const before = print(graph);
  assert.throws(() => gradients(loss, [x, w]));
  assert.equal(print(graph), before);
  graph.output("dx", gradients(loss, [x])[0]!);
  validate(graph);
});

test("the loss is a scalar unless its own gradient is given, in its shape and dtype", () => {
  const { graph, x } = graphWith();
  assert.throws(() => gradients(x, [x]), {
    message: "gradients: the loss x is float32[batch, 3]; without gradOutput it must be a scalar",
  });
  assert.throws(() => gradients(x, [x], { gradOutput: graph.constant("float32", [1], []) }), {
    message: "gradients: gradOutput is float32[], expected float32[batch, 3] as the loss",
  });
});

test("tensors of another graph are refused", () => {
  const { x } = graphWith();
  const other = new Graph("other").input("w", "float32", [1]);
  assert.throws(
    () => gradients(reduceSum(x, [0, 1], false), [other]),
    /w and the loss ReduceSum#0 belong to different/,
  );
  assert.throws(() => gradients(x, [x], { gradOutput: other }), /w and the loss x belong to different graphs/);
});

test("a rule that gives another shape, or nothing for a float, is a bug that is caught", () => {
  for (const [gradient, found] of [
    [() => [undefined], "-"],
    [({ gradOutputs: [dy] }: { gradOutputs: readonly unknown[] }) => [reduceSum(dy as never, [0])], "float32[1, 3]"],
  ] as const) {
    const { graph, x } = graphWith();
    const wrong: OpRecord = { onnx: "Wrong", domain: "", infer: ([input]) => [input!], gradient };
    const y = graph.addNode(wrong, [x], {}, [x])[0]!;
    assert.throws(() => gradients(reduceSum(y, [0, 1], false), [x]), {
      message: `internal: the gradient rule of Wrong (Wrong#0) gives ${found} for input 0, float32[batch, 3]`,
    });
  }
});

test("no gradient goes through detach, and what is around it has its own", () => {
  const { graph, x } = graphWith();
  const [dx] = gradients(reduceSum(mul(x, detach(x)), [0, 1], false), [x]);
  // d(x * const)/dx = const, and nothing through the other factor: zeros are added.
  assert.match(print(graph), /ConstantOfShape/);
  assert.deepEqual(dx!.shape, x.shape);
});

/** The printed backward pass of two blocks. */
function twoBlocks(recompute: boolean): string {
  const graph = new Graph("test");
  const x = graph.input("x", "float32", ["batch", 3]);
  const inner = graph.block(() => mul(exp(mul(x, x)), x));
  const outer = graph.block(() => exp(exp(inner)));
  graph.output("dx", gradients(reduceSum(outer, [0, 1], false), [x], { recompute })[0]!);
  validate(graph);
  return print(graph);
}

test("blocks are computed again from what goes into them, and only where that is asked for", () => {
  assert.equal(twoBlocks(false).split(" = Exp(").length - 1, 3);
  const text = twoBlocks(true);
  assert.equal(text.split(" = Exp(").length - 1, 6);
  // The copy of the second block waits for the gradient that arrives there: its input has a zero made of it added.
  assert.match(text, /= Add\(Mul#1, gradient/);
});

test("leaves of the backward pass stand at the end, the one made first last", () => {
  const graph = new Graph("test");
  const x = graph.input("x", "float32", [2, 3]);
  const [first, second] = [graph.input("first", "float32", [3, 3]), graph.input("second", "float32", [3, 3])];
  const y = gemm(gemm(x, first), second);
  const [dFirst, dSecond] = gradients(reduceSum(y, [0, 1], false), [first, second]);
  const last = graph.nodes.slice(-2).map(({ outputs }) => outputs[0]);
  assert.deepEqual(last, [dFirst, dSecond]);
});
