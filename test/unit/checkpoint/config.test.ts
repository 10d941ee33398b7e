import assert from "node:assert/strict";
import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, describe, test } from "node:test";
import { type ModelConfig, readModelConfig } from "../../../src/checkpoint/config.ts";
import { readGenerationConfig } from "../../../src/checkpoint/generation-config.ts";
import { checkpointError, fixture, fixtureConfig, temporaryFolder, writeJson } from "./files.ts";

type Json = Record<string, unknown>;

function read(t: TestContext, config: unknown): ModelConfig {
  const folder = temporaryFolder(t);
  writeJson(join(folder, "config.json"), config);
  return readModelConfig(folder);
}

/** A fixture's configuration with fields put over its text_config. */
function withText(family: string, fields: Json): Json {
  const config = fixtureConfig(family);
  return { ...config, text_config: { ...(config["text_config"] as Json), ...fields } };
}

/** What transformers 4.51 wrote for the two Qwen2 families: text fields at the top, rope in two of them. */
function flat(family: string): Json {
  const { text_config: text, ...rest } = fixtureConfig(family);
  const { rope_parameters: rope, model_type: _, ...fields } = text as Json;
  const section = (rope as Json)["mrope_section"];
  return { ...fields, ...rest, rope_scaling: { type: "mrope", mrope_section: section }, rope_theta: 1e6 };
}

const text = {
  vocab: 527,
  hidden: 64,
  intermediate: 176,
  layers: 3,
  heads: 4,
  kvHeads: 2,
  headDim: 16,
  rmsEps: 1e-6,
  ropeTheta: 1_000_000,
  mropeSection: [2, 3, 3],
  mropeInterleaved: false,
  maxPositions: 4096,
  hiddenAct: "silu",
};

describe("layouts", () => {
  test("the nested layout of transformers 5 reads, for each family", () => {
    const config = readModelConfig(fixture("qwen2_5_vl", "checkpoint"));
    const { vision, ...rest } = config;
    assert.deepEqual(rest, {
      modelType: "qwen2_5_vl",
      text,
      imageTokenId: 524,
      videoTokenId: 525,
      visionStartTokenId: 521,
      visionEndTokenId: 522,
      tieWordEmbeddings: true,
      dtype: "float32",
    });
    assert.equal(vision["window_size"], 112);
    const qwen3 = readModelConfig(fixture("qwen3_vl", "checkpoint"));
    assert.deepEqual(qwen3.text, { ...text, ropeTheta: 5_000_000, mropeInterleaved: true });
    assert.equal(readModelConfig(fixture("qwen2_vl", "checkpoint")).tieWordEmbeddings, false);
  });

  for (const family of ["qwen2_vl", "qwen2_5_vl"]) {
    test(`the flat layout of transformers 4 gives the same as the nested one: ${family}`, (t) => {
      assert.deepEqual(read(t, flat(family)), readModelConfig(fixture(family, "checkpoint")));
    });
  }

  test("nested text_config with rope_scaling and rope_theta beside it reads", (t) => {
    const config = withText("qwen3_vl", {
      rope_parameters: undefined,
      rope_theta: 123,
      rope_scaling: { rope_type: "default", mrope_section: [4, 2, 2], mrope_interleaved: true },
    });
    const { ropeTheta, mropeSection, mropeInterleaved } = read(t, config).text;
    assert.deepEqual([ropeTheta, mropeSection, mropeInterleaved], [123, [4, 2, 2], true]);
  });

  // Values of Qwen2_5_VLConfig() and Qwen3VLConfig() in transformers 5.18.
  test("absent fields have the defaults of the family's class in transformers", (t) => {
    const qwen2 = read(t, { model_type: "qwen2_5_vl", text_config: {} });
    assert.deepEqual(qwen2.text, {
      ...text,
      vocab: 152064,
      hidden: 8192,
      intermediate: 29568,
      layers: 80,
      heads: 64,
      kvHeads: 8,
      headDim: 128,
      rmsEps: 1e-5,
      mropeSection: [16, 24, 24],
      maxPositions: 32768,
    });
    assert.deepEqual([qwen2.imageTokenId, qwen2.visionStartTokenId, qwen2.tieWordEmbeddings], [151655, 151652, false]);
    const qwen3 = read(t, { model_type: "qwen3_vl", text_config: {} });
    assert.deepEqual(qwen3.text, {
      ...text,
      vocab: 151936,
      hidden: 4096,
      intermediate: 22016,
      layers: 32,
      heads: 32,
      kvHeads: 32,
      headDim: 128,
      ropeTheta: 500_000,
      mropeSection: [24, 20, 20],
      mropeInterleaved: true,
      maxPositions: 128_000,
    });
  });

  test("num_key_value_heads null means one per head", (t) => {
    assert.equal(read(t, withText("qwen2_5_vl", { num_key_value_heads: null })).text.kvHeads, 4);
  });

  // from_dict() of transformers 5.18 with these fields: True, True, True, False, False, True.
  test("tie_word_embeddings in text_config counts for the Qwen2 families only", (t) => {
    const tied = (family: string, top: boolean | undefined, nested: boolean): boolean =>
      read(t, { ...withText(family, { tie_word_embeddings: nested }), tie_word_embeddings: top }).tieWordEmbeddings;
    assert.equal(tied("qwen2_5_vl", undefined, true), true);
    assert.equal(tied("qwen2_vl", false, true), true);
    assert.equal(tied("qwen2_vl", true, false), true);
    assert.equal(tied("qwen3_vl", undefined, true), false);
    assert.equal(tied("qwen3_vl", false, true), false);
    assert.equal(tied("qwen3_vl", true, false), true);
  });

  test("a model_type without defaults must write every field out", (t) => {
    const config = { ...fixtureConfig("qwen2_5_vl"), model_type: "future_vl" };
    assert.deepEqual(read(t, config).text, text);
    const { image_token_id: _, ...without } = config as Json;
    assert.throws(() => read(t, without), checkpointError("image_token_id is undefined"));
  });
});

describe("refusals", () => {
  const cases: readonly [title: string, config: Json, ...parts: string[]][] = [
    [
      "sliding window",
      withText("qwen2_5_vl", { use_sliding_window: true }),
      "text_config.use_sliding_window is true",
      "not supported",
    ],
    [
      "sliding layer types",
      withText("qwen2_5_vl", { layer_types: ["sliding_attention"] }),
      "layer_types.0",
      "full_attention",
    ],
    ["another activation", withText("qwen2_5_vl", { hidden_act: "gelu" }), 'text_config.hidden_act is "gelu"', "silu"],
    ["a scaled rope", withText("qwen2_5_vl", { rope_scaling: { type: "yarn", factor: 4 } }), 'rope type "yarn"'],
    ["attention biases", withText("qwen3_vl", { attention_bias: true }), "attention_bias is true"],
    ["heads that do not share out", withText("qwen2_5_vl", { num_key_value_heads: 3 }), "4 is no multiple", "3"],
    ["hidden that heads do not divide", withText("qwen2_5_vl", { hidden_size: 65 }), "hidden_size 65", "heads 4"],
    [
      "sections that do not fill a head",
      withText("qwen2_5_vl", { rope_parameters: { mrope_section: [2, 2, 2] } }),
      "[2,2,2] adds up to 6",
      "head_dim 16",
    ],
    ["zero layers", withText("qwen2_5_vl", { num_hidden_layers: 0 }), "text_config.num_hidden_layers is 0"],
    ["half a layer", withText("qwen2_5_vl", { num_hidden_layers: 2.5 }), "text_config.num_hidden_layers is 2.5"],
    ["an absurd size", withText("qwen2_5_vl", { hidden_size: 1e15 }), "text_config.hidden_size is 1000000000000000"],
    ["a size in words", withText("qwen2_5_vl", { vocab_size: "many" }), 'text_config.vocab_size is "many"'],
    [
      "a token past the vocabulary",
      { ...fixtureConfig("qwen2_5_vl"), image_token_id: 527 },
      "imageTokenId is 527",
      "527",
    ],
    ["qwen3_vl without text_config", { ...fixtureConfig("qwen3_vl"), text_config: null }, "no text_config"],
    ["no model_type", {}, "model_type is undefined"],
  ];
  for (const [title, config, ...parts] of cases) {
    test(`is refused: ${title}`, (t) => {
      assert.throws(() => read(t, config), checkpointError("config.json", ...parts));
    });
  }

  test("a missing, oversized or unreadable config.json is refused", (t) => {
    const folder = temporaryFolder(t);
    const path = join(folder, "config.json");
    assert.throws(() => readModelConfig(folder), checkpointError("config.json: no such file"));
    writeFileSync(path, " ".repeat(1024 * 1024 + 1));
    assert.throws(() => readModelConfig(folder), checkpointError("1048577 bytes, at most 1048576"));
    writeFileSync(path, "[".repeat(1000));
    assert.throws(() => readModelConfig(folder), checkpointError("nested deeper than 64"));
    writeFileSync(path, "[]");
    assert.throws(() => readModelConfig(folder), checkpointError("expected object"));
  });
});

describe("generation", () => {
  test("a fixture's sampling settings read", () => {
    assert.deepEqual(readGenerationConfig(fixture("qwen2_5_vl", "checkpoint")), {
      doSample: true,
      temperature: 1e-6,
      topP: 1,
      topK: 50,
      repetitionPenalty: 1.05,
      eosTokenIds: [520, 518],
    });
  });

  test("without a file, the defaults of transformers and the end token of config.json", (t) => {
    const folder = temporaryFolder(t);
    cpSync(fixture("qwen2_5_vl", "checkpoint", "config.json"), join(folder, "config.json"));
    assert.deepEqual(readGenerationConfig(folder), {
      doSample: false,
      temperature: 1,
      topP: 1,
      topK: 50,
      repetitionPenalty: 1,
      eosTokenIds: [520],
    });
  });

  test("a field out of range is refused", (t) => {
    const folder = temporaryFolder(t);
    writeJson(join(folder, "generation_config.json"), { temperature: -1 });
    assert.throws(() => readGenerationConfig(folder), checkpointError("generation_config.json", "temperature"));
  });
});
