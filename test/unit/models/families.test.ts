import assert from "node:assert/strict";
import { test } from "node:test";
import { readModelConfig, type ModelConfig } from "../../../src/checkpoint/config.ts";
import { CheckpointError } from "../../../src/errors.ts";
import { familyOf } from "../../../src/models/index.ts";
import { checkpointOf, FAMILIES } from "../../support/fixtures.ts";

test("every fixture has its family", () => {
  for (const family of FAMILIES) assert.equal(familyOf(readModelConfig(checkpointOf(family))).modelType, family);
});

test("an unknown model_type is refused with the known ones", () => {
  const config = { ...readModelConfig(checkpointOf("qwen2_vl")), modelType: "llama" };
  assert.throws(
    () => familyOf(config),
    (error) =>
      error instanceof CheckpointError && /"llama"; known are qwen2_5_vl, qwen2_vl, qwen3_vl/.test(error.message),
  );
});

test("a vision tower of sizes that are not known here is refused by field", () => {
  const wrong: [(typeof FAMILIES)[number], Record<string, unknown>, RegExp][] = [
    ["qwen2_5_vl", { hidden_act: "relu" }, /vision_config\.hidden_act/],
    ["qwen2_5_vl", { in_channels: 4 }, /vision_config\.in_channels/],
    ["qwen2_vl", { depth: 0 }, /vision_config\.depth/],
    ["qwen2_vl", { embed_dim: "48" }, /vision_config\.embed_dim/],
    ["qwen3_vl", { deepstack_visual_indexes: [-1] }, /vision_config\.deepstack_visual_indexes/],
    ["qwen3_vl", { num_position_embeddings: 63 }, /num_position_embeddings is 63, expected a square number/],
  ];
  for (const [family, change, message] of wrong) {
    const config: ModelConfig = readModelConfig(checkpointOf(family));
    const changed = { ...config, vision: { ...config.vision, ...change } };
    assert.throws(
      () => familyOf(changed).vision(changed),
      (error) => error instanceof CheckpointError && message.test(error.message),
      JSON.stringify(change),
    );
  }
});

/** The patches of each segment, from a tower's feeds. */
function segmentsOf(
  feeds: ReturnType<ReturnType<ReturnType<typeof familyOf>["vision"]>["feeds"]>,
  name: string,
): number[][] {
  const { data, shape } = feeds[`${name}.slots`]!;
  const lengths = feeds[`${name}.lengths`];
  return Array.from({ length: shape[0]! }, (_, segment) =>
    Array.from({ length: lengths === undefined ? shape[1]! : Number(lengths.data[segment]) }, (_unused, slot) =>
      Number(data[segment * shape[1]! + slot]),
    ),
  );
}

test("windows hold whole merge groups of their square, smaller at the edges", () => {
  const config = readModelConfig(checkpointOf("qwen2_5_vl"));
  // Window 112, patch 14, merge 2: four tokens a side. The picture has 6 x 5 tokens.
  const feeds = familyOf(config)
    .vision(config)
    .feeds([[1, 12, 10]]);
  const windows = segmentsOf(feeds, "window");
  assert.deepEqual(
    windows.map(({ length }) => length / 4),
    [16, 4, 8, 2],
  );
  const tokens = windows.map((window) => [...new Set(window.map((patch) => Math.floor(patch / 4)))]);
  assert.deepEqual(tokens[1], [4, 9, 14, 19]);
  assert.deepEqual(tokens[3], [24, 29]);
  assert.deepEqual(
    windows.flat().sort((a, b) => a - b),
    Array.from({ length: 120 }, (_, i) => i),
  );
  assert.deepEqual(
    segmentsOf(feeds, "frame").map(({ length }) => length),
    [120],
  );
});

test("two pictures in one run have windows and frames of their own", () => {
  const config = readModelConfig(checkpointOf("qwen2_5_vl"));
  const feeds = familyOf(config)
    .vision(config)
    .feeds([
      [1, 4, 4],
      [1, 4, 4],
    ]);
  const [first, second] = [Array.from({ length: 16 }, (_, i) => i), Array.from({ length: 16 }, (_, i) => 16 + i)];
  assert.deepEqual(segmentsOf(feeds, "window"), [first, second]);
  assert.deepEqual(segmentsOf(feeds, "frame"), [first, second]);
});
