/** What the package's entries export: a change here is a change for users, and goes into CHANGELOG.md. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as graph from "../../src/graph/index.ts";
import * as rge from "../../src/index.ts";
import * as train from "../../src/train/index.ts";

const RGE = [
  "AbsentError",
  "CallOptions",
  "CheckpointError",
  "DEFAULT_CLOSING_PROMPT",
  "DatasetError",
  "EmbedItem",
  "EmbedOutcome",
  "EmbedResult",
  "Embedder",
  "EngineError",
  "HubError",
  "ImageError",
  "ImageSource",
  "InputError",
  "LoadOptions",
  "LoadProgress",
  "ModelInfo",
  "RationaleError",
  "ReasonOptions",
  "RgeError",
  "RuntimeError",
  "ShapeError",
  "StoreError",
  "StoreFailure",
  "Timings",
  "TrainingError",
  "WeightFormat",
];
const GRAPH = [
  "Attribute",
  "Attributes",
  "ExternalData",
  "GradientContext",
  "GradientRule",
  "Graph",
  "Inferred",
  "Initializer",
  "Node",
  "OpRecord",
  "Tensor",
  "TensorAttribute",
  "abs",
  "add",
  "cast",
  "concat",
  "defineOp",
  "detach",
  "div",
  "erf",
  "exp",
  "expand",
  "filledLike",
  "gather",
  "gelu",
  "gemm",
  "gradients",
  "greater",
  "layerNorm",
  "matMul",
  "matMulIntegerToFloat",
  "matMulNBits",
  "max",
  "mul",
  "multiHeadAttention",
  "neg",
  "print",
  "quantizeRows",
  "quickGelu",
  "rearrange",
  "reduceLogSumExp",
  "reduceMax",
  "reduceSum",
  "reduceToShape",
  "registeredOps",
  "repeat",
  "reshape",
  "reshapeLike",
  "rmsNorm",
  "rotaryEmbedding",
  "scalar",
  "scatterAdd",
  "serialize",
  "shapeOf",
  "sigmoid",
  "softmax",
  "split",
  "sqrt",
  "sub",
  "swapLast",
  "tanh",
  "transpose",
  "validate",
];

const TRAIN = [
  "DatasetConfig",
  "LogRecord",
  "LoraOptions",
  "TrainConfig",
  "TrainHooks",
  "TrainOutcome",
  "parseTrainConfig",
  "readLog",
  "reportHtml",
  "train",
];

/** Values of a module, and the types that its source re-exports by name: types leave no trace at run time. */
function exportsOf(module: object, source: string): string[] {
  const text = readFileSync(new URL(`../../src/${source}`, import.meta.url), "utf8");
  const types = [...text.matchAll(/export (type )?\{([^}]*)\}/g)].flatMap(([, allTypes, names]) =>
    names!
      .split(",")
      .map((name) => name.trim())
      .filter((name) => name !== "" && (allTypes !== undefined || name.startsWith("type ")))
      .map((name) => name.replace(/^type /, "")),
  );
  return [...Object.keys(module), ...types].sort();
}

test("rge exports these names", () => {
  assert.deepEqual(exportsOf(rge, "index.ts"), RGE);
});

test("rge/train exports these names", () => {
  assert.deepEqual(exportsOf(train, "train/index.ts"), TRAIN);
});

test("rge/graph exports these names", () => {
  assert.deepEqual(exportsOf(graph, "graph/index.ts"), GRAPH);
});
