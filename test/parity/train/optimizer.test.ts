/** AdamW, clipping and the average against their formulas in double precision. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../../src/random.ts";
import { clipScale, Optimizer } from "../../../src/train/optimizer.ts";
import { TrainedWeights } from "../../../src/train/parameters.ts";
import { assertClose } from "../../support/assert-close.ts";

const ADAMW = { beta1: 0.8, beta2: 0.95, eps: 1e-6, weightDecay: 0.1 };
const EMA = 0.9;

function trainedWeights(): TrainedWeights {
  // More than one chunk of elements, and both kinds of stretch.
  const trained = new TrainedWeights([
    { name: "bias", shape: [7], decays: false },
    { name: "matrix", shape: [300, 301], decays: true },
  ]);
  const random = seededRandom(2);
  trained.weights.forEach((_, i) => (trained.weights[i] = 2 * random() - 1));
  return trained;
}

test("updates are AdamW's, decay falls on matrices alone, and the average follows", async () => {
  const trained = trainedWeights();
  await using optimizer = await Optimizer.open(trained, ADAMW, EMA, { threads: 2 });
  const size = trained.size;
  const [p, m, v, ema] = [
    Float64Array.from(trained.weights),
    new Float64Array(size),
    new Float64Array(size),
    Float64Array.from(trained.weights),
  ];
  const decayed = trained.part(trained.weights, "matrix").length;
  const random = seededRandom(3);
  for (let step = 1; step <= 4; step++) {
    const gradients = Float32Array.from({ length: size }, () => 4 * random() - 2);
    const [rate, scale] = [0.01 * step, 0.5];
    await optimizer.update(gradients, rate, scale);
    for (let i = 0; i < size; i++) {
      const g = gradients[i]! * scale;
      m[i] = ADAMW.beta1 * m[i]! + (1 - ADAMW.beta1) * g;
      v[i] = ADAMW.beta2 * v[i]! + (1 - ADAMW.beta2) * g * g;
      // Those that decay stand first.
      p[i] = p[i]! * (i < decayed ? 1 - rate * ADAMW.weightDecay : 1);
      const root = Math.sqrt(v[i]! / (1 - ADAMW.beta2 ** step)) + ADAMW.eps;
      p[i] = p[i]! - (rate * m[i]!) / (1 - ADAMW.beta1 ** step) / root;
      const decay = Math.min(EMA, step / (step + 9));
      ema[i] = decay * ema[i]! + (1 - decay) * p[i]!;
    }
  }
  const near = { rtol: 1e-5, atol: 1e-6 };
  assertClose(trained.weights, p, near, "weights");
  assertClose(optimizer.state.m, m, near, "m");
  assertClose(optimizer.state.v, v, near, "v");
  assertClose(optimizer.state.ema!, ema, near, "average");
  assert.equal(optimizer.state.step, 4);
});

test("a norm is summed in double, over every stretch", async () => {
  const trained = trainedWeights();
  await using optimizer = await Optimizer.open(trained, ADAMW, undefined, { threads: 2 });
  const flat = Float32Array.from({ length: trained.size }, (_, i) => (i % 3) - 1 + 1e-3);
  let square = 0;
  for (const value of flat) square += value * value;
  assertClose([await optimizer.norm(flat)], [Math.sqrt(square)], { rtol: 1e-7, atol: 0 });
  flat[trained.size - 1] = Number.NaN;
  assert.ok(Number.isNaN(await optimizer.norm(flat)));
});

test("accumulation adds up", async () => {
  const trained = trainedWeights();
  await using optimizer = await Optimizer.open(trained, ADAMW, undefined, { threads: 2 });
  const [total, addend] = [trained.zeros().fill(1), trained.zeros().fill(0.25)];
  await optimizer.accumulate(total, addend);
  assert.ok(total.every((value) => value === 1.25));
});

test("clipping brings a long gradient to the norm asked for and leaves a short one", () => {
  assert.equal(clipScale(10, undefined), 1);
  assert.equal(clipScale(0.5, 1), 1);
  assertClose([clipScale(10, 2)], [0.2], { rtol: 1e-6, atol: 0 });
});
