import { CheckpointError } from "../errors.ts";
import type { ModelConfig } from "../checkpoint/config.ts";
import type { ModelFamily } from "./family.ts";
import { qwen25Vl } from "./qwen2-5-vl.ts";
import { qwen2Vl } from "./qwen2-vl.ts";
import { qwen3Vl } from "./qwen3-vl.ts";

export type { VisionTower } from "./family.ts";
export { ropePositions, type Positions } from "./positions.ts";
export { anglesOf, inverseFrequencies, mropeAxes } from "./rope.ts";
export { packedFeeds, packedInputs, PREFIX, type Segment } from "./packed.ts";
export { buildHead, buildTextDecoder, EMBEDDING_LAYER, headLayer, packedTextDecoder } from "./text-decoder.ts";

/** The one table model_type -> builder. */
const FAMILIES: readonly ModelFamily[] = [qwen25Vl, qwen2Vl, qwen3Vl];

/** @throws {CheckpointError} for a `model_type` that is not in the table */
export function familyOf(config: ModelConfig): ModelFamily {
  const family = FAMILIES.find(({ modelType }) => modelType === config.modelType);
  if (family !== undefined) return family;
  throw new CheckpointError(
    `config.json: model_type is "${config.modelType}"; known are ${FAMILIES.map(({ modelType }) => modelType).join(", ")}`,
  );
}
