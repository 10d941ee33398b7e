/** What a training run is told: one schema with its defaults and what each setting does. Unknown keys are refused. */
import { z } from "zod";
import { UsageError } from "../errors.ts";
import type { LoraOptions } from "./training-model.ts";

const positive = z.int().positive().max(1_000_000_000);
const weight = z.number().nonnegative().max(1e6);
const share = z.number().min(0).max(1);

const dataset = z.strictObject({
  name: z.string().min(1).max(100).describe("How messages, the log and the report name it."),
  path: z.string().min(1).describe("JSONL, parquet, or a folder of them, in MMEB-train's fields and `rationale`."),
  imageRoot: z.string().optional().describe("Folder that image paths are relative to. [the file's folder]"),
  weight: z.number().positive().max(1e6).default(1).describe("Relative share of batches."),
  limit: positive.optional().describe("Takes so many rows from the start. [all]"),
});

const lora = z.strictObject({
  rank: positive.max(4096).default(16).describe("PEFT's r."),
  alpha: z.number().positive().default(64).describe("PEFT's lora_alpha: the change is scaled by alpha / rank."),
  dropout: share.default(0.1).describe("Share of each layer's inputs that is left out at random."),
  targetModules: z
    .string()
    .default(String.raw`model\.language_model\..*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)`)
    .describe("Regular expression over whole layer names."),
});

/** The schema; its order is that of the help. */
const TRAIN_CONFIG = z.strictObject({
  model: z.string().min(1).describe("Checkpoint to start from: a folder, or owner/name[@revision] on the hub."),
  output: z.string().min(1).describe("Folder of the run: checkpoints, log, report, the finished model."),
  data: z.array(dataset).min(1).max(1000).describe("Datasets; each batch comes from one of them."),
  validation: z.array(dataset).max(1000).default([]).describe("Datasets that are never trained on."),
  mode: z
    .enum(["rge", "direct", "oracle"])
    .default("rge")
    .describe(
      "What the contrastive term reads: rationales that the current weights write (rge), none (direct, the paper's baseline), or the oracle's (oracle, which leaks the answer).",
    ),
  arWeight: weight.default(1).describe("Weight of the LM term on oracle rationales."),
  embWeight: weight.default(1).describe("Weight of the contrastive term; 0 trains the LM term alone."),
  temperature: z.number().positive().max(100).default(0.02).describe("Of the contrastive term."),
  hardness: z.number().nonnegative().max(100).default(0).describe("LLaVE's alpha: weighs candidates by e^(alpha cos)."),
  falseNegativeMargin: z
    .number()
    .min(-2)
    .max(2)
    .nullable()
    .default(null)
    .describe("Leaves out candidates that are more similar than the positive by more than this."),
  steps: positive.describe("Updates in all."),
  batchSize: z.int().min(2).max(65_536).default(64).describe("Pairs of one contrastive batch."),
  accumulate: positive.max(4096).default(1).describe("Batches that make up one update."),
  chunkSize: positive
    .nullable()
    .default(null)
    .describe("Pairs whose activations are held at once; larger batches go through GradCache. [batchSize]"),
  learningRate: z.number().positive().max(10).default(2e-5).describe("At its peak."),
  warmup: share.default(0.05).describe("Share of the steps over which the rate rises."),
  decay: z.enum(["cosine", "linear", "constant"]).default("linear").describe("How the rate falls after that."),
  finalRate: share.default(0).describe("Share of the peak that is left at the end."),
  weightDecay: weight.default(0.01).describe("AdamW's."),
  decayOn: z.enum(["all", "matrices"]).default("matrices").describe("Whether norms and biases decay as well."),
  beta1: share.default(0.9).describe("AdamW's."),
  beta2: share.default(0.999).describe("AdamW's."),
  eps: z.number().positive().max(1).default(1e-8).describe("AdamW's."),
  clipNorm: z
    .number()
    .positive()
    .nullable()
    .default(5)
    .describe("Largest L2 norm of the gradients; null clips nothing."),
  ema: z
    .number()
    .gt(0)
    .lt(1)
    .nullable()
    .default(null)
    .describe("Keeps an average of the weights with this decay; the finished model is the average."),
  maxNewTokens: positive.max(16_384).default(256).describe("Longest rationale written in training."),
  samplingTemperature: z.number().nonnegative().max(100).default(0).describe("0 writes the likeliest tokens."),
  samplingTopP: z.number().gt(0).max(1).default(1).describe("Draws among the likeliest tokens up to this probability."),
  trainable: z.string().default(".*").describe("Regular expression over names of tensors that are trained."),
  freezeVision: z.boolean().default(false).describe("Leaves the vision tower as it is."),
  lora: lora.nullable().default(null).describe("Trains low-rank changes instead of the weights."),
  minPixels: positive.nullable().default(null).describe("Fewest pixels an image is resized to. [the checkpoint's]"),
  maxPixels: positive.nullable().default(null).describe("Most pixels an image is resized to. [the checkpoint's]"),
  lineBreak: z
    .boolean()
    .default(true)
    .describe("Ends texts in a line break where they have none, as RGE's evaluation does."),
  bucketBatches: positive
    .max(10_000)
    .default(8)
    .describe("Batches whose rows are sorted by length together; 1 sorts none."),
  recompute: z
    .boolean()
    .default(false)
    .describe("Computes activations again in the backward pass: less memory, more time."),
  validateEvery: positive
    .nullable()
    .default(null)
    .describe("Steps between validations; there is one before the first step. [a tenth of the steps]"),
  validationPairs: positive.default(256).describe("Most pairs of each validation dataset."),
  saveEvery: positive.default(500).describe("Steps between checkpoints."),
  keep: positive.max(1000).default(2).describe("Checkpoints that are kept."),
  saveAs: z
    .enum(["float32", "bfloat16", "float16"])
    .default("float32")
    .describe("Number format of the finished model; checkpoints are always float32."),
  seed: z.int().min(0).max(0xffff_ffff).default(0).describe("Of every random choice."),
  threads: positive.max(1024).nullable().default(null).describe("Threads of the engine. [all cores]"),
});

/** A dataset's settings; `dataset` above says what each does. */
export interface DatasetConfig {
  readonly name: string;
  readonly path: string;
  readonly imageRoot?: string | undefined;
  readonly weight: number;
  readonly limit?: number | undefined;
}

/** A run's settings with their defaults filled in; the schema above says what each does. */
export interface TrainConfig {
  readonly model: string;
  readonly output: string;
  readonly data: readonly DatasetConfig[];
  readonly validation: readonly DatasetConfig[];
  readonly mode: "rge" | "direct" | "oracle";
  readonly arWeight: number;
  readonly embWeight: number;
  readonly temperature: number;
  readonly hardness: number;
  readonly falseNegativeMargin: number | null;
  readonly steps: number;
  readonly batchSize: number;
  readonly accumulate: number;
  readonly chunkSize: number | null;
  readonly learningRate: number;
  readonly warmup: number;
  readonly decay: "cosine" | "linear" | "constant";
  readonly finalRate: number;
  readonly weightDecay: number;
  readonly decayOn: "all" | "matrices";
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly clipNorm: number | null;
  readonly ema: number | null;
  readonly maxNewTokens: number;
  readonly samplingTemperature: number;
  readonly samplingTopP: number;
  readonly trainable: string;
  readonly freezeVision: boolean;
  readonly lora: LoraOptions | null;
  readonly minPixels: number | null;
  readonly maxPixels: number | null;
  readonly lineBreak: boolean;
  readonly bucketBatches: number;
  readonly recompute: boolean;
  readonly validateEvery: number | null;
  readonly validationPairs: number;
  readonly saveEvery: number;
  readonly keep: number;
  readonly saveAs: "float32" | "bfloat16" | "float16";
  readonly seed: number;
  readonly threads: number | null;
}

/**
 * Checks what a file and flags say.
 * @param where names the source in errors
 * @throws {UsageError} naming every key that is wrong, unknown or missing
 */
export function parseTrainConfig(value: unknown, where: string): TrainConfig {
  const parsed = TRAIN_CONFIG.safeParse(value);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => `${path.join(".") || "the file"}: ${message}`);
    throw new UsageError(`${where}: ${problems.slice(0, 8).join("; ")}. \`rge train --help\` lists the settings.`);
  }
  const config: TrainConfig = parsed.data;
  const refuse = (problem: string): never => {
    throw new UsageError(`${where}: ${problem}`);
  };
  if (config.arWeight === 0 && config.embWeight === 0) refuse("arWeight and embWeight are both 0: nothing is trained");
  if (config.minPixels !== null && config.maxPixels !== null && config.minPixels > config.maxPixels)
    refuse(`minPixels ${config.minPixels} is above maxPixels ${config.maxPixels}`);
  const names = [...config.data, ...config.validation].map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) refuse(`two datasets are named ${JSON.stringify(twice)}`);
  if (config.ema !== null && config.lora !== null) refuse("ema averages weights; it is not for LoRA");
  return config;
}

/** One setting as the help and the flags know it. */
export interface Setting {
  readonly key: string;
  readonly kind: "number" | "text" | "switch" | "structure";
  readonly help: string;
  /** JSON of the default; `undefined` for one that must be given. */
  readonly fallback: string | undefined;
}

/** Every setting at the top level, in the schema's order. */
export function settings(): Setting[] {
  return Object.entries(TRAIN_CONFIG.shape).map(([key, type]) => {
    const absent = type.safeParse(undefined);
    return {
      key,
      kind: kindOf(type),
      help: type.description ?? "",
      fallback: absent.success ? JSON.stringify(absent.data) : undefined,
    };
  });
}

function kindOf(type: z.ZodType): Setting["kind"] {
  const inner =
    type instanceof z.ZodDefault || type instanceof z.ZodNullable ? (type.unwrap() as z.ZodType) : undefined;
  if (inner !== undefined) return kindOf(inner);
  if (type instanceof z.ZodBoolean) return "switch";
  if (type instanceof z.ZodNumber) return "number";
  return type instanceof z.ZodString || type instanceof z.ZodEnum ? "text" : "structure";
}
