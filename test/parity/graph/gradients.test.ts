/** Every operator's gradient rule against central differences through ONNX Runtime. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { registeredOps } from "../../../src/graph/index.ts";
import { checkSample, DOUBLE, SINGLE } from "./differences.ts";
import { SAMPLES } from "./samples.ts";

/** Operators that cannot be trained through. Adding one is a decision: say so here. */
const WITHOUT_GRADIENT = [
  "Abs",
  "Greater",
  "MatMulIntegerToFloat",
  "MatMulNBits",
  "Max",
  "MultiHeadAttention",
  "QuantizeLinear",
  "ReduceMax",
  "Shape",
];

/** Operators that ORT 1.30 has no double kernel for on the CPU, and those with a side in float32. */
const SINGLE_ONLY = new Set(["Cast", "Erf", "Gelu", "QuickGelu", "RotaryEmbedding", "SimplifiedLayerNormalization"]);

test("the operators without a gradient are those listed here", () => {
  const found = [...registeredOps()].filter(([, { gradient }]) => gradient === "none").map(([name]) => name);
  assert.deepEqual(found.sort(), WITHOUT_GRADIENT);
});

test("every operator with a gradient has samples, and only those", () => {
  const expected = [...registeredOps().keys()].filter((name) => !WITHOUT_GRADIENT.includes(name));
  assert.deepEqual(Object.keys(SAMPLES).sort(), expected.sort());
});

for (const [name, samples] of Object.entries(SAMPLES))
  for (const sample of samples)
    test(`${name} gradient matches central differences: ${sample.title}`, async () => {
      const operators = await checkSample(sample, SINGLE_ONLY.has(name) ? SINGLE : DOUBLE);
      assert.ok(operators.has(name), `the sample holds no ${name}, only ${[...operators].join(", ")}`);
    });
