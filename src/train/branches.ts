/** What follows a query's prompt in each mode. */
import type { Branches, TrainingPair } from "./collate.ts";
import type { TrainConfig } from "./config.ts";
import type { WrittenRationale } from "./rationale-writer.ts";

/**
 * What is predicted and what is read before the embedding.
 * @param written the pair's rationale by the current weights, in mode `rge`
 */
export function branchesOf(
  { oracleIds }: Pick<TrainingPair, "oracleIds">,
  written: WrittenRationale | undefined,
  { mode, arWeight, embWeight }: Pick<TrainConfig, "mode" | "arWeight" | "embWeight">,
): Branches {
  const lm = arWeight > 0 ? oracleIds : undefined;
  if (embWeight === 0) return { lm, contrast: undefined };
  if (mode === "direct") return { lm, contrast: [] };
  const read = mode === "oracle" ? oracleIds! : written!.ids;
  // Word for word the oracle's: one branch serves both terms.
  const isOracle = lm !== undefined && read.length === lm.length && read.every((id, i) => id === lm[i]);
  return { lm, contrast: isOracle ? "lm" : read };
}
