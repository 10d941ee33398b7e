/** Gradients of a whole decoder: two layers of `cachedAttention`, RMS norms and SwiGLU, against central differences. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TextConfig } from "../../../src/checkpoint/config.ts";
import { Graph, gradients, scatterAdd, serialize, type Tensor } from "../../../src/graph/index.ts";
import { floats, indices, type HostTensor } from "../../../src/host-tensor.ts";
import { buildTextDecoder } from "../../../src/models/text-decoder.ts";
import { Weights, type TensorSource } from "../../../src/nn/weights.ts";
import { seededRandom } from "../../../src/random.ts";
import { Session } from "../../../src/runtime/session.ts";
import { assertClose } from "../../support/assert-close.ts";
import { differences, functional, randomLoss, sizesOf } from "./differences.ts";

const CONFIG: TextConfig = {
  vocab: 11,
  hidden: 6,
  intermediate: 5,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 4,
  rmsEps: 1e-6,
  ropeTheta: 10000,
  mropeSection: [1, 1, 0],
  mropeInterleaved: false,
  maxPositions: 64,
  hiddenAct: "silu",
};
/** The decoder has no double kernels; its entries are sums of more terms than a single operator's. */
const TOLERANCE = { rtol: 1e-3, atol: 3e-4 };
const STEP = 2e-2;
/** What the attention mask adds where nothing may be looked at. */
const MASKED = -1e9;

/** Random weights under the checkpoint's names, with the biases of Qwen2 and the per-head norms of Qwen3. */
function randomWeights(): Map<string, { shape: number[]; data: Float32Array }> {
  const random = seededRandom(3);
  const { hidden, intermediate, heads, kvHeads, headDim } = CONFIG;
  const weights = new Map<string, { shape: number[]; data: Float32Array }>();
  const put = (name: string, ...shape: number[]): void => {
    const count = shape.reduce((a, b) => a * b, 1);
    weights.set(`model.language_model.${name}`, {
      shape,
      data: Float32Array.from({ length: count }, () => (shape.length === 1 ? 0.5 + random() : random() - 0.5)),
    });
  };
  for (let layer = 0; layer < CONFIG.layers; layer++) {
    const scope = `layers.${layer}`;
    put(`${scope}.input_layernorm.weight`, hidden);
    put(`${scope}.post_attention_layernorm.weight`, hidden);
    for (const [name, count] of Object.entries({ q: heads, k: kvHeads, v: kvHeads })) {
      put(`${scope}.self_attn.${name}_proj.weight`, count * headDim, hidden);
      put(`${scope}.self_attn.${name}_proj.bias`, count * headDim);
      if (name !== "v") put(`${scope}.self_attn.${name}_norm.weight`, headDim);
    }
    put(`${scope}.self_attn.o_proj.weight`, hidden, heads * headDim);
    for (const name of ["gate", "up"]) put(`${scope}.mlp.${name}_proj.weight`, intermediate, hidden);
    put(`${scope}.mlp.down_proj.weight`, hidden, intermediate);
  }
  put("norm.weight", hidden);
  return weights;
}

/** The decoder as `buildTextDecoder` makes it, its weights turned from initialisers into graph inputs. */
class DecoderUnderTest {
  readonly graph = new Graph("decoder");
  readonly feeds: Record<string, HostTensor> = {};
  readonly hidden: Tensor;
  readonly loss: Tensor;

  /** @param pastBias 0 for a filled slot of the cache, very negative for an empty one, two per row */
  constructor(pastBias: readonly number[]) {
    const dims = { batch: 2, seq: 3, past: pastBias.length / 2, picked: 4 };
    const { graph } = this;
    const source = randomWeights();
    const names: TensorSource = {
      has: (name) => source.has(name),
      shape: (name) => source.get(name)!.shape,
      read: (name) => source.get(name)!.data,
    };
    buildTextDecoder(
      graph,
      Weights.of(graph, names, () => "float32"),
      CONFIG,
      0,
    );
    this.hidden = graph.outputs.at(-1)!;
    graph.outputs.length = 0;
    this.loss = randomLoss(graph, [this.hidden]).loss;
    for (const { tensor } of [...graph.initializers.values()].filter(({ values }) => values === undefined)) {
      graph.initializers.delete(tensor.name);
      graph.inputs.push(tensor);
      const { data, shape } = source.get(tensor.name)!;
      this.feeds[tensor.name] = floats(data, shape);
    }
    const random = seededRandom(4);
    for (const { name, shape } of graph.inputs) {
      if (this.feeds[name] !== undefined) continue;
      const sizes = sizesOf(shape, dims);
      const data = Float32Array.from({ length: sizes.reduce((a, b) => a * b, 1) }, () => 2 * random() - 1);
      this.feeds[name] = floats(data, sizes);
    }
    const { seq } = dims;
    const causal = Float32Array.from({ length: seq * seq }, (_, i) => (i % seq > Math.floor(i / seq) ? MASKED : 0));
    this.feeds["new_bias"] = floats(causal, [seq, seq]);
    this.feeds["past_bias"] = floats(Float32Array.from(pastBias), [2, 1, 1, 1, dims.past]);
    this.feeds["picked"] = indices([5, 1, 2, 1]);
  }
}

async function checkDecoder(pastBias: readonly number[]): Promise<void> {
  const { graph, feeds, hidden, loss } = new DecoderUnderTest(pastBias);
  const wrt = graph.inputs.filter(
    ({ name, dtype }) => dtype === "float32" && !name.endsWith("_bias") && !name.startsWith("coefficients"),
  );
  assert.equal(wrt.length, 7 + 2 * 14 + 1, "embeds, angles, cache; weights of each layer; the last norm");
  gradients(loss, wrt).forEach((gradient, i) => graph.output(`gradient.${wrt[i]!.name}`, gradient));
  graph.output("result", hidden);
  await using session = await Session.open(serialize(graph), "decoder", { threads: 1 });
  const actual = await session.run(
    feeds,
    wrt.map(({ name }) => `gradient.${name}`),
  );
  for (const { name } of wrt) {
    const data = feeds[name]!.data as Float32Array;
    const expected = await differences(data, STEP, async () => {
      const { result } = await session.run(feeds, ["result"]);
      return functional([result], [feeds["coefficients.0"]!]);
    });
    const gradient = actual[`gradient.${name}`]!.data as Float32Array;
    const isMasked = name.startsWith("past_") && !pastBias.includes(0);
    assert.equal(
      gradient.some((value) => Math.abs(value) > 10 * TOLERANCE.atol),
      !isMasked,
      `dL/d${name} stands out from rounding`,
    );
    assertClose(gradient, expected, TOLERANCE, `dL/d${name}`);
  }
}

test("a two-layer decoder's gradients match central differences in its inputs, cache and every weight", async () => {
  await checkDecoder([0, 0, 0, MASKED]);
});

test("a two-layer decoder's gradients match central differences with one masked slot for a cache", async () => {
  await checkDecoder([MASKED, MASKED]);
});

// https://github.com/microsoft/onnxruntime/issues/18048: ScatterND loses additions to one row on several threads.
test("scatterAdd loses no update of a row that is named often, on two threads", async () => {
  const [count, width] = [400_000, 8];
  const graph = new Graph("scatter");
  const x = graph.input("x", "float32", [1, width]);
  const at = graph.input("at", "int64", [count]);
  const updates = graph.input("updates", "float32", [count, width]);
  graph.output("y", scatterAdd(x, at, updates));
  await using session = await Session.open(serialize(graph), "scatter", { threads: 2 });
  const feeds = {
    x: floats(new Float32Array(width), [1, width]),
    at: { data: new BigInt64Array(count), shape: [count] },
    updates: floats(new Float32Array(count * width).fill(1), [count, width]),
  };
  const { y } = await session.run(feeds, ["y"]);
  assert.deepEqual(y.data, new Float32Array(width).fill(count));
});
