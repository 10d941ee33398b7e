import { z } from "zod";
import { CheckpointError } from "../errors.ts";
import { add, gather, gelu, layerNorm, mul, reduceSum, type Graph, type Tensor } from "../graph/index.ts";
import { floats, indices, type Feeds } from "../host-tensor.ts";
import type { Grid } from "../input/patches.ts";
import type { Weights } from "../nn/weights.ts";
import type { ModelFamily, RowAttention, VisionOutputs, VisionTower } from "./family.ts";
import {
  angleFeeds,
  frameSegments,
  mergeGroups,
  patchCoordinates,
  patchEmbedding,
  patchRows,
  towerOf,
  visionAngles,
  visionAttention,
} from "./vision.ts";
import { extent, parseVisionConfig } from "./vision-config.ts";

/** `vision_config` of Qwen3-VL, defaults as in transformers. */
const VisionConfig = z.object({
  depth: extent.default(27),
  hidden_size: extent.default(1152),
  num_heads: extent.default(16),
  out_hidden_size: extent.default(3584),
  patch_size: extent.default(16),
  spatial_merge_size: extent.default(2),
  temporal_patch_size: extent.default(2),
  in_channels: z.literal(3).default(3),
  num_position_embeddings: extent.default(2304),
  deepstack_visual_indexes: z.array(z.int().nonnegative()).default([8, 16, 24]),
  hidden_act: z.literal("gelu_pytorch_tanh").default("gelu_pytorch_tanh"),
});
type VisionConfig = z.infer<typeof VisionConfig>;

/** Fixed in the Hugging Face code, not configurable. */
const EPS = 1e-6;

/**
 * Qwen3-VL (arXiv:2511.21631): learned positions resampled to the picture's grid beside rotary ones, and DeepStack,
 * where features of earlier vision layers enter the first decoder layers.
 */
export const qwen3Vl: ModelFamily = {
  modelType: "qwen3_vl",
  vision: (config) => visionTower(parseVisionConfig(VisionConfig, config)),
};

function visionTower(config: VisionConfig): VisionTower {
  const merge = config.spatial_merge_size;
  const side = Math.sqrt(config.num_position_embeddings);
  if (!Number.isInteger(side))
    throw new CheckpointError(
      `config.json: vision_config.num_position_embeddings is ${config.num_position_embeddings}, expected a square number`,
    );
  return towerOf({
    patchSize: config.patch_size,
    temporalPatchSize: config.temporal_patch_size,
    merge,
    deepstackCount: config.deepstack_visual_indexes.length,
    heads: config.num_heads,
    emit: (graph, weights, attention) => emitTower(graph, weights.scope("model.visual"), attention("frame"), config),
    segments: { frame: { padded: false, members: frameSegments } },
    positionFeeds: (grids) => ({
      ...angleFeeds(grids, merge, config.hidden_size / config.num_heads),
      ...tableFeeds(grids, merge, side),
    }),
  });
}

function emitTower(graph: Graph, weights: Weights, attend: RowAttention, config: VisionConfig): VisionOutputs {
  const { hidden_size: hidden, num_heads: heads, spatial_merge_size: merge } = config;
  const columns = 3 * config.temporal_patch_size * config.patch_size ** 2;
  const taps = graph.input("position.taps", "int64", [patchRows(merge), 4]);
  const shares = graph.input("position.shares", "float32", [patchRows(merge), 4, 1]);
  const positions = reduceSum(mul(gather(weights.get("pos_embed.weight"), taps), shares), [1], false);
  let x = add(patchEmbedding(graph, weights, merge, columns, hidden), positions);
  const angles = visionAngles(graph, merge, hidden / heads);
  const deepstack: Tensor[] = [];
  for (let layer = 0; layer < config.depth; layer++) {
    const block = weights.scope(`blocks.${layer}`);
    const before = x;
    x = graph.block(() => {
      const normed = norm(before, block.scope("norm1"));
      const after = add(before, visionAttention(normed, block.scope("attn"), angles, attend, heads));
      const inner = block.scope("mlp.linear_fc1").linear(norm(after, block.scope("norm2")));
      return add(after, block.scope("mlp.linear_fc2").linear(gelu(inner, "tanh")));
    });
    const tap = config.deepstack_visual_indexes.indexOf(layer);
    if (tap >= 0) {
      const merger = weights.scope(`deepstack_merger_list.${tap}`);
      deepstack[tap] = merged(norm(mergeGroups(x, merge), merger.scope("norm")), merger);
    }
  }
  const merger = weights.scope("merger");
  return { embeds: merged(mergeGroups(norm(x, merger.scope("norm")), merge), merger), deepstack };
}

/** `[tokens, merge^2 * hidden]` -> `[tokens, outHidden]` */
function merged(groups: Tensor, weights: Weights): Tensor {
  return weights.scope("linear_fc2").linear(gelu(weights.scope("linear_fc1").linear(groups), "none"));
}

function norm(x: Tensor, weights: Weights): Tensor {
  return layerNorm(x, weights.get("weight"), weights.get("bias"), EPS);
}

/** Bilinear taps into the `side * side` table of learned positions, corners aligned: four rows and their shares per patch. */
function tableFeeds(grids: readonly Grid[], merge: number, side: number): Feeds {
  const { rows, columns } = patchCoordinates(grids, merge);
  const taps = new Float64Array(rows.length * 4);
  const shares = new Float32Array(rows.length * 4);
  let patch = 0;
  for (const [time, height, width] of grids) {
    for (let i = 0; i < time * height * width; i++, patch++) {
      const y = axisTaps(rows[patch]!, height, side);
      const x = axisTaps(columns[patch]!, width, side);
      for (let tap = 0; tap < 4; tap++) {
        const [dy, dx] = [tap >> 1, tap & 1];
        taps[patch * 4 + tap] = Math.min(y.low + dy, side - 1) * side + Math.min(x.low + dx, side - 1);
        shares[patch * 4 + tap] =
          (dy === 1 ? y.high : Math.fround(1 - y.high)) * (dx === 1 ? x.high : Math.fround(1 - x.high));
      }
    }
  }
  return {
    "position.taps": indices(taps, [rows.length, 4]),
    "position.shares": floats(shares, [rows.length, 4, 1]),
  };
}

/** Where `index` of `size` falls on `side` table entries: the entry below and the share of the one above, in float32 as PyTorch has it. */
function axisTaps(index: number, size: number, side: number): { low: number; high: number } {
  const source = Math.fround((index * (side - 1)) / Math.max(size - 1, 1));
  const low = Math.floor(source);
  return { low, high: Math.fround(source - low) };
}
