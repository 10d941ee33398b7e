/** What the log tells of batches. */
import { TrainingError } from "../errors.ts";
import type { TrainingPair } from "./collate.ts";
import type { StepRecord } from "./log.ts";
import type { WrittenRationale } from "./rationale-writer.ts";
import type { BatchLosses } from "./step.ts";

/** How the rationales of `pairs` were written; nulls where none were. */
export function rationaleFacts(
  written: readonly WrittenRationale[],
  pairs: readonly TrainingPair[],
): Pick<StepRecord, "endedShare" | "rationaleTokens" | "oracleShare"> {
  if (written.length === 0) return { endedShare: null, rationaleTokens: null, oracleShare: null };
  const isOracle = (ids: readonly number[], i: number): boolean => ids.join(",") === pairs[i]!.oracleIds?.join(",");
  return {
    endedShare: written.filter(({ ended }) => ended).length / written.length,
    rationaleTokens: written.reduce((sum, { ids }) => sum + ids.length, 0) / written.length,
    oracleShare: written.filter(({ ids }, i) => isOracle(ids, i)).length / written.length,
  };
}

/** Mean over the batches that have the figure. */
export function meanOf(losses: readonly BatchLosses[], key: "lm" | "contrastive" | "hits"): number | null {
  const values = losses.flatMap((loss) => (loss[key] === undefined ? [] : [loss[key]]));
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * The error that ends a run whose numbers broke down.
 * @param what says which number, and what it is
 */
export function notFinite(
  what: string,
  step: number,
  batches: readonly { readonly pairs: readonly TrainingPair[] }[],
): TrainingError {
  const places = batches.flatMap(({ pairs }) => pairs.map(({ place }) => place));
  const shown = places.slice(0, 8).join("; ");
  return new TrainingError(
    `step ${step}: ${what}, in the batch of ${shown}${places.length > 8 ? `; and ${places.length - 8} more` : ""}. Nothing was updated with it. Lower learningRate or clipNorm, or look at those rows.`,
  );
}
