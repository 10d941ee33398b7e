import { ShapeError } from "../../errors.ts";
import { formatShape } from "../../shape.ts";
import { defineOp, intAttr, required } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { neg } from "./elementwise.ts";

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
      if (table.shape[0] !== x.shape[1] || table.shape[1] !== width / heads / 2)
        throw new ShapeError(
          `rotaryEmbedding: angles ${formatShape(table.shape)} do not fit ${formatShape(x.shape)} of ${heads} heads`,
        );
    return [{ dtype: x.dtype, shape: x.shape }];
  },
  // A rotation's transpose is the rotation by the opposite angle; angles are data, never trained.
  gradient: ({ inputs: [, start, cos, sin], gradOutputs: [dy], attrs }) => [
    rotaryOp([dy, start, cos, neg(sin!)], attrs)[0]!,
    undefined,
    undefined,
    undefined,
  ],
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
