import { ShapeError } from "../errors.ts";
import { multiplyDims, type Dim } from "../shape.ts";
import {
  add,
  concat,
  gather,
  matMul,
  mul,
  multiHeadAttention,
  rearrange,
  repeat,
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

/** Attention inside segments of packed rows; see `packedAttention`. */
interface PackedSegments {
  /** How many segments and the length all are padded to, as extents. */
  readonly count: Dim;
  readonly length: Dim;
  /** int32 `[count, heads, length]`: the row of head rows `[rows*heads]` in each slot; slots past the end name any */
  readonly slots: Tensor;
  /** The same for key-value heads. */
  readonly kvSlots: Tensor;
  /** float32 `[count, 1, 1 | length, length]`, wider by a prefix: 0 where a key may be looked at, very negative where not */
  readonly bias: Tensor;
  /** float32 `[count, 1, length, 1]`: 1 in slots that hold a row, 0 in the others */
  readonly filled: Tensor;
}

/** How the rows of a graph are laid out in segments and taken back. */
export interface PackedLayout {
  /** One or more groups of segments, each of a length of its own; together they hold every row once. */
  readonly groups: readonly PackedSegments[];
  /**
   * Whether the first group is one segment that all segments of the others begin with: it is computed once, and its keys
   * stand before theirs.
   */
  readonly hasPrefix: boolean;
  /** int32 `[rows, heads]`: where each head row stands in the flattened slots of all groups */
  readonly places: Tensor;
  /** The same for key-value heads. */
  readonly kvPlaces: Tensor;
}

/**
 * Attention inside segments of rows that are packed without padding, written in plain products that can be
 * differentiated. Each head of each row is gathered into its slot directly, so that nothing is transposed. Queries must
 * be scaled already.
 * @param q `[rows, heads * headDim]`, times `headDim ** -0.5`
 * @param k, v `[rows, kvHeads * headDim]`
 * @returns `[rows, heads * headDim]`
 */
export function packedAttention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  { groups, hasPrefix, places, kvPlaces }: PackedLayout,
  { heads, kvHeads, headDim }: { heads: number; kvHeads: number; headDim: number },
): Tensor {
  const rows = q.shape[0]!;
  const inSlots = (x: Tensor, perRow: number, slots: readonly Tensor[], back: Tensor): readonly Tensor[] => {
    const sizes = slots.map(({ shape }) => multiplyDims(...shape));
    const flat = slots.map((tensor, i) => reshape(tensor, [sizes[i]!]));
    const headRows = reshape(x, [multiplyDims(rows, perRow), headDim]);
    return split(rearrange(headRows, concat(flat, 0), back), sizes, 0, flat);
  };
  const slotsOf = groups.map(({ slots }) => slots);
  const kvSlotsOf = groups.map(({ kvSlots }) => kvSlots);
  const queries = inSlots(q, heads, slotsOf, places);
  const keys = inSlots(k, kvHeads, kvSlotsOf, kvPlaces);
  const values = inSlots(v, kvHeads, kvSlotsOf, kvPlaces);
  const kvOf = (all: readonly Tensor[], i: number): Tensor => {
    const { count, length } = groups[i]!;
    const own = reshape(all[i]!, [count, kvHeads, length, headDim]);
    return hasPrefix && i > 0 ? concat([repeat(kvOf(all, 0), count), own], 2) : own;
  };
  const mixed = groups.map(({ count, length, bias, filled }, i) => {
    const stacked = multiplyDims(heads / kvHeads, length);
    const query = reshape(queries[i]!, [count, kvHeads, stacked, headDim]);
    const [key, value] = [kvOf(keys, i), kvOf(values, i)];
    const seen = key.shape[2]!;
    const scores = add(reshape(matMul(query, swapLast(key)), [count, heads, length, seen]), bias);
    const shares = reshape(softmax(scores), [count, kvHeads, stacked, seen]);
    // Padding is read by nobody; without the product its gradient would be that of a row it repeats.
    const real = mul(reshape(matMul(shares, value), [count, heads, length, headDim]), filled);
    return reshape(real, [multiplyDims(count, heads, length), headDim]);
  });
  const flatSlots = slotsOf.map((slots) => reshape(slots, [multiplyDims(...slots.shape)]));
  return reshape(rearrange(concat(mixed, 0), places, concat(flatSlots, 0)), [rows, heads * headDim]);
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
