/** Records of a made-up run. */
import type { LogRecord, StepRecord, ValidationRecord } from "../../../src/train/log.ts";

/** How a run of two datasets began. */
export const START: Extract<LogRecord, { type: "start" }> = {
  type: "start",
  time: "2026-11-24T22:01:07.113Z",
  version: "0.1.0",
  model: "owner/name",
  modelHash: "0123456789abcdef0123456789abcdef",
  parameters: 3_000_000,
  trained: 12_345,
  threads: 2,
  machine: "a processor, Node 24",
  datasets: [
    { name: "cats", rows: 1200, problems: 3, hash: "aa".repeat(32) },
    { name: "dogs", rows: 64, problems: 0, hash: "bb".repeat(32) },
  ],
  config: { seed: 77, temperature: 0.02 },
};

/** Update `step`; what matters to a test in `changed`. */
export function stepRecord(step: number, changed: Partial<StepRecord> = {}): StepRecord {
  return {
    type: "step",
    step,
    dataset: step % 2 === 0 ? "dogs" : "cats",
    lm: 1 + 1 / step,
    contrastive: 2 + 1 / step,
    loss: 3 + 2 / step,
    hits: 0.5,
    gradNorm: 4,
    learningRate: 1e-5,
    pairs: 8,
    tokens: 900,
    seconds: 2,
    generateSeconds: 0.5,
    endedShare: 0.75,
    rationaleTokens: 30,
    oracleShare: 0,
    rssBytes: 2 ** 30,
    ...changed,
  };
}

/** Validation at `step`. */
export function validationRecord(step: number, changed: Partial<ValidationRecord> = {}): ValidationRecord {
  return {
    type: "validation",
    step,
    dataset: "birds",
    lm: 1.5,
    contrastive: 2.5,
    p1: 0.25,
    endedShare: 1,
    oracleShare: 0,
    pairs: 64,
    ...changed,
  };
}
