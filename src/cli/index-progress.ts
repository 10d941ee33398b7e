/** How far an indexing is, and what it came to, in words. */
import type { IndexCounts } from "../search/indexer.ts";
import type { Step } from "./progress.ts";
import { formatCount } from "./units.ts";

/** The bar's state. */
export function indexProgress(
  { seen, embedded, unchanged, moved, failed }: IndexCounts,
  total: number | undefined,
): Step {
  const done = embedded + unchanged + moved + failed;
  const note = `${formatCount(embedded)} embedded${failed > 0 ? `, ${formatCount(failed)} failed` : ""}`;
  return { what: "indexing", done: Math.min(done, total ?? seen), total, unit: "items", note };
}

/** `3 embedded, 1 failed`. */
export function sentenceOf(counts: IndexCounts): string {
  const parts = (["embedded", "unchanged", "moved", "removed", "failed"] as const)
    .filter((key) => counts[key] > 0)
    .map((key) => `${formatCount(counts[key])} ${key}`);
  return parts.length === 0 ? "nothing to do" : parts.join(", ");
}
