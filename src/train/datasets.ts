/** A run's datasets as they were read. */
import { readTrainRows, type TrainRow } from "../dataset/train-rows.ts";
import type { DatasetConfig, TrainConfig } from "./config.ts";

/** A dataset that has been read. */
export interface Dataset {
  readonly config: DatasetConfig;
  readonly rows: readonly TrainRow[];
  readonly hash: string;
  /** Rows that cannot be used. */
  readonly problems: number;
}

/** Tokens, roughly: texts by letters; a picture counts as much as any other. */
export function estimatedLength({ query, target, rationale = "" }: TrainRow): number {
  return (query.text.length + target.text.length + rationale.length) / 4 + (query.image === undefined ? 0 : 64);
}

/**
 * Reads a dataset and tells what of it cannot be used.
 * @throws {DatasetError} a file that cannot be read, or no row that can be used
 */
export async function readDataset(
  dataset: DatasetConfig,
  { mode, embWeight }: Pick<TrainConfig, "mode" | "embWeight">,
  onNotice: ((text: string) => void) | undefined,
  signal: AbortSignal | undefined,
): Promise<Dataset> {
  const { imageRoot, limit } = dataset;
  const { rows, problems, hash } = await readTrainRows(dataset.path, { imageRoot, limit, signal });
  const needsRationale = mode === "oracle" || embWeight === 0;
  const usable = needsRationale ? rows.filter(({ rationale }) => rationale !== undefined) : rows;
  const left = problems.length + rows.length - usable.length;
  for (const { file, row, reason } of problems.slice(0, 3)) onNotice?.(`${file}, row ${row}: ${reason}`);
  if (rows.length > usable.length)
    onNotice?.(`${dataset.name}: ${rows.length - usable.length} rows have no rationale, which this mode needs`);
  if (left > 0) onNotice?.(`${dataset.name}: ${left} of ${rows.length + problems.length} rows cannot be used`);
  return { config: dataset, rows: usable, hash, problems: left };
}
