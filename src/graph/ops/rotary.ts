import { ShapeError } from "../../errors.ts";
import { formatShape, type Dim } from "../../shape.ts";
import { defineOp, intAttr, required, sameDtype } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { add, mul, neg, sub } from "./elementwise.ts";
import { reshape, split } from "./movement.ts";
import { reduceSum } from "./reduction.ts";

const rotaryOp = defineOp({
  onnx: "RotaryEmbedding",
  domain: "com.microsoft",
  infer: (inputs, attrs) => {
    const [x, , cos, sin] = [0, 1, 2, 3].map((i) => required(inputs, i, "rotaryEmbedding")) as [
      Tensor,
      Tensor,
      Tensor,
      Tensor,
    ];
    const heads = intAttr(attrs, "num_heads", 0);
    const width = x.shape.at(-1);
    if (x.shape.length !== 3 || x.shape[0] !== 1 || typeof width !== "number" || width % (2 * heads) !== 0)
      throw new ShapeError(
        `rotaryEmbedding: needs [1, rows, heads * headDim] for ${heads} heads, got ${formatShape(x.shape)}`,
      );
    for (const table of [cos, sin])
      if (table.shape.length !== 2 || table.shape[0] !== x.shape[1] || table.shape[1] !== width / heads / 2)
        throw new ShapeError(
          `rotaryEmbedding: angles ${formatShape(table.shape)} do not fit ${formatShape(x.shape)} of ${heads} heads`,
        );
    return [{ dtype: sameDtype("rotaryEmbedding", x, cos, sin), shape: x.shape }];
  },
  // With halves y1 = x1 cos - x2 sin, y2 = x2 cos + x1 sin: dx turns dy back by the same angle, and summed over heads
  // dcos = dy1 x1 + dy2 x2, dsin = dy2 x1 - dy1 x2.
  gradient: ({ inputs: [x, start, cos, sin], gradOutputs: [dy], attrs }) => {
    const dx = rotaryOp([dy, start, cos, neg(sin!)], attrs)[0]!;
    const [rows, half] = cos!.shape as [Dim, number];
    const [x1, x2] = split(reshape(x!, [rows, intAttr(attrs, "num_heads", 0), 2, half]), [1, 1], 2);
    const [dy1, dy2] = split(reshape(dy!, [rows, intAttr(attrs, "num_heads", 0), 2, half]), [1, 1], 2);
    const dcos = reduceSum(add(mul(dy1!, x1!), mul(dy2!, x2!)), [1, 2], false);
    const dsin = reduceSum(sub(mul(dy2!, x1!), mul(dy1!, x2!)), [1, 2], false);
    return [dx, undefined, dcos, dsin];
  },
});

/**
 * Rotary position embedding with an angle of its own per row: element `i` turns with element `i + headDim/2`.
 * Su et al. 2021, arXiv:2104.09864, in the half-split layout of Hugging Face's `rotate_half`.
 * @param x `[1, rows, heads * headDim]`
 * @param cos `[rows, headDim / 2]`
 * @param sin `[rows, headDim / 2]`
 * @throws {ShapeError} when the angles do not fit `x`
 */
export function rotaryEmbedding(x: Tensor, cos: Tensor, sin: Tensor, heads: number): Tensor {
  const start = x.graph.constant("int64", [0], [1]);
  return rotaryOp([x, start, cos, sin], { num_heads: heads, interleaved: 0 })[0]!;
}
