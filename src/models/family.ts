import type { ModelConfig } from "../checkpoint/config.ts";
import type { Graph, Tensor } from "../graph/index.ts";
import type { Feeds } from "../host-tensor.ts";
import type { Grid } from "../input/patches.ts";
import type { Weights } from "../nn/weights.ts";

/** What a vision tower yields: tokens for the decoder's input and, for Qwen3-VL, for its first layers. */
export interface VisionOutputs {
  /** `[tokens, hidden]` */
  readonly embeds: Tensor;
  /** one `[tokens, hidden]` per early decoder layer that adds it */
  readonly deepstack: readonly Tensor[];
}

/** A vision tower of known sizes. */
export interface VisionTower {
  readonly patchSize: number;
  readonly temporalPatchSize: number;
  /** Patches per token along each side. */
  readonly merge: number;
  /** How many early decoder layers take image features. */
  readonly deepstackCount: number;
  /** Emits the tower into `graph`, declaring its inputs. */
  readonly build: (graph: Graph, weights: Weights) => VisionOutputs;
  /** Feeds beside `patches [patches, 3 * temporal * patch * patch]`, for images of one patch count each. */
  readonly feeds: (grids: readonly Grid[]) => Feeds;
}

/** One Hugging Face `model_type`. */
export interface ModelFamily {
  readonly modelType: string;
  /** Reads the family's `vision_config`; throws CheckpointError for sizes it does not know. */
  readonly vision: (config: ModelConfig) => VisionTower;
}
