/** dtype and shape of every operator's result, and what it says when its inputs do not fit. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ShapeError } from "../../../src/errors.ts";
import type { DType } from "../../../src/dtype.ts";
import {
  abs,
  add,
  cast,
  concat,
  detach,
  expand,
  filledLike,
  gather,
  gelu,
  gemm,
  Graph,
  greater,
  layerNorm,
  matMul,
  matMulIntegerToFloat,
  matMulNBits,
  max,
  mul,
  multiHeadAttention,
  quantizeRows,
  quickGelu,
  rearrange,
  reduceLogSumExp,
  reduceMax,
  reduceSum,
  registeredOps,
  repeat,
  reshape,
  rmsNorm,
  rotaryEmbedding,
  scatterAdd,
  shapeOf,
  softmax,
  split,
  sub,
  transpose,
  type Tensor,
} from "../../../src/graph/index.ts";
import { describe } from "../../../src/graph/tensor.ts";
import type { Shape } from "../../../src/shape.ts";

/** Declares inputs as they are needed. */
class Inputs {
  readonly graph = new Graph("test");
  #count = 0;

  of(dtype: DType, ...shape: Shape): Tensor {
    return this.graph.input(`input.${this.#count++}`, dtype, shape);
  }

  f(...shape: Shape): Tensor {
    return this.of("float32", ...shape);
  }
}

const LEGAL: readonly [string, (t: Inputs) => Tensor | readonly Tensor[], string][] = [
  ["add broadcasts", (t) => add(t.f("batch", 1, 4), t.f("seq", 4)), "float32[batch, seq, 4]"],
  ["greater keeps the dtype it compares", (t) => greater(t.of("float64", 3, 1), t.of("float64", "n")), "float64[3, n]"],
  ["detach keeps its shape", (t) => detach(t.f("batch", 3)), "float32[batch, 3]"],
  [
    "rearrange takes rows",
    (t) => rearrange(t.f("rows", 3), t.of("int32", "n", 2), t.of("int32", "rows")),
    "float32[n, 2, 3]",
  ],
  ["repeat gives its first axis an extent", (t) => [t.f("n"), repeat(t.f(1, "n", 3), "n")][1]!, "float32[n, n, 3]"],
  ["reduceLogSumExp drops an axis", (t) => reduceLogSumExp(t.f("rows", 7), [1], false), "float32[rows]"],
  ["max broadcasts", (t) => max(t.f(3, 1), t.f()), "float32[3, 1]"],
  ["abs keeps its shape", (t) => abs(t.of("float64", "n")), "float64[n]"],
  ["gelu keeps its shape", (t) => gelu(t.f(2), "tanh"), "float32[2]"],
  ["quickGelu keeps its shape", (t) => quickGelu(t.f(2, "n"), 1), "float32[2, n]"],
  ["cast changes the dtype", (t) => cast(t.f(2, "n"), "int64"), "int64[2, n]"],
  ["cast to its own dtype is no node", (t) => cast(t.f(2), "float32"), "float32[2]"],
  ["gemm", (t) => gemm(t.f("rows", 3), t.f(4, 3), { transB: true, bias: t.f(4) }), "float32[rows, 4]"],
  ["gemm of a transpose", (t) => gemm(t.f(3, "rows"), t.f(3, 4), { transA: true }), "float32[rows, 4]"],
  ["matMul broadcasts", (t) => matMul(t.f("b", 1, "s", 3), t.f(2, 3, 5)), "float32[b, 2, s, 5]"],
  ["reshape", (t) => reshape(t.f("batch", "seq", 6), ["batch*seq", 2, 3]), "float32[batch*seq, 2, 3]"],
  ["transpose", (t) => transpose(t.f("a", "b", 3), [2, 0, 1]), "float32[3, a, b]"],
  ["concat adds extents", (t) => concat([t.f("past", 2), t.f("seq", 2), t.f(1, 2)], 0), "float32[(past+seq+1), 2]"],
  ["concat of one is no node", (t) => concat([t.f(2)], 0), "float32[2]"],
  ["split", (t) => split(concat([t.f("p", 2), t.f("s", 2)], 0), ["p", "s"], 0), "float32[p, 2], float32[s, 2]"],
  ["split from the end", (t) => split(t.f(2, 5), [1, 4], -1), "float32[2, 1], float32[2, 4]"],
  ["shapeOf", (t) => shapeOf(t.f("a", 2, "c"), 1, 3), "int64[2]"],
  ["filledLike", (t) => filledLike(t.f("a", 2), "uint8", 128, 1), "uint8[a]"],
  ["reduceSum keeps axes as 1", (t) => reduceSum(t.f("a", "b", 3), [0, -1]), "float32[1, b, 1]"],
  ["reduceSum drops axes", (t) => reduceSum(t.f("a", "b", 3), [0, -1], false), "float32[b]"],
  ["reduceMax", (t) => reduceMax(t.f("a", 3), [1]), "float32[a, 1]"],
  ["expand", (t) => expand(t.f(1, 3), t.f("a", "b", 3)), "float32[a, b, 3]"],
  ["gather", (t) => gather(t.f("rows", 4), t.of("int64", "a", "b")), "float32[a, b, 4]"],
  ["scatterAdd", (t) => scatterAdd(t.f("rows", 4), t.of("int64", "a", "b"), t.f("a", "b", 4)), "float32[rows, 4]"],
  ["softmax", (t) => softmax(t.f("a", 3)), "float32[a, 3]"],
  ["rmsNorm", (t) => rmsNorm(t.f("a", 3), t.f(3), 1e-6), "float32[a, 3]"],
  ["layerNorm", (t) => layerNorm(t.f("a", 3), t.f(3), t.f(3), 1e-6), "float32[a, 3]"],
  ["rotaryEmbedding", (t) => rotaryEmbedding(t.f(1, "r", 8), t.f("r", 2), t.f("r", 2), 2), "float32[1, r, 8]"],
  [
    "multiHeadAttention",
    (t) => multiHeadAttention(t.f("b", "s", 8), t.f("b", "k", 8), t.f("b", "k", 8), 2),
    "float32[b, s, 8]",
  ],
  ["matMulNBits", (t) => matMulNBits(t.f("r", 64), blocks(t)), "float32[r, 3]"],
  ["quantizeRows", (t) => quantizeRows(t.f("r", 4), t.f("r"), t.of("uint8", "r")), "uint8[r, 4]"],
  [
    "matMulIntegerToFloat",
    (t) => matMulIntegerToFloat(t.of("uint8", "r", 4), t.of("int8", 4, 3), t.f(3)),
    "float32[r, 3]",
  ],
];

function blocks(t: Inputs): Parameters<typeof matMulNBits>[1] {
  const [values, scales] = [t.of("uint8", 3, 2, 16), t.f(3, 2)];
  return { bits: 4, blockSize: 32, rows: 3, columns: 64, values, scales };
}

for (const [title, build, expected] of LEGAL)
  test(`${title}: ${expected}`, () => {
    assert.equal([build(new Inputs())].flat().map(describe).join(", "), expected);
  });

const ILLEGAL: readonly [(t: Inputs) => unknown, string][] = [
  [
    (t) => add(t.f(2, 3), t.f(2)),
    "add: cannot broadcast [2, 3] with [2]: 3 against 2; inputs: float32[2, 3], float32[2]",
  ],
  [(t) => sub(t.f("a"), t.f("b")), "sub: cannot broadcast [a] with [b]: a against b; inputs: float32[a], float32[b]"],
  [
    (t) => mul(t.f(2), t.of("float64", 2)),
    "mul: dtypes differ: float32 against float64; inputs: float32[2], float64[2]",
  ],
  [(t) => abs(t.of("int64", 2)), "abs: needs a float tensor, got int64; inputs: int64[2]"],
  [(t) => softmax(t.of("int32", 2)), "softmax: needs a float tensor, got int32; inputs: int32[2]"],
  [
    (t) => gemm(t.f(2, 3, 1), t.f(3, 4)),
    "gemm: needs matrices, got a [2, 3, 1], b [3, 4]; inputs: float32[2, 3, 1], float32[3, 4]",
  ],
  [
    (t) => gemm(t.f(2, 3), t.f(4, 5)),
    "gemm: inner dims differ: a 3, b 4 (after the transposes asked for); inputs: float32[2, 3], float32[4, 5]",
  ],
  [
    (t) => gemm(t.f(1, 3), t.f(3, 4), { bias: t.f(2, 4) }),
    "gemm: bias [2, 4] is wider than the product [1, 4]; inputs: float32[1, 3], float32[3, 4], float32[2, 4]",
  ],
  [
    (t) => matMul(t.f(3), t.f(3, 4)),
    "matMul: needs two axes or more, got a [3], b [3, 4]; inputs: float32[3], float32[3, 4]",
  ],
  [
    (t) => matMul(t.f("b", 2, 1536), t.f(2048, 1536)),
    "matMul: inner dims differ: a [b, 2, 1536], b [2048, 1536]; inputs: float32[b, 2, 1536], float32[2048, 1536]",
  ],
  [(t) => reshape(t.f("seq", 6), ["seq", 2, 2]), "reshape: [seq, 6] has other elements than [seq, 2, 2]"],
  [(t) => split(t.f(2, 5), [2, 2], 1), "split: parts 2 + 2 do not make up axis 1 of [2, 5]"],
  [(t) => split(t.f(3), [2], 0), "split: parts 2 do not make up axis 0 of [3]"],
  [(t) => split(gather(t.f("r"), t.of("int64", 2)), [1, 1], 1), "split: axis 1 is outside a tensor of rank 1"],
  [(t) => transpose(t.f(2, 3), [0, 0]), "transpose: [0, 0] is no permutation of 2 axes; inputs: float32[2, 3]"],
  [
    (t) => concat([t.f(2, 3), t.f(2, 4)], 0),
    "concat: [2, 3] and [2, 4] differ off axis 0; inputs: float32[2, 3], float32[2, 4]",
  ],
  [(t) => shapeOf(t.f(2), 0, 2), "shape: axes 0 to 2 are not in [2]; inputs: float32[2]"],
  [(t) => reduceSum(t.f(2), []), "reduceSum: no axes given for [2]; inputs: float32[2], int64[0]"],
  [(t) => reduceSum(t.f(2), [1]), "reduceSum: axis 1 is outside a tensor of rank 1; inputs: float32[2], int64[1]"],
  [(t) => expand(t.f(2, 3), t.f(2, 1)), "expand: [2, 3] cannot take the shape [2, 1]; inputs: float32[2, 3], int64[2]"],
  [
    (t) => gather(t.f(2), t.f(2)),
    "gather: indices are float32, expected int64 or int32; inputs: float32[2], float32[2]",
  ],
  [
    (t) => gather(t.f(), t.of("int64", 2)),
    "gather: only rows (axis 0) are gathered, got axis 0 of []; inputs: float32[], int64[2]",
  ],
  [(t) => scatterAdd(t.f(4, 3), t.of("int64", 2), t.f(3, 2)), "scatterAdd: updates are [3, 2], expected [2, 3]"],
  [
    (t) => scatterAdd(t.f(4), t.of("int32", 2), t.f(2)),
    "scatterElements: rows are int32[2], expected int64 and the trailing axes of [4]; inputs: float32[4], int32[2], float32[2]",
  ],
  [
    (t) => rmsNorm(t.f("a", 3), t.f(4), 1e-6),
    "rmsNorm: weight is [4], expected [3] as the last axis of [a, 3]; inputs: float32[a, 3], float32[4]",
  ],
  [
    (t) => layerNorm(t.f(3), t.f(3), t.f(1), 1e-6),
    "layerNorm: bias is [1], expected [3] as the last axis of [3]; inputs: float32[3], float32[3], float32[1]",
  ],
  [
    (t) => rmsNorm(t.f("n"), t.f("n"), 1e-6),
    "rmsNorm: the last axis of [n] must be a number, the mean divides by it; inputs: float32[n], float32[n]",
  ],
  [
    (t) => rotaryEmbedding(t.f(1, "r", 6), t.f("r", 2), t.f("r", 2), 2),
    "rotaryEmbedding: needs [1, rows, heads * headDim] for 2 heads, got [1, r, 6]; inputs: float32[1, r, 6], int64[1], float32[r, 2], float32[r, 2]",
  ],
  [
    (t) => rotaryEmbedding(t.f(1, "r", 8), t.f("r", 2), t.f("q", 2), 2),
    "rotaryEmbedding: angles [q, 2] do not fit [1, r, 8] of 2 heads; inputs: float32[1, r, 8], int64[1], float32[r, 2], float32[q, 2]",
  ],
  [
    (t) => multiHeadAttention(t.f("s", 8), t.f("s", 8), t.f("s", 8), 2),
    "multiHeadAttention: needs [batch, seq, heads * headDim], got [s, 8]; inputs: float32[s, 8], float32[s, 8], float32[s, 8], -, -",
  ],
  [
    (t) => multiHeadAttention(t.f("b", 2, 8), t.f("b", 2, 8), t.f("b", 3, 8), 2),
    "multiHeadAttention: q [b, 2, 8], k [b, 2, 8], v [b, 3, 8] do not fit; inputs: float32[b, 2, 8], float32[b, 2, 8], float32[b, 3, 8], -, -",
  ],
  [
    (t) => multiHeadAttention(t.f("b", 2, 8), t.f("b", 2, 8), t.f("b", 2, 8), 2, t.of("int32", "c")),
    "multiHeadAttention: lengths are int32[c], expected int32[b]; inputs: float32[b, 2, 8], float32[b, 2, 8], float32[b, 2, 8], -, int32[c]",
  ],
  [
    (t) => matMulNBits(t.f(2, 32), blocks(t)),
    "matMulNBits: inner dims differ: x [2, 32], weights of 64; inputs: float32[2, 32], uint8[3, 2, 16], float32[3, 2]",
  ],
  [
    (t) => matMulNBits(t.f(2, 64), { ...blocks(t), bits: 8 }),
    "matMulNBits values: expected [3, 2, 32], got [3, 2, 16]; inputs: float32[2, 64], uint8[3, 2, 16], float32[3, 2]",
  ],
  [
    (t) => quantizeRows(t.f(2, 4), t.f(4), t.of("uint8", 2)),
    "quantizeRows scale: expected [2], got [4]; inputs: float32[2, 4], float32[4], uint8[2]",
  ],
  [
    (t) => matMulIntegerToFloat(t.of("uint8", 2, 4), t.of("int8", 3, 4), t.f(4)),
    "matMulIntegerToFloat: inner dims differ: a [2, 4], b [3, 4]; inputs: uint8[2, 4], int8[3, 4], float32[], float32[4], uint8[]",
  ],
];

for (const [build, message] of ILLEGAL)
  test(`refused: ${message.split(";")[0]}`, () => {
    assert.throws(() => build(new Inputs()), { name: "ShapeError", message });
  });

test("an error names the scope in which the operator was applied", () => {
  const t = new Inputs();
  const build = (op: () => unknown): unknown => t.graph.within("layers.0", () => t.graph.within("mlp", op));
  const within = /\(in layers\.0\.mlp\)$/;
  assert.throws(() => build(() => matMul(t.f(2, 3), t.f(2, 3))), within);
  assert.throws(() => build(() => reshape(t.f(2), [3])), within);
  assert.throws(() => build(() => split(t.f(2), [3], 0)), within);
  assert.throws(() => build(() => scatterAdd(t.f(2), t.of("int64", 1), t.f(2))), within);
  assert.equal(t.graph.scopePath, "");
});

test("an extent that no input has cannot be read at run time", () => {
  const t = new Inputs();
  const x = t.f("batch", "seq");
  assert.throws(
    () =>
      split(
        t.graph.within("top", () => concat([gather(x, t.of("int64", 2)), x], 0)),
        ["rows", "more"],
        0,
      ),
    /split: parts rows \+ more do not make up axis 0 of \[\(batch\+2\), seq\]$/,
  );
  const merged = reshape(x, ["batch*seq"]);
  const twice = concat([merged, merged], 0);
  assert.throws(() => split(twice, ["batch*seq", "batch*seq"], 0), {
    name: "ShapeError",
    message: "split: no graph input has an axis of extent batch*seq",
  });
});

test("tensors of two graphs do not meet", () => {
  const [a, b] = [new Graph("a"), new Graph("b")];
  assert.throws(
    () => add(a.input("x", "float32", [2]), b.input("y", "float32", [2])),
    new ShapeError("Add: y and x belong to different graphs"),
  );
});

test("every operator of the table is inferred here", () => {
  const applied = new Set<string>(["Identity"]);
  for (const [, build] of LEGAL) {
    const t = new Inputs();
    build(t);
    for (const { op } of t.graph.nodes) applied.add(op.onnx);
  }
  // One inference serves them all: `gelu`'s and `add`'s.
  for (const name of ["Neg", "Exp", "Sqrt", "Erf", "Sigmoid", "Tanh", "Sub", "Mul", "Div"]) applied.add(name);
  // Built by gradients alone; its inference is that of ScatterElements.
  applied.add("GatherElements");
  assert.deepEqual([...applied].sort(), [...registeredOps().keys()].sort());
});
