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
  /** Emits the tower into `graph`, declaring its inputs: `patches [patches, 3 * temporal * patch * patch]` and those of its feeds. */
  readonly build: (graph: Graph, weights: Weights) => VisionOutputs;
  /** Feeds beside `patches`, for images of one patch count each. */
  readonly feeds: (grids: readonly Grid[]) => Feeds;
  /** As `build`, in operators that can be differentiated. */
  readonly buildForTraining: (graph: Graph, weights: Weights) => VisionOutputs;
  /** Feeds of `buildForTraining` beside `patches`, for images of any sizes. */
  readonly trainingFeeds: (grids: readonly Grid[]) => Feeds;
}

/** What a family says of its tower; `towerOf` makes both kinds of graph and feeds of it. */
export interface TowerParts extends Pick<VisionTower, "patchSize" | "temporalPatchSize" | "merge" | "deepstackCount"> {
  readonly heads: number;
  /** Emits the tower; `attention` gives attention inside the segments of a set and declares the inputs for it. */
  readonly emit: (graph: Graph, weights: Weights, attention: (set: string) => RowAttention) => VisionOutputs;
  /** Sets of segments by name; `padded` where their lengths differ even for images of one patch count. */
  readonly segments: Readonly<Record<string, SegmentSet>>;
  /** Feeds beside `patches` and those of segments. */
  readonly positionFeeds: (grids: readonly Grid[]) => Feeds;
}

/** Patches that attend to each other. */
interface SegmentSet {
  readonly padded: boolean;
  /** The patches of each segment; together they name every patch once. */
  readonly members: (grids: readonly Grid[]) => number[][];
}

/** Attention of rows: q, k, v `[rows, heads * headDim]` in, the same out. */
export type RowAttention = (q: Tensor, k: Tensor, v: Tensor) => Tensor;

/** One Hugging Face `model_type`. */
export interface ModelFamily {
  readonly modelType: string;
  /** Reads the family's `vision_config`; throws CheckpointError for sizes it does not know. */
  readonly vision: (config: ModelConfig) => VisionTower;
}
