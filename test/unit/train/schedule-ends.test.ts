import assert from "node:assert/strict";
import { test } from "node:test";
import { learningRate, type Schedule } from "../../../src/train/schedule.ts";

const LINEAR: Schedule = { peak: 0.5, warmupSteps: 4, totalSteps: 12, decay: "linear", final: 0 };

/** Rates of steps 0 to `totalSteps`. */
function rates(schedule: Schedule): number[] {
  return Array.from({ length: schedule.totalSteps + 1 }, (_, step) => learningRate(schedule, step));
}

test("rates rise through the warm-up, never rise after it, and stay where they are past the end", () => {
  for (const decay of ["linear", "cosine", "constant"] as const) {
    const schedule: Schedule = { peak: 1e-3, warmupSteps: 30, totalSteps: 200, decay, final: 0.05 };
    const all = rates(schedule);
    for (let step = 1; step < 30; step++) assert.ok(all[step]! > all[step - 1]!, `${decay}, step ${step}`);
    for (let step = 30; step <= 200; step++) assert.ok(all[step]! <= all[step - 1]!, `${decay}, step ${step}`);
    assert.ok(all.every((rate) => rate > 0 && rate <= 1e-3));
    assert.equal(learningRate(schedule, 1000), all[200]);
  }
});

test("a warm-up as long as the run reaches the peak with the last update", () => {
  const schedule = { ...LINEAR, warmupSteps: 12 };
  assert.equal(learningRate(schedule, 0), 0.5 / 12);
  assert.equal(learningRate(schedule, 11), 0.5);
});
