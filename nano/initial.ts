/** A Qwen2.5-VL-architecture checkpoint of nano's sizes with random weights: what training starts from. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeSafetensors, type TensorToWrite } from "../src/checkpoint/safetensors-write.ts";
import { seededRandom, type Random } from "../src/random.ts";
import type { TrainedTokenizer } from "./tokenizer.ts";

const TEXT = { hidden: 192, intermediate: 512, layers: 4, heads: 6, kvHeads: 2, headDim: 32 };
const VISION = { hidden: 128, intermediate: 352, depth: 4, heads: 4, patch: 14, merge: 2 };
/** Half of `headDim` is split over time, height and width. */
const ROPE = { theta: 10_000, sections: [4, 6, 6] };
const CONTEXT = 2048;
/** Pictures are light; centred on their background, inputs are about 0 where there is nothing. */
const IMAGE_MEAN = [0.86, 0.86, 0.86];
const IMAGE_STD = [0.25, 0.25, 0.25];
/** A crop of one token, and a scene of nine. */
const PIXELS = { least: 28 * 28, most: 84 * 84 };
/** Of a layer's weights, as a share of 1 / sqrt(inputs); about PyTorch's default. */
const SPREAD = 0.6;
const EMBEDDING_SPREAD = 0.06;

const CHAT_TEMPLATE = `{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system
You are a helpful assistant.<|im_end|>
{% endif %}<|im_start|>{{ message['role'] }}
{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`;

/** Texts of the template that every prompt has. */
export const TEMPLATE_TEXTS: readonly string[] = [
  "system\nYou are a helpful assistant.",
  "\n",
  "user\n",
  "assistant\n",
];

/** Writes the folder. */
export function writeInitial(folder: string, tokenizer: TrainedTokenizer, seed: number): void {
  mkdirSync(folder, { recursive: true });
  const write = (name: string, json: object): void =>
    writeFileSync(join(folder, name), `${JSON.stringify(json, null, 2)}\n`);
  const { idOf, vocab } = tokenizer;
  write("tokenizer.json", tokenizer.json);
  write("tokenizer_config.json", {
    tokenizer_class: "Qwen2Tokenizer",
    eos_token: "<|im_end|>",
    pad_token: "<|endoftext|>",
    model_max_length: CONTEXT,
  });
  writeFileSync(join(folder, "chat_template.jinja"), CHAT_TEMPLATE);
  write("generation_config.json", {
    do_sample: false,
    repetition_penalty: 1,
    pad_token_id: idOf("<|endoftext|>"),
    eos_token_id: [idOf("<|im_end|>"), idOf("<|endoftext|>")],
  });
  write("preprocessor_config.json", {
    image_processor_type: "Qwen2VLImageProcessor",
    do_convert_rgb: true,
    do_resize: true,
    do_rescale: true,
    do_normalize: true,
    rescale_factor: 1 / 255,
    resample: 3,
    image_mean: IMAGE_MEAN,
    image_std: IMAGE_STD,
    patch_size: VISION.patch,
    temporal_patch_size: 2,
    merge_size: VISION.merge,
    size: { shortest_edge: PIXELS.least, longest_edge: PIXELS.most },
  });
  write("config.json", {
    architectures: ["Qwen2_5_VLForConditionalGeneration"],
    model_type: "qwen2_5_vl",
    dtype: "float32",
    tie_word_embeddings: true,
    image_token_id: idOf("<|image_pad|>"),
    video_token_id: idOf("<|video_pad|>"),
    vision_start_token_id: idOf("<|vision_start|>"),
    vision_end_token_id: idOf("<|vision_end|>"),
    text_config: {
      model_type: "qwen2_5_vl_text",
      vocab_size: vocab,
      hidden_size: TEXT.hidden,
      intermediate_size: TEXT.intermediate,
      num_hidden_layers: TEXT.layers,
      num_attention_heads: TEXT.heads,
      num_key_value_heads: TEXT.kvHeads,
      hidden_act: "silu",
      max_position_embeddings: CONTEXT,
      rms_norm_eps: 1e-6,
      rope_parameters: { rope_type: "default", rope_theta: ROPE.theta, mrope_section: ROPE.sections },
      layer_types: Array.from({ length: TEXT.layers }, () => "full_attention"),
      use_sliding_window: false,
      sliding_window: null,
      bos_token_id: idOf("<|endoftext|>"),
      eos_token_id: idOf("<|im_end|>"),
      pad_token_id: idOf("<|endoftext|>"),
    },
    vision_config: {
      model_type: "qwen2_5_vl_vision",
      depth: VISION.depth,
      hidden_size: VISION.hidden,
      intermediate_size: VISION.intermediate,
      num_heads: VISION.heads,
      out_hidden_size: TEXT.hidden,
      in_channels: 3,
      patch_size: VISION.patch,
      spatial_merge_size: VISION.merge,
      temporal_patch_size: 2,
      tokens_per_second: 2,
      window_size: 112,
      fullatt_block_indexes: Array.from({ length: VISION.depth }, (_, i) => i),
      hidden_act: "silu",
      rope_parameters: { rope_type: "axial", rope_theta: 10000 },
    },
  });
  writeSafetensors(join(folder, "model.safetensors"), tensors(vocab, seededRandom(seed)));
}

/** Weights as they are told in Hugging Face files; matrices `[outputs, inputs]`. */
function* tensors(vocab: number, random: Random): Generator<TensorToWrite> {
  const normal = (spread: number) => (): number =>
    spread * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const ones = (name: string, size: number): TensorToWrite => fill(`${name}.weight`, [size], () => 1);
  const matrix = (name: string, outputs: number, inputs: number, share = 1): TensorToWrite =>
    fill(`${name}.weight`, [outputs, inputs], normal((share * SPREAD) / Math.sqrt(inputs)));
  const bias = (name: string, size: number): TensorToWrite => fill(`${name}.bias`, [size], () => 0);
  const { hidden, heads, kvHeads, headDim } = TEXT;
  yield fill("model.embed_tokens.weight", [vocab, hidden], normal(EMBEDDING_SPREAD));
  // What is added to the residual stream is scaled down with depth, as in GPT-2.
  const textShare = 1 / Math.sqrt(2 * TEXT.layers);
  for (let i = 0; i < TEXT.layers; i++) {
    const at = `model.layers.${i}`;
    yield ones(`${at}.input_layernorm`, hidden);
    yield ones(`${at}.post_attention_layernorm`, hidden);
    const widths: readonly [string, number][] = [
      ["q_proj", heads * headDim],
      ["k_proj", kvHeads * headDim],
      ["v_proj", kvHeads * headDim],
    ];
    for (const [name, width] of widths) {
      yield matrix(`${at}.self_attn.${name}`, width, hidden);
      yield bias(`${at}.self_attn.${name}`, width);
    }
    yield matrix(`${at}.self_attn.o_proj`, hidden, heads * headDim, textShare);
    yield matrix(`${at}.mlp.gate_proj`, TEXT.intermediate, hidden);
    yield matrix(`${at}.mlp.up_proj`, TEXT.intermediate, hidden);
    yield matrix(`${at}.mlp.down_proj`, hidden, TEXT.intermediate, textShare);
  }
  yield ones("model.norm", hidden);
  const { hidden: vision, intermediate, depth, patch, merge } = VISION;
  const pixels = 3 * 2 * patch * patch;
  yield fill("visual.patch_embed.proj.weight", [vision, 3, 2, patch, patch], normal(SPREAD / Math.sqrt(pixels)));
  const visionShare = 1 / Math.sqrt(2 * depth);
  for (let i = 0; i < depth; i++) {
    const at = `visual.blocks.${i}`;
    yield ones(`${at}.norm1`, vision);
    yield ones(`${at}.norm2`, vision);
    const layers: readonly [string, number, number, number][] = [
      ["attn.qkv", 3 * vision, vision, 1],
      ["attn.proj", vision, vision, visionShare],
      ["mlp.gate_proj", intermediate, vision, 1],
      ["mlp.up_proj", intermediate, vision, 1],
      ["mlp.down_proj", vision, intermediate, visionShare],
    ];
    for (const [name, outputs, inputs, share] of layers) {
      yield matrix(`${at}.${name}`, outputs, inputs, share);
      yield bias(`${at}.${name}`, outputs);
    }
  }
  const mergedWidth = merge * merge * vision;
  yield ones("visual.merger.ln_q", vision);
  yield matrix("visual.merger.mlp.0", mergedWidth, mergedWidth);
  yield bias("visual.merger.mlp.0", mergedWidth);
  yield matrix("visual.merger.mlp.2", hidden, mergedWidth);
  yield bias("visual.merger.mlp.2", hidden);
}

function fill(name: string, shape: number[], value: () => number): TensorToWrite {
  const data = (): Uint8Array => {
    const values = Float32Array.from({ length: shape.reduce((product, dim) => product * dim, 1) }, value);
    return new Uint8Array(values.buffer);
  };
  return { name, dtype: "F32", shape, data };
}
