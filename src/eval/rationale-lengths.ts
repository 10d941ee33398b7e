/** How long rationales were, and how many the budget cut off. */
import type { RationaleLengths } from "./types.ts";

/** Tokens per bar of the histogram. */
export const BAR_TOKENS: number = 8;

/** Lengths over queries; those without a rationale count as 0 tokens. */
export function lengthsOf(
  outcomes: readonly { readonly rationaleTokens: number; readonly finish: "emb" | "budget" | "direct" }[],
): RationaleLengths {
  if (outcomes.length === 0) throw new Error("internal: lengths of no rationales");
  const sorted = Float64Array.from(outcomes, ({ rationaleTokens }) => rationaleTokens).sort();
  /** The smallest length that so great a share does not exceed. */
  const quantile = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;
  const max = sorted.at(-1)!;
  const histogram = Array.from({ length: Math.floor(max / BAR_TOKENS) + 1 }, () => 0);
  for (const tokens of sorted) histogram[Math.floor(tokens / BAR_TOKENS)]!++;
  return {
    mean: sorted.reduce((sum, tokens) => sum + tokens, 0) / sorted.length,
    median: quantile(0.5),
    p90: quantile(0.9),
    max,
    overrunShare: outcomes.filter(({ finish }) => finish === "budget").length / outcomes.length,
    histogram,
  };
}
