import { multiplyDims } from "../shape.ts";
import type { TextConfig } from "../checkpoint/config.ts";
import {
  add,
  gather,
  mul,
  quickGelu,
  reshape,
  rmsNorm,
  rotaryEmbedding,
  scalar,
  type Graph,
  type Tensor,
} from "../graph/index.ts";
import { cachedAttention, packedAttention, type PackedLayout, type Past } from "../nn/attention.ts";
import type { Weights } from "../nn/weights.ts";

/** Graph inputs of one decoder run; see `decoderInputs` for their shapes. */
interface DecoderInputs extends Angles {
  readonly embeds: Tensor;
  readonly newBias: Tensor;
  readonly picked: Tensor;
  readonly pasts: readonly Past[];
  readonly deepstack: readonly Tensor[];
}

/** By how much queries and keys turn, `[rows, headDim/2]`. */
interface Angles {
  readonly cos: Tensor;
  readonly sin: Tensor;
}

/**
 * The decoder that all three families share: grouped-query attention with multimodal RoPE, SwiGLU, RMS norms; biases
 * and per-head q/k norms where the checkpoint has them. One graph serves prefill (a past of one masked slot) and decoding.
 * Past the attention of the last layer only the rows picked are gone on with.
 *
 * Inputs: `embeds [batch, seq, hidden]`, `cos`, `sin` `[batch*seq, headDim/2]`, `new_bias [seq, seq]`,
 * `past_bias [batch, 1, 1, 1, past]`, `past_key.i`, `past_value.i` `[batch, kvHeads, past, headDim]`,
 * `picked [picked]` int64 rows of the flattened tokens, `deepstack.i [batch, seq, hidden]`.
 * Outputs: `hidden [picked, hidden]` after the final norm; `key.i`, `value.i` `[batch, kvHeads, seq, headDim]`.
 */
export function buildTextDecoder(graph: Graph, weights: Weights, config: TextConfig, deepstackCount: number): void {
  const { hidden } = config;
  const inputs = decoderInputs(graph, config, deepstackCount);
  const rows = multiplyDims("batch", "seq");
  const scope = weights.scope("model.language_model");
  let x = reshape(inputs.embeds, [rows, hidden]);
  for (let layer = 0; layer < config.layers; layer++) {
    const attend: Attend = (q, k, v) => {
      const { output, key, value } = cachedAttention(q, k, v, inputs.pasts[layer]!, inputs.newBias, config);
      graph.output(`key.${layer}`, key);
      graph.output(`value.${layer}`, value);
      return output;
    };
    const wanted = layer === config.layers - 1 ? inputs.picked : undefined;
    x = decoderLayer(x, scope.scope(`layers.${layer}`), inputs, inputs, attend, config, wanted);
    const features = inputs.deepstack[layer];
    if (features === undefined) continue;
    const flat = reshape(features, [rows, hidden]);
    x = add(x, wanted === undefined ? flat : gather(flat, wanted));
  }
  graph.output("hidden", finalNorm(x, weights, config));
}

/** What the decoder reads at once in training: rows of many sequences, packed one after another. */
export interface PackedRows extends Angles {
  /** `[rows, hidden]` */
  readonly embeds: Tensor;
  readonly layout: PackedLayout;
  /** one `[rows, hidden]` per early layer that adds it */
  readonly deepstack: readonly Tensor[];
}

/**
 * The same decoder over packed rows, without a cache and in operators that can be differentiated. Past the attention of
 * the last layer only the rows wanted are gone on with: most rows are there to be attended to.
 * @param picked int64 `[picked]`, the rows wanted; one may be named several times
 * @returns their states after the final norm, `[picked, hidden]`
 */
export function packedTextDecoder(rows: PackedRows, picked: Tensor, weights: Weights, config: TextConfig): Tensor {
  const { cos, sin, layout } = rows;
  const scope = weights.scope("model.language_model");
  // Queries are scaled by turning them with scaled angles: no pass over them is needed.
  const scale = scalar(cos, config.headDim ** -0.5);
  const queryAngles = { cos: mul(cos, scale), sin: mul(sin, scale) };
  const attend: Attend = (q, k, v) => packedAttention(q, k, v, layout, config);
  let x = rows.embeds;
  for (let layer = 0; layer < config.layers; layer++) {
    const wanted = layer === config.layers - 1 ? picked : undefined;
    const before = x;
    x = cos.graph.block(() =>
      decoderLayer(before, scope.scope(`layers.${layer}`), queryAngles, rows, attend, config, wanted),
    );
    const features = rows.deepstack[layer];
    if (features !== undefined) x = add(x, wanted === undefined ? features : gather(features, wanted));
  }
  return finalNorm(x, weights, config);
}

/** The norm after the last layer, `[rows, hidden]` in and out. */
function finalNorm(x: Tensor, weights: Weights, { rmsEps }: TextConfig): Tensor {
  return rmsNorm(x, weights.scope("model.language_model").get("norm.weight"), rmsEps);
}

/** The output layer as a graph of its own, shared by every decoder graph: `hidden [picked, hidden]` -> `logits [picked, vocab]`. */
export function buildHead(graph: Graph, weights: Weights, config: TextConfig, tied: boolean): void {
  const hidden = graph.input("hidden", "float32", ["picked", config.hidden]);
  graph.output("logits", weights.scope(headLayer(tied)).linear(hidden));
}

/** The layer that scores tokens; tied, the rows that embed tokens also score them. */
export function headLayer(tied: boolean): string {
  return tied ? EMBEDDING_LAYER : "lm_head";
}

/** The layer whose rows are the tokens' embeddings. */
export const EMBEDDING_LAYER = "model.language_model.embed_tokens";

function decoderInputs(graph: Graph, config: TextConfig, deepstackCount: number): DecoderInputs {
  const { hidden, kvHeads, headDim, layers } = config;
  const rows = multiplyDims("batch", "seq");
  const embeds = graph.input("embeds", "float32", ["batch", "seq", hidden]);
  const cos = graph.input("cos", "float32", [rows, headDim / 2]);
  const sin = graph.input("sin", "float32", [rows, headDim / 2]);
  const newBias = graph.input("new_bias", "float32", ["seq", "seq"]);
  const bias = graph.input("past_bias", "float32", ["batch", 1, 1, 1, "past"]);
  const picked = graph.input("picked", "int64", ["picked"]);
  const pasts = Array.from({ length: layers }, (_, layer) => ({
    key: graph.input(`past_key.${layer}`, "float32", ["batch", kvHeads, "past", headDim]),
    value: graph.input(`past_value.${layer}`, "float32", ["batch", kvHeads, "past", headDim]),
    bias,
  }));
  const deepstack = Array.from({ length: deepstackCount }, (_, layer) =>
    graph.input(`deepstack.${layer}`, "float32", ["batch", "seq", hidden]),
  );
  return { embeds, cos, sin, newBias, picked, pasts, deepstack };
}

/** Attention of one layer: q `[rows, heads * headDim]`, k and v `[rows, kvHeads * headDim]` to the shape of q. */
type Attend = (q: Tensor, k: Tensor, v: Tensor) => Tensor;

/**
 * One pre-norm block, `[rows, hidden]` in and out; scopes are the checkpoint's own names.
 * @param wanted rows that are gone on with after attention; @default all
 */
function decoderLayer(
  x: Tensor,
  weights: Weights,
  queryAngles: Angles,
  keyAngles: Angles,
  attend: Attend,
  config: TextConfig,
  wanted?: Tensor,
): Tensor {
  const { heads, kvHeads, rmsEps } = config;
  const normed = rmsNorm(x, weights.get("input_layernorm.weight"), rmsEps);
  const attention = weights.scope("self_attn");
  const q = rotated(attention, "q", normed, queryAngles, heads, config);
  const k = rotated(attention, "k", normed, keyAngles, kvHeads, config);
  const v = attention.scope("v_proj").linear(normed);
  const attended = attend(q, k, v);
  const [rest, mixed] = wanted === undefined ? [x, attended] : [gather(x, wanted), gather(attended, wanted)];
  const after = add(rest, attention.scope("o_proj").linear(mixed));
  const mlpIn = rmsNorm(after, weights.get("post_attention_layernorm.weight"), rmsEps);
  return add(after, swiglu(mlpIn, weights.scope("mlp")));
}

/** Projects to queries or keys, normalises each head where the family does (Qwen3), and turns them by their positions. */
function rotated(
  weights: Weights,
  name: "q" | "k",
  x: Tensor,
  { cos, sin }: Angles,
  heads: number,
  { headDim, rmsEps }: TextConfig,
): Tensor {
  const projected = weights.scope(`${name}_proj`).linear(x);
  const rows = projected.shape[0]!;
  const norm = `${name}_norm.weight`;
  const normed = weights.has(norm)
    ? rmsNorm(reshape(projected, [1, rows, heads, headDim]), weights.get(norm), rmsEps)
    : projected;
  const turned = rotaryEmbedding(reshape(normed, [1, rows, heads * headDim]), cos, sin, heads);
  return reshape(turned, [rows, heads * headDim]);
}

/** `down(silu(gate x) * up x)`. Shazeer 2020, arXiv:2002.05202. */
export function swiglu(x: Tensor, weights: Weights): Tensor {
  const gate = quickGelu(weights.scope("gate_proj").linear(x), 1);
  return weights.scope("down_proj").linear(mul(gate, weights.scope("up_proj").linear(x)));
}
