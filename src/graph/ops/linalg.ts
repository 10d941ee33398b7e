import { ShapeError } from "../../errors.ts";
import { broadcastShapes, formatShape, type Shape } from "../../shape.ts";
import { defineOp, intAttr, required, sameDtype } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { reduceToShape } from "./reduction.ts";
import { filledLike, reshape, transpose } from "./movement.ts";

const gemmOp = defineOp({
  onnx: "Gemm",
  domain: "",
  infer: (inputs, attrs) => {
    const a = required(inputs, 0, "gemm");
    const b = required(inputs, 1, "gemm");
    if (a.shape.length !== 2 || b.shape.length !== 2)
      throw new ShapeError(`gemm: needs matrices, got a ${formatShape(a.shape)}, b ${formatShape(b.shape)}`);
    const [rows, inner] = flip(a.shape, intAttr(attrs, "transA", 0) === 1);
    const [innerB, columns] = flip(b.shape, intAttr(attrs, "transB", 0) === 1);
    if (inner !== innerB)
      throw new ShapeError(`gemm: inner dims differ: a ${inner}, b ${innerB} (after the transposes asked for)`);
    const shape: Shape = [rows!, columns!];
    const bias = inputs[2]?.shape ?? [];
    if (formatShape(broadcastShapes(bias, shape, "gemm bias")) !== formatShape(shape))
      throw new ShapeError(`gemm: bias ${formatShape(bias)} is wider than the product ${formatShape(shape)}`);
    return [{ dtype: sameDtype("gemm", ...inputs), shape }];
  },
  // y = a' b' + c with a' = a or a^T, b' = b or b^T: da' = dy b'^T, db' = a'^T dy
  gradient: ({ inputs: [a, b, c], gradOutputs: [dy], attrs }) => {
    const transA = intAttr(attrs, "transA", 0) === 1;
    const transB = intAttr(attrs, "transB", 0) === 1;
    const da = transA ? gemm(b!, dy!, { transA: transB, transB: true }) : gemm(dy!, b!, { transB: !transB });
    const db = transB ? gemm(dy!, a!, { transA: true, transB: transA }) : gemm(a!, dy!, { transA: !transA });
    return [da, db, c === undefined ? undefined : biasGradient(dy!, c)];
  },
});

/** Rows added up; as a product with ones, which ORT runs in half the time of a sum over the first axis. */
function biasGradient(dy: Tensor, bias: Tensor): Tensor {
  if (bias.shape.length !== 1 || bias.shape[0] !== dy.shape[1] || dy.shape[1] === 1) return reduceToShape(dy, bias);
  const ones = reshape(filledLike(dy, dy.dtype, 1, 1), [dy.shape[0]!, 1]);
  return reshape(gemm(ones, dy, { transA: true }), bias.shape);
}

function flip(shape: Shape, transposed: boolean): Shape {
  return transposed ? [shape[1]!, shape[0]!] : shape;
}

/** `a b (+ bias)` on matrices, each transposed first where asked. */
export function gemm(
  a: Tensor,
  b: Tensor,
  { transA = false, transB = false, bias }: { transA?: boolean; transB?: boolean; bias?: Tensor | undefined } = {},
): Tensor {
  const inputs = bias === undefined ? [a, b] : [a, b, bias];
  return gemmOp(inputs, { transA: transA ? 1 : 0, transB: transB ? 1 : 0 })[0]!;
}

const matMulOp = defineOp({
  onnx: "MatMul",
  domain: "",
  infer: (inputs) => {
    const a = required(inputs, 0, "matMul");
    const b = required(inputs, 1, "matMul");
    if (a.shape.length < 2 || b.shape.length < 2)
      throw new ShapeError(`matMul: needs two axes or more, got a ${formatShape(a.shape)}, b ${formatShape(b.shape)}`);
    if (a.shape.at(-1) !== b.shape.at(-2))
      throw new ShapeError(`matMul: inner dims differ: a ${formatShape(a.shape)}, b ${formatShape(b.shape)}`);
    const lead = broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2), "matMul");
    return [{ dtype: sameDtype("matMul", a, b), shape: [...lead, a.shape.at(-2)!, b.shape.at(-1)!] }];
  },
  gradient: ({ inputs: [a, b], gradOutputs: [dy] }) => [
    reduceToShape(matMul(dy!, swapLast(b!)), a!),
    reduceToShape(matMul(swapLast(a!), dy!), b!),
  ],
});

/** Matrix product over the last two axes, broadcasting the others. */
export function matMul(a: Tensor, b: Tensor): Tensor {
  return matMulOp([a, b])[0]!;
}

/** The last two axes exchanged; ORT folds it into a product that follows. */
export function swapLast(x: Tensor): Tensor {
  const rank = x.shape.length;
  return transpose(x, [...Array(rank - 2).keys(), rank - 1, rank - 2]);
}
