import { ShapeError } from "../../errors.ts";
import { formatShape, multiplyDims } from "../../shape.ts";
import { defineOp, intAttr, required, sameDtype, scopeNote, type Inferred } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { cast } from "./elementwise.ts";
import { filledLike, reshape, reshapeLike } from "./movement.ts";
import { expand } from "./reduction.ts";

const gatherOp = defineOp({
  onnx: "Gather",
  domain: "",
  infer: (inputs, attrs) => {
    const x = required(inputs, 0, "gather");
    const indices = required(inputs, 1, "gather");
    if (indices.dtype !== "int64" && indices.dtype !== "int32")
      throw new ShapeError(`gather: indices are ${indices.dtype}, expected int64 or int32`);
    if (x.shape.length === 0 || intAttr(attrs, "axis", 0) !== 0)
      throw new ShapeError(
        `gather: only rows (axis 0) are gathered, got axis ${intAttr(attrs, "axis", 0)} of ${formatShape(x.shape)}`,
      );
    return [{ dtype: x.dtype, shape: [...indices.shape, ...x.shape.slice(1)] }];
  },
  // Rows taken more than once add up.
  gradient: ({ inputs: [x, indices], gradOutputs: [dy] }) => [
    scatterAdd(filledLike(x!, x!.dtype, 0), cast(indices!, "int64"), dy!),
    undefined,
  ],
});

/** Rows of `x` (axis 0) at `indices`: `[rows, ...rest]`, `[...at]` -> `[...at, ...rest]`. */
export function gather(x: Tensor, indices: Tensor): Tensor {
  return gatherOp([x, indices], { axis: 0 })[0]!;
}

/**
 * `gather` by indices that another list of indices undoes, as where rows are laid out in padded slots and taken back:
 * the way back is a gather too, many times faster than adding rows up.
 * Entry `i` of `x` gets the gradient of entry `inverse[i]` of the result, so each entry of `x` must be named by exactly
 * one real index; entries of the result that are padding may name any row and must get no gradient from what follows.
 * @param x `[rows, ...rest]`
 * @param indices int64 or int32 `[...at]` into the rows of `x`
 * @param inverse int64 or int32 `[...rows]`, as many as `x` has rows: for each, the index into the flattened `[...at]`
 * @returns `[...at, ...rest]`
 */
export function rearrange(x: Tensor, indices: Tensor, inverse: Tensor): Tensor {
  const rest = x.shape.slice(1);
  return gatherOp([x, indices], { axis: 0 }, ({ gradOutputs: [dy] }) => {
    const flat = reshape(dy!, [multiplyDims(...indices.shape), ...rest]);
    return [reshapeLike(gather(flat, inverse), x.shape, x), undefined];
  })[0]!;
}

/**
 * `x` with `updates` added to its rows at `indices`, the reverse of `gather`; a row named twice gets both.
 * ONNX has ScatterND for this, but ORT runs that on several threads without a lock and loses updates of one row
 * (microsoft/onnxruntime#18048; 1.30 on two threads made 278678 of 400000 additions of 1); ScatterElements does not.
 * @param x `[rows, ...rest]`
 * @param indices int64 `[...at]`
 * @param updates `[...at, ...rest]`
 * @returns `[rows, ...rest]`
 */
export function scatterAdd(x: Tensor, indices: Tensor, updates: Tensor): Tensor {
  const rest = x.shape.slice(1);
  const expected = formatShape([...indices.shape, ...rest]);
  if (x.shape.length === 0 || formatShape(updates.shape) !== expected)
    throw new ShapeError(
      `scatterAdd: updates are ${formatShape(updates.shape)}, expected ${expected}${scopeNote(x.graph)}`,
    );
  const count = multiplyDims(...indices.shape);
  const flat = reshape(updates, [count, ...rest]);
  const rows = expand(reshape(indices, [count, ...rest.map(() => 1)]), flat);
  return scatterElements([x, rows, flat], { axis: 0, reduction: "add" })[0]!;
}

const scatterElements = defineOp({
  onnx: "ScatterElements",
  domain: "",
  infer: (inputs) => {
    const [x, updates] = [required(inputs, 0, "scatterElements"), required(inputs, 2, "scatterElements")];
    inferPicked("scatterElements", x, required(inputs, 1, "scatterElements"));
    if (formatShape(updates.shape) !== formatShape(inputs[1]!.shape))
      throw new ShapeError(
        `scatterElements: updates are ${formatShape(updates.shape)}, expected ${formatShape(inputs[1]!.shape)}`,
      );
    return [{ dtype: sameDtype("scatterElements", x, updates), shape: x.shape }];
  },
  gradient: ({ inputs: [, rows], gradOutputs: [dy] }) => [dy, undefined, gatherElements([dy, rows], { axis: 0 })[0]!],
});

/** `y[i, j] = x[rows[i, j], j]`, the gradient of `scatterAdd`'s updates. */
const gatherElements = defineOp({
  onnx: "GatherElements",
  domain: "",
  infer: (inputs) => {
    const [x, rows] = [required(inputs, 0, "gatherElements"), required(inputs, 1, "gatherElements")];
    return [inferPicked("gatherElements", x, rows)];
  },
  gradient: ({ inputs: [x, rows], gradOutputs: [dy] }) => [
    scatterElements([filledLike(x!, x!.dtype, 0), rows, dy], { axis: 0, reduction: "add" })[0]!,
    undefined,
  ],
});

/** Checks that `rows` names a row of `x` for each entry, column by column. */
function inferPicked(what: string, x: Tensor, rows: Tensor): Inferred {
  if (rows.dtype !== "int64" || formatShape(rows.shape) !== formatShape([rows.shape[0] ?? 0, ...x.shape.slice(1)]))
    throw new ShapeError(
      `${what}: rows are ${rows.dtype}${formatShape(rows.shape)}, expected int64 and the trailing axes of ${formatShape(x.shape)}`,
    );
  return { dtype: x.dtype, shape: rows.shape };
}
