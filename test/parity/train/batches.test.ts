/** Ways of computing a batch that must not change what it comes to, and ways that must. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { branchesOf } from "../../../src/train/branches.ts";
import type { StepBatch } from "../../../src/train/step.ts";
import { assertClose } from "../../support/assert-close.ts";
import { TrainingBench } from "../../support/training.ts";

const ROUNDING = { rtol: 1e-4, atol: 2e-6 };

/** The gradients of all weights after one backward pass. */
async function gradientsOf(
  bench: TrainingBench,
  batch: StepBatch,
  chunk = 16,
  dropout?: { share: number; seed: number },
) {
  const [losses] = await bench.runner.backward([batch], chunk, bench.optimizer, dropout);
  return { losses: losses!, gradients: bench.runner.gradients.slice() };
}

function assertSame(actual: Float32Array, expected: Float32Array): void {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  assertClose(actual, expected, { rtol: 0, atol: 1e-5 * largest }, "gradients");
}

test("a rationale that is the oracle's word for word costs no branch of its own and changes nothing", async () => {
  await using bench = await TrainingBench.open();
  const { pairs, branches } = await bench.batch();
  const oracle = branches.map(({ lm }) => ({ lm, contrast: lm }));
  const shared = pairs.map((pair) =>
    branchesOf(pair, { ids: pair.oracleIds!, ended: true }, { mode: "rge", arWeight: 1, embWeight: 1 }),
  );
  assert.deepEqual(
    shared.map(({ contrast }) => contrast),
    ["lm", "lm", "lm", "lm"],
  );
  const [apart, together] = [
    await gradientsOf(bench, { pairs, branches: oracle }),
    await gradientsOf(bench, { pairs, branches: shared }),
  ];
  assert.ok(together.losses.rows < apart.losses.rows);
  assertClose([together.losses.contrastive!], [apart.losses.contrastive!], ROUNDING);
  assertSame(together.gradients, apart.gradients);
});

test("a target or picture that stands in a batch twice is computed once, and both get its gradient", async () => {
  await using bench = await TrainingBench.open();
  const { pairs, branches } = await bench.batch();
  const twice = { pairs: [...pairs, pairs[0]!], branches: [...branches, branches[0]!] };
  const renamed = { ...pairs[0]!, target: { ...pairs[0]!.target!, key: "told apart by its name" } };
  const shared = await gradientsOf(bench, twice);
  const apart = await gradientsOf(bench, { ...twice, pairs: [...pairs, renamed] });
  assert.ok(shared.losses.rows < apart.losses.rows);
  // Told apart, the duplicate is a wrong negative; known as the same, it is left out: the losses differ, and rightly so.
  assert.ok(apart.losses.contrastive! > shared.losses.contrastive!);
  const chunked = await gradientsOf(bench, twice, 2);
  assertClose([chunked.losses.contrastive!], [shared.losses.contrastive!], ROUNDING);
  assertSame(chunked.gradients, shared.gradients);
});

test("hard negatives join the candidates, in chunks as in a whole batch", async () => {
  await using bench = await TrainingBench.open();
  const { pairs, branches } = await bench.batch();
  const hard = pairs.map((pair, i) =>
    i % 2 === 0
      ? { ...pair, negatives: [{ ...pairs[3]!.target!, ids: pairs[3]!.target!.ids.toReversed(), key: `hard ${i}` }] }
      : pair,
  );
  const [plain, whole, chunked] = [
    await gradientsOf(bench, { pairs, branches }),
    await gradientsOf(bench, { pairs: hard, branches }),
    await gradientsOf(bench, { pairs: hard, branches }, 3),
  ];
  assert.ok(whole.losses.contrastive! > plain.losses.contrastive!);
  assertClose([chunked.losses.contrastive!], [whole.losses.contrastive!], ROUNDING);
  assertSame(chunked.gradients, whole.gradients);
});

test("modes put different texts before the embedding", async () => {
  const pair = { oracleIds: [5, 6] };
  const written = { ids: [7], ended: true };
  const both = { arWeight: 1, embWeight: 1 };
  assert.deepEqual(branchesOf(pair, written, { mode: "rge", ...both }), { lm: [5, 6], contrast: [7] });
  assert.deepEqual(branchesOf(pair, undefined, { mode: "direct", ...both }), { lm: [5, 6], contrast: [] });
  assert.deepEqual(branchesOf(pair, undefined, { mode: "oracle", ...both }), { lm: [5, 6], contrast: "lm" });
  assert.deepEqual(branchesOf(pair, undefined, { mode: "oracle", arWeight: 0, embWeight: 1 }), {
    lm: undefined,
    contrast: [5, 6],
  });
  assert.deepEqual(branchesOf(pair, undefined, { mode: "rge", arWeight: 1, embWeight: 0 }), {
    lm: [5, 6],
    contrast: undefined,
  });
  await using bench = await TrainingBench.open();
  const { pairs } = await bench.batch();
  const losses: number[] = [];
  for (const mode of ["direct", "oracle", "rge"] as const) {
    const branches = pairs.map((it) => branchesOf(it, written, { mode, ...both }));
    losses.push((await gradientsOf(bench, { pairs, branches })).losses.contrastive!);
  }
  assert.equal(new Set(losses.map((loss) => loss.toFixed(4))).size, 3, losses.join(" "));
});

test("weights of the terms scale what they add to the gradient", async () => {
  const sums: Float32Array[] = [];
  for (const [arWeight, embWeight] of [
    [1, 0],
    [0, 1],
    [2, 0.5],
  ] as const) {
    await using bench = await TrainingBench.open({}, { arWeight, embWeight });
    const batch = await bench.batch();
    const branches = batch.branches.map(({ lm, contrast }) => ({
      lm: arWeight === 0 ? undefined : lm,
      contrast: embWeight === 0 ? undefined : contrast,
    }));
    sums.push((await gradientsOf(bench, { ...batch, branches })).gradients);
  }
  const [lm, contrast, both] = sums as [Float32Array, Float32Array, Float32Array];
  assertSame(
    both,
    Float32Array.from(lm, (value, i) => 2 * value + 0.5 * contrast[i]!),
  );
});

test("dropout leaves out the same inputs for the same seed, and none for a share of 0", async () => {
  const lora = {
    rank: 4,
    alpha: 8,
    dropout: 0.5,
    targetModules: String.raw`.*(language_model|visual).*(_proj|qkv|fc1|mlp\.\d)`,
  };
  await using bench = await TrainingBench.open({ lora });
  const { weights } = bench.model;
  const { trained } = weights;
  assert.ok(weights.has("model.visual.blocks.0.attn.qkv.lora_A.weight"));
  // B is zero at first, which would hide A's input.
  for (const { name, data } of trained.parts(trained.weights)) if (name.includes("lora_B")) data.fill(0.05);
  const batch = await bench.batch();
  const without = await gradientsOf(bench, batch);
  const none = await gradientsOf(bench, batch, 16, { share: 0, seed: 1 });
  assertSame(none.gradients, without.gradients);
  const [once, again, other] = [
    await gradientsOf(bench, batch, 16, { share: 0.5, seed: 1 }),
    await gradientsOf(bench, batch, 16, { share: 0.5, seed: 1 }),
    await gradientsOf(bench, batch, 16, { share: 0.5, seed: 2 }),
  ];
  assert.deepEqual(again.gradients, once.gradients);
  assert.notDeepEqual(other.gradients, once.gradients);
  assert.ok(Math.abs(once.losses.lm! - without.losses.lm!) > 1e-3);
});

test("GradCache under dropout takes the gradient of the states it cached", async () => {
  const lora = { rank: 4, alpha: 8, dropout: 0.5, targetModules: ".*_proj" };
  await using bench = await TrainingBench.open({ lora });
  const { trained } = bench.model.weights;
  for (const { name, data } of trained.parts(trained.weights)) if (name.includes("lora_B")) data.fill(0.05);
  const batch = await bench.batch();
  const dropout = { share: 0.5, seed: 3 };
  const { gradients } = await gradientsOf(bench, batch, 2, dropout);
  // Along a direction, the loss of the very same masks must change as the gradient says.
  const direction = gradients.slice();
  const norm = Math.hypot(...direction);
  const start = trained.weights.slice();
  const at = async (step: number): Promise<number> => {
    trained.weights.forEach((_, i) => (trained.weights[i] = start[i]! + (step * direction[i]!) / norm));
    const { losses } = await gradientsOf(bench, batch, 2, dropout);
    return losses.lm! + losses.contrastive!;
  };
  const h = 2e-3;
  const slope = (8 * ((await at(h)) - (await at(-h))) - ((await at(2 * h)) - (await at(-2 * h)))) / (12 * h);
  assertClose([slope], [norm], { rtol: 5e-3, atol: 0 }, "slope along the gradient");
});
