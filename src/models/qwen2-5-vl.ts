import { z } from "zod";
import { add, gelu, rmsNorm, type Graph, type Tensor } from "../graph/index.ts";
import type { Grid } from "../input/patches.ts";
import type { Weights } from "../nn/weights.ts";
import type { ModelFamily, RowAttention, VisionOutputs, VisionTower } from "./family.ts";
import { swiglu } from "./text-decoder.ts";
import {
  angleFeeds,
  frameSegments,
  mergeGroups,
  patchEmbedding,
  towerOf,
  visionAngles,
  visionAttention,
} from "./vision.ts";
import { extent, parseVisionConfig } from "./vision-config.ts";

/** `vision_config` of Qwen2.5-VL, defaults as in transformers. */
const VisionConfig = z.object({
  depth: extent.default(32),
  hidden_size: extent.default(1280),
  num_heads: extent.default(16),
  out_hidden_size: extent.default(3584),
  patch_size: extent.default(14),
  spatial_merge_size: extent.default(2),
  temporal_patch_size: extent.default(2),
  in_channels: z.literal(3).default(3),
  window_size: extent.default(112),
  fullatt_block_indexes: z.array(z.int().nonnegative()).default([7, 15, 23, 31]),
  hidden_act: z.literal("silu").default("silu"),
});
type VisionConfig = z.infer<typeof VisionConfig>;

/** Fixed in the Hugging Face code, not configurable. */
const EPS = 1e-6;

/** Qwen2.5-VL (arXiv:2502.13923): windows in most layers of the vision tower, SwiGLU and RMS norms in it. */
export const qwen25Vl: ModelFamily = {
  modelType: "qwen2_5_vl",
  vision: (config) => visionTower(parseVisionConfig(VisionConfig, config)),
};

function visionTower(config: VisionConfig): VisionTower {
  const { patch_size: patchSize, temporal_patch_size: temporalPatchSize, spatial_merge_size: merge } = config;
  const windowSide = config.window_size / patchSize / merge;
  return towerOf({
    patchSize,
    temporalPatchSize,
    merge,
    deepstackCount: 0,
    heads: config.num_heads,
    emit: (graph, weights, attention) => emitTower(graph, weights.scope("model.visual"), attention, config),
    segments: {
      frame: { padded: false, members: frameSegments },
      window: { padded: true, members: (grids) => windowSegments(grids, merge, windowSide) },
    },
    positionFeeds: (grids) => angleFeeds(grids, merge, config.hidden_size / config.num_heads),
  });
}

function emitTower(
  graph: Graph,
  weights: Weights,
  attention: (set: string) => RowAttention,
  config: VisionConfig,
): VisionOutputs {
  const { hidden_size: hidden, num_heads: heads, spatial_merge_size: merge } = config;
  const columns = 3 * config.temporal_patch_size * config.patch_size ** 2;
  let x = patchEmbedding(graph, weights, merge, columns, hidden);
  const angles = visionAngles(graph, merge, hidden / heads);
  for (let layer = 0; layer < config.depth; layer++) {
    const block = weights.scope(`blocks.${layer}`);
    const attend = attention(config.fullatt_block_indexes.includes(layer) ? "frame" : "window");
    const before = x;
    x = graph.block(() => {
      const normed = rmsNorm(before, block.get("norm1.weight"), EPS);
      const after = add(before, visionAttention(normed, block.scope("attn"), angles, attend, heads));
      return add(after, swiglu(rmsNorm(after, block.get("norm2.weight"), EPS), block.scope("mlp")));
    });
  }
  return { embeds: merger(x, weights.scope("merger"), merge), deepstack: [] };
}

/** `[patches, hidden]` -> `[tokens, outHidden]` */
function merger(x: Tensor, weights: Weights, merge: number): Tensor {
  const groups = mergeGroups(rmsNorm(x, weights.get("ln_q.weight"), EPS), merge);
  return weights.scope("mlp.2").linear(gelu(weights.scope("mlp.0").linear(groups), "none"));
}

/**
 * The patches of each window of `side * side` tokens; windows at the right and bottom edge are smaller.
 * A window holds whole merge groups, and groups stand in the order of tokens.
 */
function windowSegments(grids: readonly Grid[], merge: number, side: number): number[][] {
  const segments: number[][] = [];
  const unit = merge * merge;
  let frameStart = 0;
  for (const [time, patchHeight, patchWidth] of grids) {
    const [height, width] = [patchHeight / merge, patchWidth / merge];
    for (let frame = 0; frame < time; frame++) {
      for (let top = 0; top < height; top += side)
        for (let left = 0; left < width; left += side) {
          const segment: number[] = [];
          for (let row = top; row < Math.min(height, top + side); row++)
            for (let column = left; column < Math.min(width, left + side); column++)
              for (let i = 0; i < unit; i++) segment.push(frameStart + (row * width + column) * unit + i);
          segments.push(segment);
        }
      frameStart += patchHeight * patchWidth;
    }
  }
  return segments;
}
