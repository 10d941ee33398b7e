import { ShapeError } from "../../errors.ts";
import { formatShape } from "../../shape.ts";
import { defineOp, intAttr, required, sameDtype } from "../op.ts";
import type { Tensor } from "../tensor.ts";

const attentionOp = defineOp({
  onnx: "MultiHeadAttention",
  domain: "com.microsoft",
  infer: (inputs, attrs) => {
    const [q, k, v] = [0, 1, 2].map((i) => required(inputs, i, "multiHeadAttention")) as [Tensor, Tensor, Tensor];
    const width = q.shape[2];
    if (q.shape.length !== 3 || typeof width !== "number" || width % intAttr(attrs, "num_heads", 0) !== 0)
      throw new ShapeError(`multiHeadAttention: needs [batch, seq, heads * headDim], got ${formatShape(q.shape)}`);
    if (formatShape(k.shape) !== formatShape(v.shape) || k.shape[0] !== q.shape[0] || k.shape[2] !== width)
      throw new ShapeError(
        `multiHeadAttention: q ${formatShape(q.shape)}, k ${formatShape(k.shape)}, v ${formatShape(v.shape)} do not fit`,
      );
    const lengths = inputs[4];
    if (lengths !== undefined && (lengths.dtype !== "int32" || formatShape(lengths.shape) !== `[${q.shape[0]}]`))
      throw new ShapeError(
        `multiHeadAttention: lengths are ${lengths.dtype}${formatShape(lengths.shape)}, expected int32[${q.shape[0]}]`,
      );
    return [{ dtype: sameDtype("multiHeadAttention", q, k, v), shape: q.shape }];
  },
  gradient: "none",
});

/**
 * Softmax attention of every token over every token of its batch row, scaled by `headDim ** -0.5`. Without `lengths`
 * ORT runs it in blocks that fit the cache and never holds the scores, so long rows cost no memory.
 * @param q, k, v `[batch, seq, heads * headDim]`
 * @param lengths int32 `[batch]`: how many tokens of each row are real, from its start
 */
export function multiHeadAttention(q: Tensor, k: Tensor, v: Tensor, heads: number, lengths?: Tensor): Tensor {
  return attentionOp([q, k, v, undefined, lengths], { num_heads: heads })[0]!;
}
