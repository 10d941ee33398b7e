/**
 * Reads `config.json` in the layouts found on the hub into one shape: nested `text_config` with `rope_parameters`
 * (transformers 5) or with `rope_scaling`, and all text fields at the top (transformers 4 for Qwen2-VL, Qwen2.5-VL).
 * The vision part stays as it is written; each model types its own.
 */
import { join } from "node:path";
import * as z from "zod";
import { CheckpointError } from "../errors.ts";
import { parseJson, readBoundedFile } from "../json.ts";
import { type FamilyDefaults, familyDefaults } from "./config-defaults.ts";
import { quoted } from "./quoted.ts";

/** Name of a model's configuration file. */
export const CONFIG_FILE = "config.json";

/** Largest config.json accepted, in bytes; real ones have a few KB. */
const MAX_CONFIG_BYTES = 1024 * 1024;

/** The language model's sizes and constants. */
export interface TextConfig {
  /** Rows of the embedding table. */
  readonly vocab: number;
  readonly hidden: number;
  /** Inner size of the mlp. */
  readonly intermediate: number;
  readonly layers: number;
  readonly heads: number;
  /** Key-value heads; `heads` is a multiple of it. */
  readonly kvHeads: number;
  readonly headDim: number;
  readonly rmsEps: number;
  readonly ropeTheta: number;
  /** Rotation frequencies that follow time, height and width; they add up to `headDim / 2`. */
  readonly mropeSection: readonly [time: number, height: number, width: number];
  /** Whether the three kinds of frequency alternate (Qwen3-VL) or come in blocks. */
  readonly mropeInterleaved: boolean;
  /** Longest sequence the model was made for, in tokens. */
  readonly maxPositions: number;
  readonly hiddenAct: "silu";
}

/** A multimodal model's configuration. */
export interface ModelConfig {
  /** Hugging Face `model_type`, e.g. `"qwen2_5_vl"`. */
  readonly modelType: string;
  readonly text: TextConfig;
  /** `vision_config` verbatim; empty where there is none. */
  readonly vision: Readonly<Record<string, unknown>>;
  readonly imageTokenId: number;
  readonly videoTokenId?: number;
  readonly visionStartTokenId: number;
  readonly visionEndTokenId?: number;
  readonly tieWordEmbeddings: boolean;
  /** dtype the model was saved in, e.g. `"bfloat16"`, where the file says so. */
  readonly dtype?: string;
}

// Caps are some ten times the largest open model's, so that a hostile file cannot ask for absurd graphs.
const size = (max: number): z.ZodInt => z.int().min(1).max(max);
const tokenId = z.int().min(0).max(10_000_000);

const rope = z.looseObject({
  rope_type: z.string().optional(),
  type: z.string().optional(),
  rope_theta: z.number().positive().max(1e12).optional(),
  mrope_section: z.tuple([size(4096), size(4096), size(4096)]).optional(),
  mrope_interleaved: z.boolean().optional(),
  partial_rotary_factor: z.literal(1).nullish(),
});

const textSchema = z.object({
  vocab_size: size(10_000_000),
  hidden_size: size(131_072),
  intermediate_size: size(1_048_576),
  num_hidden_layers: size(1024),
  num_attention_heads: size(1024),
  num_key_value_heads: size(1024).nullable(),
  head_dim: size(8192).nullish(),
  hidden_act: z.literal("silu"),
  max_position_embeddings: size(100_000_000),
  rms_norm_eps: z.number().positive().max(0.1),
  rope_theta: z.number().positive().max(1e12).optional(),
  rope_parameters: rope.nullish(),
  rope_scaling: rope.nullish(),
  use_sliding_window: z.literal(false, "sliding-window attention is not supported").nullish(),
  layer_types: z.array(z.literal("full_attention", "only full_attention is supported")).nullish(),
  attention_bias: z.literal(false, "attention biases set by attention_bias are not supported").nullish(),
  dtype: z.string().nullish(),
  torch_dtype: z.string().nullish(),
});

const topSchema = z.looseObject({
  model_type: z.string(),
  text_config: z.record(z.string(), z.unknown()).nullish(),
  vision_config: z.record(z.string(), z.unknown()).nullish(),
  image_token_id: tokenId,
  video_token_id: tokenId.nullish(),
  vision_start_token_id: tokenId,
  vision_end_token_id: tokenId.nullish(),
  tie_word_embeddings: z.boolean().nullish(),
});

/**
 * Reads and checks the configuration in `folder`. Absent fields take the defaults of the family's configuration class
 * in transformers; a `model_type` unknown here has none, and must write out every field.
 * @throws {CheckpointError} naming the field, what it holds and what was expected
 */
export function readModelConfig(folder: string): ModelConfig {
  const path = join(folder, CONFIG_FILE);
  const raw = check(path, "", z.looseObject({ model_type: z.string().max(100) }), readConfig(folder));
  const defaults = familyDefaults(raw.model_type);
  const top = check(path, "", topSchema, { ...defaults?.top, ...raw });
  const isFlat = top.text_config === undefined || top.text_config === null;
  if (isFlat && defaults && !defaults.flatLayout) {
    throw new CheckpointError(`${path}: no text_config, which ${top.model_type} always has. Download the model again.`);
  }
  const writtenText = top.text_config ?? raw;
  const where = isFlat ? "" : "text_config.";
  const text = check(path, where, textSchema, { ...defaults?.text, ...writtenText });
  const checkedText = toTextConfig(path, text, defaults);
  const tokens = {
    imageTokenId: top.image_token_id,
    visionStartTokenId: top.vision_start_token_id,
    ...optional("videoTokenId", top.video_token_id),
    ...optional("visionEndTokenId", top.vision_end_token_id),
  };
  for (const [name, id] of Object.entries(tokens)) {
    if (id >= checkedText.vocab) {
      throw new CheckpointError(`${path}: ${name} is ${id}, but vocab_size is ${checkedText.vocab}.`);
    }
  }
  const dtype = [raw["dtype"], raw["torch_dtype"], text.dtype, text.torch_dtype].find((it) => typeof it === "string");
  return {
    modelType: top.model_type,
    text: checkedText,
    vision: top.vision_config ?? {},
    ...tokens,
    tieWordEmbeddings:
      top.tie_word_embeddings === true ||
      (defaults?.tiesByText === true && writtenText["tie_word_embeddings"] === true),
    ...optional("dtype", dtype),
  };
}

/**
 * The content of config.json, size checked.
 * @throws {CheckpointError} missing or too large
 */
export function configBytes(folder: string): Uint8Array {
  const path = join(folder, CONFIG_FILE);
  const bytes = readBoundedFile(path, MAX_CONFIG_BYTES);
  if (bytes) return bytes;
  throw new CheckpointError(`${path}: no such file. Give a model folder, or download it with \`rge pull\`.`);
}

/**
 * config.json as parsed, for fields that `ModelConfig` does not carry.
 * @throws {CheckpointError} missing, too large, nested too deep or not JSON
 */
export function readConfig(folder: string): unknown {
  return parseJson(configBytes(folder), { where: join(folder, CONFIG_FILE) });
}

function toTextConfig(
  path: string,
  text: z.infer<typeof textSchema>,
  defaults: FamilyDefaults | undefined,
): TextConfig {
  const { hidden_size: hidden, num_attention_heads: heads } = text;
  const kvHeads = text.num_key_value_heads ?? heads;
  const headDim = text.head_dim ?? hidden / heads;
  // transformers reads `rope_scaling` before `rope_parameters`, and the theta in it before the one beside it.
  const { rope_type: ropeType, type, ...ropeFields } = text.rope_scaling ?? text.rope_parameters ?? {};
  const kind = ropeType ?? type ?? "default";
  const ropeTheta = ropeFields.rope_theta ?? text.rope_theta ?? defaults?.ropeTheta;
  const mropeSection = ropeFields.mrope_section ?? defaults?.mropeSection;
  const refuse = (problem: string): never => {
    throw new CheckpointError(`${path}: ${problem}`);
  };
  if (kind !== "default" && kind !== "mrope") {
    return refuse(
      `rope type ${quoted(kind)} is not supported, only "default" and "mrope" are. Use the model without it.`,
    );
  }
  if (ropeTheta === undefined || mropeSection === undefined) {
    return refuse(`no rope_theta or mrope_section, and model_type has no defaults here. Write them out.`);
  }
  if (!Number.isInteger(headDim))
    return refuse(`hidden_size ${hidden} is no multiple of num_attention_heads ${heads}.`);
  if (heads % kvHeads !== 0) {
    return refuse(`num_attention_heads ${heads} is no multiple of num_key_value_heads ${kvHeads}.`);
  }
  const frequencies = mropeSection[0] + mropeSection[1] + mropeSection[2];
  if (frequencies * 2 !== headDim) {
    return refuse(
      `mrope_section ${quoted(mropeSection)} adds up to ${frequencies}, expected half of head_dim ${headDim}.`,
    );
  }
  return {
    vocab: text.vocab_size,
    hidden,
    intermediate: text.intermediate_size,
    layers: text.num_hidden_layers,
    heads,
    kvHeads,
    headDim,
    rmsEps: text.rms_norm_eps,
    ropeTheta,
    mropeSection,
    mropeInterleaved: defaults?.mropeInterleaved ?? ropeFields.mrope_interleaved ?? false,
    maxPositions: text.max_position_embeddings,
    hiddenAct: text.hidden_act,
  };
}

function check<T>(path: string, where: string, schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => {
    const found = issue.path.reduce<unknown>(
      (at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key],
      value,
    );
    return `${where}${issue.path.join(".")} is ${quoted(found)}: ${issue.message}`;
  });
  throw new CheckpointError(`${path}: ${problems.slice(0, 5).join("; ")}`);
}

function optional<K extends string, T>(key: K, value: T | null | undefined): { [key in K]?: T } {
  return value === null || value === undefined ? {} : ({ [key]: value } as { [key in K]: T });
}
