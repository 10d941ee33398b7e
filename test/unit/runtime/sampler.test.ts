import assert from "node:assert/strict";
import { test } from "node:test";
import { Sampler, type SamplingOptions } from "../../../src/runtime/sampler.ts";

const GREEDY: SamplingOptions = { repetitionPenalty: 1, temperature: 0, topP: 1, seed: 0 };

function next(options: Partial<SamplingOptions>, promptIds: readonly number[], logits: readonly number[]): number {
  return new Sampler({ ...GREEDY, ...options }, promptIds).next(Float32Array.from(logits));
}

/** Shares of `count` draws from one stream; the logits are the same each time. */
function shares(options: Partial<SamplingOptions>, logits: readonly number[], count: number): number[] {
  const sampler = new Sampler({ ...GREEDY, ...options }, []);
  const counts = Array.from({ length: logits.length }, () => 0);
  for (let i = 0; i < count; i++) counts[sampler.next(Float32Array.from(logits))]! += 1;
  return counts.map((drawn) => drawn / count);
}

/** Each share is within five standard errors of its probability; what cannot be drawn is never drawn. */
function assertShares(found: readonly number[], probabilities: readonly number[], count: number): void {
  probabilities.forEach((p, i) => {
    const allowed = 5 * Math.sqrt((p * (1 - p)) / count);
    assert.ok(Math.abs(found[i]! - p) <= allowed, `token ${i}: share ${found[i]}, probability ${p}`);
  });
}

test("greedy takes the greatest logit, the first of equals", () => {
  assert.equal(next({}, [], [1, 3, 2]), 1);
  assert.equal(next({}, [], [1, 3, 3, 0]), 1);
  assert.equal(next({}, [], [-5, -4, -4]), 1);
});

test("a penalty divides positive logits and multiplies negative ones of tokens seen, prompt included", () => {
  const logits = Float32Array.of(2, -1, 1.9, 0, -1);
  const chosen = new Sampler({ ...GREEDY, repetitionPenalty: 1.25 }, [0, 1, 3]).next(logits);
  // 2 / 1.25 = 1.6, -1 * 1.25 = -1.25; the others were not seen.
  assert.deepEqual([...logits], [2 / 1.25, -1.25, 1.9, 0, -1].map(Math.fround));
  assert.equal(chosen, 2);
});

test("a token counts once however often the prompt has it, and from its first output on", () => {
  const once = Float32Array.of(2, 1);
  const often = Float32Array.of(2, 1);
  new Sampler({ ...GREEDY, repetitionPenalty: 1.5 }, [0]).next(once);
  new Sampler({ ...GREEDY, repetitionPenalty: 1.5 }, [0, 0, 0]).next(often);
  assert.deepEqual(often, once);
  const sampler = new Sampler({ ...GREEDY, repetitionPenalty: 1.5 }, []);
  assert.equal(sampler.next(Float32Array.of(2, 1.9)), 0);
  assert.equal(sampler.next(Float32Array.of(2, 1.9)), 1, "token 0 is penalised now");
  assert.equal(sampler.next(Float32Array.of(2, 1.9)), 0, "both are penalised now");
});

test("a penalty of 1 leaves logits as they are", () => {
  const logits = Float32Array.of(2, -1);
  new Sampler(GREEDY, [0, 1]).next(logits);
  assert.deepEqual([...logits], [2, -1]);
});

test("drawn tokens have the probabilities of the softmax at that temperature", () => {
  const logits = [2, 1, 0, -1, 5];
  for (const temperature of [0.5, 1, 2]) {
    const weights = logits.map((logit) => Math.exp(logit / temperature));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const count = 40_000;
    assertShares(
      shares({ temperature, seed: 3 }, logits, count),
      weights.map((weight) => weight / total),
      count,
    );
  }
});

test("the nucleus holds the likeliest tokens up to topP, the one that crosses it included", () => {
  // Probabilities 0.5, 0.3, 0.15, 0.05, not in order.
  const logits = [0.15, 0.5, 0.05, 0.3].map(Math.log);
  const count = 40_000;
  assertShares(shares({ temperature: 1, topP: 0.6, seed: 1 }, logits, count), [0, 0.5 / 0.8, 0, 0.3 / 0.8], count);
  assertShares(
    shares({ temperature: 1, topP: 0.9, seed: 1 }, logits, count),
    [0.15, 0.5, 0, 0.3].map((p) => p / 0.95),
    count,
  );
  assertShares(shares({ temperature: 1, topP: 0.01, seed: 1 }, logits, 1000), [0, 1, 0, 0], 1000);
  assertShares(shares({ temperature: 1, topP: 1, seed: 1 }, logits, count), [0.15, 0.5, 0.05, 0.3], count);
});

test("a penalty and a temperature act together", () => {
  // Seen: 0 and 1. Logits become 1 and -2 (of 1.5 and -1.5 at 1.5 and 4/3): exp as below.
  const count = 40_000;
  const counts = [0, 0, 0];
  for (let seed = 0; seed < count; seed++)
    counts[next({ repetitionPenalty: 1.5, temperature: 1, seed }, [0, 1], [1.5, -1.5, 0])]! += 1;
  const weights = [Math.exp(1), Math.exp(-2.25), 1];
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  assertShares(
    counts.map((drawn) => drawn / count),
    weights.map((weight) => weight / total),
    count,
  );
});

test("the same seed draws the same tokens, whatever other samplers draw in between", () => {
  const logits = Array.from({ length: 50 }, (_, i) => Math.sin(i));
  const options = { temperature: 1, seed: 11 };
  const alone = Array.from(
    { length: 100 },
    (
      (sampler) => () =>
        sampler.next(Float32Array.from(logits))
    )(new Sampler({ ...GREEDY, ...options }, [])),
  );
  const [a, b] = [new Sampler({ ...GREEDY, ...options }, []), new Sampler({ ...GREEDY, ...options, seed: 12 }, [])];
  const others: number[] = [];
  const mixed = alone.map(() => {
    others.push(b.next(Float32Array.from(logits)));
    return a.next(Float32Array.from(logits));
  });
  assert.deepEqual(mixed, alone);
  assert.notDeepEqual(others, alone);
});

test("large logits do not overflow", () => {
  assert.equal(next({ temperature: 0.001 }, [], [1e5, 2e5, -1e5]), 1);
});
