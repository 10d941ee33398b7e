import { z } from "zod";
import { add, gelu, layerNorm, quickGelu, type Graph, type Tensor } from "../graph/index.ts";
import type { Weights } from "../nn/weights.ts";
import type { ModelFamily, RowAttention, VisionOutputs, VisionTower } from "./family.ts";
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

/** `vision_config` of Qwen2-VL, defaults as in transformers; here `hidden_size` is the decoder's. */
const VisionConfig = z.object({
  depth: extent.default(32),
  embed_dim: extent.default(1280),
  num_heads: extent.default(16),
  patch_size: extent.default(14),
  spatial_merge_size: extent.default(2),
  temporal_patch_size: extent.default(2),
  in_channels: z.literal(3).default(3),
  hidden_act: z.enum(["quick_gelu", "gelu"]).default("quick_gelu"),
});
type VisionConfig = z.infer<typeof VisionConfig>;

/** Fixed in the Hugging Face code, not configurable. */
const EPS = 1e-6;
/** OpenAI's approximation of GELU. */
const QUICK_GELU_ALPHA = 1.702;

/** Qwen2-VL (arXiv:2409.12191): full attention in the vision tower, a plain MLP and layer norms in it. */
export const qwen2Vl: ModelFamily = {
  modelType: "qwen2_vl",
  vision: (config) => visionTower(parseVisionConfig(VisionConfig, config)),
};

function visionTower(config: VisionConfig): VisionTower {
  const merge = config.spatial_merge_size;
  return towerOf({
    patchSize: config.patch_size,
    temporalPatchSize: config.temporal_patch_size,
    merge,
    deepstackCount: 0,
    heads: config.num_heads,
    emit: (graph, weights, attention) => emitTower(graph, weights.scope("model.visual"), attention("frame"), config),
    segments: { frame: { padded: false, members: frameSegments } },
    positionFeeds: (grids) => angleFeeds(grids, merge, config.embed_dim / config.num_heads),
  });
}

function emitTower(graph: Graph, weights: Weights, attend: RowAttention, config: VisionConfig): VisionOutputs {
  const { embed_dim: hidden, num_heads: heads, spatial_merge_size: merge } = config;
  const columns = 3 * config.temporal_patch_size * config.patch_size ** 2;
  let x = patchEmbedding(graph, weights, merge, columns, hidden);
  const angles = visionAngles(graph, merge, hidden / heads);
  for (let layer = 0; layer < config.depth; layer++) {
    const block = weights.scope(`blocks.${layer}`);
    const before = x;
    x = graph.block(() => {
      const normed = norm(before, block.scope("norm1"));
      const after = add(before, visionAttention(normed, block.scope("attn"), angles, attend, heads));
      const inner = block.scope("mlp.fc1").linear(norm(after, block.scope("norm2")));
      const activated = config.hidden_act === "gelu" ? gelu(inner, "none") : quickGelu(inner, QUICK_GELU_ALPHA);
      return add(after, block.scope("mlp.fc2").linear(activated));
    });
  }
  const merger = weights.scope("merger");
  const groups = mergeGroups(norm(x, merger.scope("ln_q")), merge);
  const embeds = merger.scope("mlp.2").linear(gelu(merger.scope("mlp.0").linear(groups), "none"));
  return { embeds, deepstack: [] };
}

function norm(x: Tensor, weights: Weights): Tensor {
  return layerNorm(x, weights.get("weight"), weights.get("bias"), EPS);
}
