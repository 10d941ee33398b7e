import assert from "node:assert/strict";
import { test } from "node:test";
import type { TextConfig } from "../../../src/checkpoint/config.ts";
import { kvBytesPerToken, weightBytes, type SizedModel } from "../../../src/cli/memory.ts";

const TEXT: TextConfig = {
  vocab: 100,
  hidden: 64,
  intermediate: 96,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 16,
  rmsEps: 1e-6,
  ropeTheta: 10_000,
  mropeSection: [2, 3, 3],
  mropeInterleaved: false,
  maxPositions: 512,
  hiddenAct: "silu",
};

/** The linear layers of one decoder layer, `[rows, columns]`; q, k and v have biases. */
const LINEARS: Record<string, [number, number]> = {
  "self_attn.q_proj": [64, 64],
  "self_attn.k_proj": [32, 64],
  "self_attn.v_proj": [32, 64],
  "self_attn.o_proj": [64, 64],
  "mlp.gate_proj": [96, 64],
  "mlp.up_proj": [96, 64],
  "mlp.down_proj": [64, 96],
};
/** Parameters that are float32 in every format, per layer: two norms, and the biases of q, k and v. */
const PLAIN_PER_LAYER = 2 * 64 + 64 + 32 + 32;

function model(): SizedModel {
  const shapes = new Map<string, number[]>([
    ["model.language_model.embed_tokens.weight", [100, 64]],
    ["model.language_model.norm.weight", [64]],
    ["lm_head.weight", [100, 64]],
    ["model.visual.proj.weight", [64, 48]],
  ]);
  for (let layer = 0; layer < TEXT.layers; layer++) {
    const prefix = `model.language_model.layers.${layer}`;
    for (const [name, [rows, columns]] of Object.entries(LINEARS)) {
      shapes.set(`${prefix}.${name}.weight`, [rows, columns]);
      if (/[qkv]_proj/.test(name)) shapes.set(`${prefix}.${name}.bias`, [rows]);
    }
    for (const norm of ["input_layernorm", "post_attention_layernorm"]) shapes.set(`${prefix}.${norm}.weight`, [64]);
  }
  return {
    source: { has: (name) => shapes.has(name), shape: (name) => shapes.get(name) ?? assert.fail(`no ${name}`) },
    text: TEXT,
    tied: false,
    tower: {
      patchSize: 14,
      temporalPatchSize: 2,
      merge: 2,
      deepstackCount: 0,
      feeds: () => ({}),
      trainingFeeds: () => assert.fail("not trained"),
      buildForTraining: () => assert.fail("not trained"),
      build: (graph, weights) => ({
        embeds: weights.scope("model.visual.proj").linear(graph.input("patches", "float32", ["patches", 48])),
        deepstack: [],
      }),
    },
  };
}

/** Bytes of the decoder when a linear layer of `rows` by `columns` takes `bytesOf`. */
function decoderBytes(bytesOf: (rows: number, columns: number) => number): number {
  const linears = Object.values(LINEARS).reduce((sum, [rows, columns]) => sum + bytesOf(rows, columns), 0);
  return TEXT.layers * (linears + PLAIN_PER_LAYER * 4) + 64 * 4;
}

const rows8 = (rows: number, columns: number): number => rows * columns + rows * 4;
const blocks4 = (rows: number, columns: number): number => (rows * columns) / 2 + (rows * columns * 4) / 32;
const blocks8 = (rows: number, columns: number): number => rows * columns + (rows * columns * 4) / 32;

/** Scalars that a graph holds beside its weights (epsilons, shapes): far below any layer. */
const SCALAR_BYTES = 600;

function assertAbout(actual: number, expected: number): void {
  assert.ok(actual >= expected && actual <= expected + SCALAR_BYTES, `${actual} bytes, expected ${expected} and a bit`);
}

test("float32 takes four bytes per weight, and embedding rows are not held", () => {
  const { vision, decoder, head, total } = weightBytes(model(), "fp32");
  assertAbout(
    decoder,
    decoderBytes((rows, columns) => rows * columns * 4),
  );
  assertAbout(head, 100 * 64 * 4);
  assertAbout(vision, 64 * 48 * 4);
  assert.equal(total, vision + decoder + head);
});

test("int8 takes a byte per weight and a scale per row, and blocks of 32 in the head", () => {
  const { vision, decoder, head } = weightBytes(model(), "int8");
  assertAbout(decoder, decoderBytes(rows8));
  assertAbout(head, blocks8(100, 64));
  assertAbout(vision, rows8(64, 48));
});

test("int4 holds its decoder twice, for prompts in int8 and for single tokens in four bits", () => {
  const { decoder, head } = weightBytes(model(), "int4");
  assertAbout(decoder, decoderBytes(rows8) + decoderBytes(blocks4));
  assertAbout(head, blocks8(100, 64));
});

test("keys and values take layers * 2 * kvHeads * headDim floats per token", () => {
  assert.equal(kvBytesPerToken(TEXT), 2 * 2 * 2 * 16 * 4);
  // Qwen2.5-VL-3B: 36 layers, 2 heads of 128.
  assert.equal(kvBytesPerToken({ layers: 36, kvHeads: 2, headDim: 128 }), 73_728);
});
