/** The two terms of the objective, as graphs. */
import {
  add,
  detach,
  div,
  gather,
  greater,
  matMul,
  mul,
  reduceLogSumExp,
  reduceSum,
  scalar,
  sqrt,
  sub,
  swapLast,
  type Graph,
  type Tensor,
} from "../graph/index.ts";

/** How the contrastive term weighs its candidates. */
export interface ContrastiveOptions {
  /** Cosines are divided by it. */
  readonly temperature: number;
  /**
   * LLaVE's alpha (arXiv:2503.04812): a candidate's weight in the sum grows by `e^(alpha cos)`, with no gradient through
   * the weight. 0 weighs all alike.
   */
  readonly hardness: number;
  /**
   * A candidate more similar to the query than the positive by more than this counts as a false negative and is left
   * out (UniME, Qwen3-VL-Embedding: 0.1); `undefined` leaves none out.
   */
  readonly falseNegativeMargin: number | undefined;
}

/** Added to the logits of candidates that are left out; their share becomes exactly zero. */
export const EXCLUDED = -1e9;

/**
 * Sum of `-log p(label)` over tokens: cross-entropy of the softmax over the vocabulary.
 * The label's logit is the product of state and row, so that nothing of the size `[labels, vocab]` is made for it.
 * @param states `[labels, hidden]`, normed
 * @param logits `[labels, vocab]`, `states table^T`
 * @param table `[vocab, hidden]`
 * @param labels int64 `[labels]`
 * @returns a scalar
 */
export function crossEntropySum(states: Tensor, logits: Tensor, table: Tensor, labels: Tensor): Tensor {
  const label = reduceSum(mul(states, gather(table, labels)), [1], false);
  return reduceSum(sub(reduceLogSumExp(logits, [1], false), label), [0], false);
}

/**
 * Sum over queries of InfoNCE, query to target: `-log(e^(cos_ii / t) / sum_j w_ij e^(cos_ij / t))`.
 * van den Oord et al. 2018, arXiv:1807.03748; the direction and the in-batch candidates follow RGE's released code.
 * Declares `positive [queries, targets]` (1 at each query's own target, else 0) and `excluded [queries, targets]`
 * (0, or `EXCLUDED` for candidates that are left out).
 * @param queries `[queries, hidden]`
 * @param targets `[targets, hidden]`
 * @returns the sum and the cosines `[queries, targets]`
 */
export function infoNceSum(
  graph: Graph,
  queries: Tensor,
  targets: Tensor,
  { temperature, hardness, falseNegativeMargin }: ContrastiveOptions,
): { sum: Tensor; similarity: Tensor } {
  const similarity = matMul(unitRows(queries), swapLast(unitRows(targets)));
  const positive = graph.input("positive", "float32", similarity.shape);
  const constant = (value: number): Tensor => scalar(similarity, value);
  let logits = add(mul(similarity, constant(1 / temperature)), graph.input("excluded", "float32", similarity.shape));
  const fixed = detach(similarity);
  const others = sub(constant(1), positive);
  if (hardness !== 0) logits = add(logits, mul(mul(fixed, constant(hardness)), others));
  if (falseNegativeMargin !== undefined) {
    const own = reduceSum(mul(fixed, positive), [1]);
    const nearer = mul(greater(fixed, add(own, constant(falseNegativeMargin))), others);
    logits = add(logits, mul(nearer, constant(EXCLUDED)));
  }
  const own = reduceSum(mul(logits, positive), [1], false);
  return { sum: reduceSum(sub(reduceLogSumExp(logits, [1], false), own), [0], false), similarity };
}

/** Each row at L2 length 1. */
function unitRows(x: Tensor): Tensor {
  return div(x, sqrt(reduceSum(mul(x, x), [1])));
}
