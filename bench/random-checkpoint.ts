/**
 * Writes a Hugging Face folder with Qwen2.5-VL-3B's widths and random bf16 weights, for benchmarks and for measuring
 * quantisation without a real checkpoint. Tokenizer and template come from the test fixture, so ids are few; the table
 * has the 3B's size all the same.
 *
 *   node bench/random-checkpoint.ts OUT_DIR [--layers 36] [--depth 32] [--seed 1]
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { toBfloat16 } from "../src/checkpoint/stored-dtype.ts";
import { writeSafetensors, type TensorToWrite } from "../src/checkpoint/safetensors-write.ts";
import { seededRandom } from "../src/random.ts";

const FIXTURE = join(import.meta.dirname, "../test/fixtures/qwen2_5_vl/checkpoint");
/** Qwen2.5-VL-3B-Instruct's widths. */
const WIDTHS_3B: Widths = {
  text: { hidden: 2048, intermediate: 11008, heads: 16, kvHeads: 2, headDim: 128, vocab: 151936 },
  vision: { hidden: 1280, intermediate: 3420, heads: 16 },
};
/** Random numbers are drawn once and reused from a moving start: drawing four billion would take minutes. */
const POOL = 1 << 22;

/** Widths of a model's layers. */
export interface Widths {
  readonly text: {
    readonly hidden: number;
    readonly intermediate: number;
    readonly heads: number;
    readonly kvHeads: number;
    readonly headDim: number;
    readonly vocab: number;
  };
  readonly vision: { readonly hidden: number; readonly intermediate: number; readonly heads: number };
}

/** Sizes of a random model. */
export interface RandomSizes {
  readonly layers: number;
  readonly depth: number;
  readonly seed: number;
  /** @default those of Qwen2.5-VL-3B */
  readonly widths?: Widths;
}

/** Writes the folder unless it is there already, and returns it. */
export function randomCheckpoint(folder: string, { layers, depth, seed, widths = WIDTHS_3B }: RandomSizes): string {
  const { text, vision } = widths;
  if (existsSync(join(folder, "model.safetensors"))) return folder;
  mkdirSync(folder, { recursive: true });
  for (const file of [
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "generation_config.json",
    "preprocessor_config.json",
  ])
    copyFileSync(join(FIXTURE, file), join(folder, file));
  const base = JSON.parse(readFileSync(join(FIXTURE, "config.json"), "utf8")) as {
    text_config: Record<string, unknown>;
    vision_config: Record<string, unknown>;
  };
  Object.assign(base.text_config, {
    hidden_size: text.hidden,
    intermediate_size: text.intermediate,
    num_hidden_layers: layers,
    num_attention_heads: text.heads,
    num_key_value_heads: text.kvHeads,
    vocab_size: text.vocab,
    max_position_embeddings: 32768,
    layer_types: Array.from({ length: layers }, () => "full_attention"),
    rope_parameters: { rope_type: "default", rope_theta: 1e6, mrope_section: sections(text.headDim) },
  });
  Object.assign(base.vision_config, {
    depth,
    hidden_size: vision.hidden,
    intermediate_size: vision.intermediate,
    num_heads: vision.heads,
    out_hidden_size: text.hidden,
    fullatt_block_indexes: [7, 15, 23, 31].filter((index) => index < depth),
  });
  writeFileSync(join(folder, "config.json"), JSON.stringify({ ...base, dtype: "bfloat16" }, null, 2));
  writeSafetensors(join(folder, "model.safetensors"), tensors(layers, depth, seed, widths));
  return folder;
}

/** Shares of time, height and width in the rotary frequencies, as in Qwen2.5-VL: 1/4, 3/8, 3/8. */
function sections(headDim: number): [number, number, number] {
  const side = (headDim * 3) / 16;
  return [headDim / 2 - 2 * side, side, side];
}

function* tensors(
  layers: number,
  depth: number,
  seed: number,
  { text, vision: visionWidths }: Widths,
): Generator<TensorToWrite> {
  const pool = normals(seed);
  let start = 0;
  const make = (name: string, shape: number[]): TensorToWrite => {
    const count = shape.reduce((product, dim) => product * dim, 1);
    const isNorm = /norm|ln_q/.test(name);
    const scale = shape.length === 1 ? 0.1 : name.includes("embed_tokens") ? 0.02 : 1 / Math.sqrt(count / shape[0]!);
    const offset = isNorm && name.endsWith("weight") ? 1 : 0;
    const first = start;
    start = (start + count + 7919) & (POOL - 1);
    const data = (): Uint8Array => {
      const values = new Float32Array(count);
      for (let i = 0; i < count; i++) values[i] = pool[(first + i) & (POOL - 1)]! * scale + offset;
      return toBfloat16(values);
    };
    return { name, dtype: "BF16", shape, data };
  };
  const { hidden, intermediate, heads, kvHeads, headDim, vocab } = text;
  yield make("model.embed_tokens.weight", [vocab, hidden]);
  for (let i = 0; i < layers; i++) {
    const at = `model.layers.${i}`;
    for (const norm of ["input_layernorm", "post_attention_layernorm"]) yield make(`${at}.${norm}.weight`, [hidden]);
    for (const [part, width] of [
      ["q", heads],
      ["k", kvHeads],
      ["v", kvHeads],
    ] as const) {
      yield make(`${at}.self_attn.${part}_proj.weight`, [width * headDim, hidden]);
      yield make(`${at}.self_attn.${part}_proj.bias`, [width * headDim]);
    }
    yield make(`${at}.self_attn.o_proj.weight`, [hidden, heads * headDim]);
    for (const part of ["gate", "up"]) yield make(`${at}.mlp.${part}_proj.weight`, [intermediate, hidden]);
    yield make(`${at}.mlp.down_proj.weight`, [hidden, intermediate]);
  }
  yield make("model.norm.weight", [hidden]);
  const vision = visionWidths.hidden;
  yield make("visual.patch_embed.proj.weight", [vision, 3, 2, 14, 14]);
  for (let i = 0; i < depth; i++) {
    const at = `visual.blocks.${i}`;
    for (const norm of ["norm1", "norm2"]) yield make(`${at}.${norm}.weight`, [vision]);
    const layersOf: readonly [string, number, number][] = [
      ["attn.qkv", 3 * vision, vision],
      ["attn.proj", vision, vision],
      ["mlp.gate_proj", visionWidths.intermediate, vision],
      ["mlp.up_proj", visionWidths.intermediate, vision],
      ["mlp.down_proj", vision, visionWidths.intermediate],
    ];
    for (const [name, rows, columns] of layersOf) {
      yield make(`${at}.${name}.weight`, [rows, columns]);
      yield make(`${at}.${name}.bias`, [rows]);
    }
  }
  yield make("visual.merger.ln_q.weight", [vision]);
  yield make("visual.merger.mlp.0.weight", [4 * vision, 4 * vision]);
  yield make("visual.merger.mlp.0.bias", [4 * vision]);
  yield make("visual.merger.mlp.2.weight", [hidden, 4 * vision]);
  yield make("visual.merger.mlp.2.bias", [hidden]);
}

/** Standard normal numbers by Box and Muller. */
function normals(seed: number): Float32Array {
  const random = seededRandom(seed);
  const pool = new Float32Array(POOL);
  for (let i = 0; i < POOL; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(1 - random()));
    const angle = 2 * Math.PI * random();
    pool[i] = radius * Math.cos(angle);
    pool[i + 1] = radius * Math.sin(angle);
  }
  return pool;
}

if (import.meta.main) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      layers: { type: "string", default: "36" },
      depth: { type: "string", default: "32" },
      seed: { type: "string", default: "1" },
    },
  });
  const folder = positionals[0];
  if (folder === undefined)
    throw new Error("usage: node bench/random-checkpoint.ts OUT_DIR [--layers N] [--depth N] [--seed N]");
  console.log(
    randomCheckpoint(folder, { layers: Number(values.layers), depth: Number(values.depth), seed: Number(values.seed) }),
  );
}
