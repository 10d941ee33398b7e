/**
 * What the configuration classes of transformers 5.18 assume where config.json is silent, per `model_type`
 * (`models/<family>/configuration_<family>.py`; `mrope_section` from `modeling_<family>.py`). A family without an entry
 * has no defaults.
 */

/** The defaults of one family. */
export interface FamilyDefaults {
  /** Top-level fields, as config.json spells them. */
  readonly top: Readonly<Record<string, unknown>>;
  /** Fields of `text_config`, as config.json spells them. */
  readonly text: Readonly<Record<string, unknown>>;
  readonly ropeTheta: number;
  readonly mropeSection: readonly [number, number, number];
  /** The model's code fixes this, whatever `mrope_interleaved` says. */
  readonly mropeInterleaved: boolean;
  /** Whether transformers reads text fields at the top level where there is no `text_config`. */
  readonly flatLayout: boolean;
  /** Whether `text_config.tie_word_embeddings: true` ties even where the top level says nothing or false. */
  readonly tiesByText: boolean;
}

const tokens = {
  image_token_id: 151655,
  video_token_id: 151656,
  vision_start_token_id: 151652,
  vision_end_token_id: 151653,
};

const qwen2: FamilyDefaults = {
  top: tokens,
  text: {
    vocab_size: 152064,
    hidden_size: 8192,
    intermediate_size: 29568,
    num_hidden_layers: 80,
    num_attention_heads: 64,
    num_key_value_heads: 8,
    hidden_act: "silu",
    max_position_embeddings: 32768,
    rms_norm_eps: 1e-5,
  },
  ropeTheta: 1_000_000,
  mropeSection: [16, 24, 24],
  mropeInterleaved: false,
  flatLayout: true,
  tiesByText: true,
};

const qwen3: FamilyDefaults = {
  top: tokens,
  text: {
    vocab_size: 151936,
    hidden_size: 4096,
    intermediate_size: 22016,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: 32,
    head_dim: 128,
    hidden_act: "silu",
    max_position_embeddings: 128_000,
    rms_norm_eps: 1e-6,
  },
  ropeTheta: 500_000,
  mropeSection: [24, 20, 20],
  mropeInterleaved: true,
  flatLayout: false,
  tiesByText: false,
};

const families = new Map<string, FamilyDefaults>([
  ["qwen2_vl", qwen2],
  ["qwen2_5_vl", qwen2],
  ["qwen3_vl", qwen3],
]);

/** The defaults of `modelType`, or `undefined` where there are none here. */
export function familyDefaults(modelType: string): FamilyDefaults | undefined {
  return families.get(modelType);
}
