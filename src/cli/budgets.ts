/** Budgets of reasoning on a command line. */

/** Longest rationale that may be asked for, in tokens. */
export const MAX_BUDGET = 16_384;

/** A whole number of tokens, or `undefined` where a text is none, or too many. */
export function budgetOf(text: string): number | undefined {
  const budget = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  return budget <= MAX_BUDGET ? budget : undefined;
}
