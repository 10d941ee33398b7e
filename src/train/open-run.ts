/** Everything that a run works with, opened and checked before the first step. */
import { availableParallelism } from "node:os";
import { TrainingError } from "../errors.ts";
import { BatchOrder } from "./batch-order.ts";
import { Collator } from "./collate.ts";
import type { DatasetConfig, TrainConfig } from "./config.ts";
import { estimatedLength, readDataset, type Dataset } from "./datasets.ts";
import type { LogRecord } from "./log.ts";
import { Optimizer } from "./optimizer.ts";
import { PairSource } from "./pair-source.ts";
import { RationaleWriter } from "./rationale-writer.ts";
import { dependsOn, differences, digest, findResume } from "./run-folder.ts";
import { loadState, readStateFacts, type StateFacts } from "./save.ts";
import { StepRunner } from "./step.ts";
import { openTrainingModel, type TrainingModel } from "./training-model.ts";

/** What a run tells and hears while it goes. */
export interface TrainHooks {
  /** Goes on from the last checkpoint in the output folder. @default false */
  readonly resume?: boolean;
  /** Replaces what the output folder holds. @default false */
  readonly force?: boolean;
  /** Stops after the step under way, with a checkpoint. */
  readonly signal?: AbortSignal;
  readonly onRecord?: (record: LogRecord) => void;
  /** Remarks that are no errors. */
  readonly onNotice?: (text: string) => void;
}

/** An open run. */
export interface OpenRun extends AsyncDisposable {
  readonly model: TrainingModel;
  readonly data: readonly Dataset[];
  readonly validation: readonly Dataset[];
  readonly order: BatchOrder;
  readonly optimizer: Optimizer;
  readonly runner: StepRunner;
  /** `undefined` where no rationales are written. */
  readonly writer: RationaleWriter | undefined;
  readonly pairs: PairSource;
  readonly facts: Omit<StateFacts, "step">;
  /** Updates already made. */
  readonly step: number;
  readonly resumed: boolean;
}

/**
 * Reads the data and the model, and goes back to the last checkpoint where that is asked for. Nothing in the output folder
 * is changed.
 * @throws what `train` throws
 */
export async function openRun(config: TrainConfig, hooks: TrainHooks): Promise<OpenRun> {
  const { signal } = hooks;
  const last = findResume(config.output, hooks);
  const found = last === undefined ? undefined : readStateFacts(last.folder);
  // The number of threads decides how sums are split: a resumed run keeps it, so that it goes on bit for bit.
  const threads = found?.threads ?? config.threads ?? availableParallelism();
  const read = async (dataset: DatasetConfig): Promise<Dataset> =>
    await readDataset(dataset, config, hooks.onNotice, signal);
  const data: Dataset[] = [];
  for (const dataset of config.data) data.push(await read(dataset));
  const validation: Dataset[] = [];
  for (const dataset of config.validation) validation.push(await read(dataset));
  signal?.throwIfAborted();
  const sources = data.map(({ config: { name, weight: share }, rows }) => ({
    name,
    weight: share,
    lengths: rows.map(estimatedLength),
  }));
  const order = new BatchOrder(sources, config);
  const model = openTrainingModel(config.model, { ...config, lora: config.lora ?? undefined });
  const depends = dependsOn(config, model.baseHash, data);
  const fingerprint = digest(depends);
  if (found !== undefined && found.fingerprint !== fingerprint)
    throw new TrainingError(
      `${last!.folder}: made with other settings (${differences(found.depends, depends).join(", ")}). Resume with those, or start anew with --force.`,
    );
  await using stack = new AsyncDisposableStack();
  const session = { threads };
  const optimizer = stack.use(await Optimizer.open(model.weights.trained, config, config.ema ?? undefined, session));
  if (last !== undefined) loadState(last.folder, model, optimizer.state, found!.step);
  const objective = { ...config, falseNegativeMargin: config.falseNegativeMargin ?? undefined };
  const runner = stack.use(new StepRunner(model, model.weights, new Collator(model, model.embId), objective, session));
  const writes = config.mode === "rge" && config.embWeight > 0;
  const writing = {
    maxNewTokens: config.maxNewTokens,
    temperature: config.samplingTemperature,
    topP: config.samplingTopP,
    // Written as they will be when the model is used.
    repetitionPenalty: model.repetitionPenalty,
  };
  const writer = writes ? stack.use(await RationaleWriter.open(model, writing, config.batchSize, session)) : undefined;
  const pairs = stack.use(new PairSource(config.model, config));
  const owned = stack.move();
  return {
    model,
    data,
    validation,
    optimizer,
    runner,
    writer,
    pairs,
    facts: { fingerprint, depends, threads },
    order,
    step: found?.step ?? 0,
    resumed: found !== undefined,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
