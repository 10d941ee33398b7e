import { ShapeError } from "../errors.ts";
import { multiplyDims } from "../shape.ts";
import {
  add,
  concat,
  gather,
  matMul,
  mul,
  multiHeadAttention,
  reshape,
  scalar,
  softmax,
  split,
  swapLast,
  transpose,
  type Tensor,
} from "../graph/index.ts";

/** Keys and values of tokens already seen, and what of them each batch row may look at. */
export interface Past {
  /** `[batch, kvHeads, past, headDim]` */
  readonly key: Tensor;
  /** `[batch, kvHeads, past, headDim]` */
  readonly value: Tensor;
  /** `[batch, 1, 1, 1, past]`: 0 where a slot is filled, very negative where it is not */
  readonly bias: Tensor;
}

/** Attention's result and the keys and values of the new tokens, for the cache. */
export interface Attended {
  /** `[batch*seq, heads * headDim]` */
  readonly output: Tensor;
  /** `[batch, kvHeads, seq, headDim]` */
  readonly key: Tensor;
  /** `[batch, kvHeads, seq, headDim]` */
  readonly value: Tensor;
}

/**
 * Grouped-query attention of new tokens over the past and, causally, over each other. Scores of both parts share one
 * softmax; the past is read where it lies and never copied, which is what makes a decode step cost its memory traffic
 * and no more. Heads of one group are stacked as rows, so that each key is read once per group.
 * @param q `[batch*seq, heads * headDim]`, rotated
 * @param k `[batch*seq, kvHeads * headDim]`, rotated
 * @param v `[batch*seq, kvHeads * headDim]`
 * @param newBias `[seq, seq]`: 0 on and below the diagonal, very negative above
 */
export function cachedAttention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  past: Past,
  newBias: Tensor,
  { heads, kvHeads, headDim }: { heads: number; kvHeads: number; headDim: number },
): Attended {
  const [batch, , pastLength] = past.key.shape;
  const seq = newBias.shape[0]!;
  const group = heads / kvHeads;
  if (!Number.isInteger(group))
    throw new ShapeError(`cachedAttention: ${heads} heads do not split over ${kvHeads} kvHeads`);
  const scaled = mul(q, scalar(q, headDim ** -0.5));
  const queries = reshape(transpose(reshape(scaled, [batch!, seq, heads, headDim]), [0, 2, 1, 3]), [
    batch!,
    kvHeads,
    multiplyDims(group, seq),
    headDim,
  ]);
  const key = transpose(reshape(k, [batch!, seq, kvHeads, headDim]), [0, 2, 1, 3]);
  const value = transpose(reshape(v, [batch!, seq, kvHeads, headDim]), [0, 2, 1, 3]);
  const perHead = (scores: Tensor, length: typeof seq): Tensor =>
    reshape(scores, [batch!, kvHeads, group, seq, length]);
  const pastScores = add(perHead(matMul(queries, swapLast(past.key)), pastLength!), past.bias);
  const newScores = add(perHead(matMul(queries, swapLast(key)), seq), newBias);
  const shares = softmax(concat([pastScores, newScores], 4));
  const [pastShares, newShares] = split(shares, [pastLength!, seq], 4);
  const stacked = (part: Tensor, length: typeof seq): Tensor =>
    reshape(part, [batch!, kvHeads, multiplyDims(group, seq), length]);
  const mixed = add(matMul(stacked(pastShares!, pastLength!), past.value), matMul(stacked(newShares!, seq), value));
  const perToken = transpose(reshape(mixed, [batch!, heads, seq, headDim]), [0, 2, 1, 3]);
  return { output: reshape(perToken, [multiplyDims(batch!, seq), heads * headDim]), key, value };
}

/** Which rows attend to which: segments of rows, padded to one length. */
export interface Segments {
  /** int64 `[segments, length]`: the row in each slot; slots past a segment's end repeat any row */
  readonly slots: Tensor;
  /** int64 `[rows]`: where each row stands in the flattened slots */
  readonly places: Tensor;
  /** int32 `[segments]`: how many slots of each segment are filled; left out when all are */
  readonly lengths: Tensor | undefined;
}

/**
 * Full attention inside each segment and none across.
 * @param q, k, v `[rows, heads * headDim]`
 * @returns `[rows, heads * headDim]`
 */
export function segmentAttention(q: Tensor, k: Tensor, v: Tensor, segments: Segments, heads: number): Tensor {
  const [grouped, groupedKeys, groupedValues] = [q, k, v].map((rows) => gather(rows, segments.slots));
  const mixed = multiHeadAttention(grouped!, groupedKeys!, groupedValues!, heads, segments.lengths);
  const [count, length, width] = mixed.shape;
  return gather(reshape(mixed, [multiplyDims(count!, length!), width!]), segments.places);
}
