import assert from "node:assert/strict";
import { test } from "node:test";
import { learningRate, type Schedule } from "../../../src/train/schedule.ts";
import { assertClose } from "../../support/assert-close.ts";

const BASE: Schedule = { peak: 2, warmupSteps: 4, totalSteps: 12, decay: "linear", final: 0 };
const rates = (schedule: Schedule): number[] =>
  Array.from({ length: schedule.totalSteps }, (_, step) => learningRate(schedule, step));
const EXACT = { rtol: 1e-12, atol: 1e-12 };

test("the rate rises by equal steps to its peak, and the first update is no waste", () => {
  assertClose(rates(BASE).slice(0, 5), [0.5, 1, 1.5, 2, 2], EXACT);
});

test("linear decay falls by equal steps", () => {
  assertClose(rates(BASE).slice(4), [2, 1.75, 1.5, 1.25, 1, 0.75, 0.5, 0.25], EXACT);
});

test("cosine decay passes half the peak half way", () => {
  const all = rates({ ...BASE, decay: "cosine" });
  assertClose([all[4]!, all[8]!, all[6]!], [2, 1, 1 + Math.SQRT1_2], EXACT);
});

test("a share of the peak is left at the end, and after it", () => {
  for (const decay of ["linear", "cosine"] as const)
    assertClose(
      [learningRate({ ...BASE, decay, final: 0.1 }, 12), learningRate({ ...BASE, decay, final: 0.1 }, 99)],
      [0.2, 0.2],
      EXACT,
    );
});

test("a constant rate stays at its peak; without warm-up it begins there", () => {
  assert.deepEqual(rates({ ...BASE, warmupSteps: 0, decay: "constant" }), Array(12).fill(2));
});
