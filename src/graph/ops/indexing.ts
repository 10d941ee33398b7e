import { ShapeError } from "../../errors.ts";
import { intAttr, defineOp, required } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { filledLike, reshapeLike } from "./movement.ts";

const gatherOp = defineOp({
  onnx: "Gather",
  domain: "",
  infer: (inputs, attrs) => {
    const x = required(inputs, 0, "gather");
    const indices = required(inputs, 1, "gather");
    if (indices.dtype !== "int64" && indices.dtype !== "int32")
      throw new ShapeError(`gather: indices are ${indices.dtype}, expected int64 or int32`);
    if (x.shape.length === 0 || intAttr(attrs, "axis", 0) !== 0)
      throw new ShapeError("gather: only rows (axis 0) are gathered");
    return [{ dtype: x.dtype, shape: [...indices.shape, ...x.shape.slice(1)] }];
  },
  // Rows taken more than once add up: ScatterND with addition into zeros.
  gradient: ({ inputs: [x, indices], gradOutputs: [dy] }) => {
    return [scatterAdd(filledLike(x!, x!.dtype, 0), reshapeLike(indices!, [...indices!.shape, 1]), dy!), undefined];
  },
});

/** Rows of `x` (axis 0) at `indices`: `[rows, ...rest]`, `[...at]` -> `[...at, ...rest]`. */
export function gather(x: Tensor, indices: Tensor): Tensor {
  return gatherOp([x, indices], { axis: 0 })[0]!;
}

const scatterOp = defineOp({
  onnx: "ScatterND",
  domain: "",
  infer: (inputs) => {
    const x = required(inputs, 0, "scatterAdd");
    return [{ dtype: x.dtype, shape: x.shape }];
  },
  gradient: ({ inputs: [, indices], gradOutputs: [dy] }) => [
    dy,
    undefined,
    gather(dy!, reshapeLike(indices!, indices!.shape.slice(0, -1))),
  ],
});

/** `x` with `updates` added to the rows at `indices` (`[..., 1]`); a row named twice gets both. */
export function scatterAdd(x: Tensor, indices: Tensor, updates: Tensor): Tensor {
  return scatterOp([x, indices, updates], { reduction: "add" })[0]!;
}
