/** The training batch of `training.json`, and a runner for it. */
import { readFileSync } from "node:fs";
import type { TrainRow } from "../../src/dataset/train-rows.ts";
import { Collator, type Branches, type TrainingPair } from "../../src/train/collate.ts";
import { Optimizer } from "../../src/train/optimizer.ts";
import { preparePair } from "../../src/train/prepare-pair.ts";
import { StepRunner, type StepBatch } from "../../src/train/step.ts";
import type { Objective } from "../../src/train/training-graph.ts";
import { openTrainingModel, type TrainableOptions, type TrainingModel } from "../../src/train/training-model.ts";
import { checkpointOf, fixture } from "./fixtures.ts";

interface FixturePair {
  readonly query: string;
  readonly images: readonly string[];
  readonly oracle_rationale: string;
  readonly self_rationale: string;
  readonly target: string;
}

/** What PyTorch gave for one batch: terms and gradient norm of three steps. */
export const TRAINING = JSON.parse(readFileSync(fixture("qwen2_5_vl", "training.json"), "utf8")) as {
  readonly temperature: number;
  readonly pairs: readonly FixturePair[];
  readonly steps: readonly { readonly lm: number; readonly contrastive: number; readonly grad_norm: number }[];
};

/** The optimizer behind those values. */
export const ADAMW = { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01 };
export const LEARNING_RATE = 1e-3;
export const CLIP_NORM = 1;

const OBJECTIVE: Objective = {
  temperature: TRAINING.temperature,
  hardness: 0,
  falseNegativeMargin: undefined,
  arWeight: 1,
  embWeight: 1,
  recompute: false,
};

/** A tiny model on two threads with everything that a step needs. */
export class TrainingBench implements AsyncDisposable {
  readonly model: TrainingModel;
  readonly optimizer: Optimizer;
  readonly runner: StepRunner;

  private constructor(model: TrainingModel, optimizer: Optimizer, runner: StepRunner) {
    this.model = model;
    this.optimizer = optimizer;
    this.runner = runner;
  }

  static async open(
    options: Partial<TrainableOptions> = {},
    objective: Partial<Objective> = {},
    family: Parameters<typeof checkpointOf>[0] = "qwen2_5_vl",
  ): Promise<TrainingBench> {
    const model = openTrainingModel(checkpointOf(family), {
      lora: undefined,
      trainable: ".*",
      freezeVision: false,
      decayOn: "all",
      seed: 1,
      ...options,
    });
    const optimizer = await Optimizer.open(model.weights.trained, ADAMW, undefined, { threads: 2 });
    const runner = new StepRunner(
      model,
      model.weights,
      new Collator(model, model.embId),
      { ...OBJECTIVE, ...objective },
      { threads: 2 },
    );
    return new TrainingBench(model, optimizer, runner);
  }

  /** The pairs of the fixture with their own rationales for InfoNCE and the oracle's for the LM term. */
  async batch(): Promise<StepBatch & { pairs: TrainingPair[]; branches: Branches[] }> {
    const pairs: TrainingPair[] = [];
    const branches: Branches[] = [];
    const { tokenizer } = this.model.prompts;
    for (const [i, pair] of TRAINING.pairs.entries()) {
      const row: TrainRow = {
        place: `pair ${i}`,
        query: { text: pair.query, image: pair.images[0] && fixture(pair.images[0]) },
        target: { text: pair.target, image: undefined },
        negatives: [],
        rationale: pair.oracle_rationale,
      };
      const settings = { minPixels: 3136, maxPixels: 50176, lineBreak: false, embWeight: 1 };
      const prepared = await preparePair(row, { prompts: this.model.prompts, ending: this.model.ending }, settings);
      pairs.push(prepared);
      branches.push({ lm: prepared.oracleIds, contrast: tokenizer.encodePlain(pair.self_rationale) });
    }
    return { pairs, branches };
  }

  /** A copy of the gradient of one weight. */
  gradient(name: string): Float32Array {
    return this.model.weights.trained.part(this.runner.gradients, name).slice();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.runner[Symbol.asyncDispose]();
    await this.optimizer[Symbol.asyncDispose]();
  }
}
