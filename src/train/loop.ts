/** A training run from its settings to a finished model: steps, log, validation, checkpoints, going on after a stop. */
import { readFileSync, rmSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { join } from "node:path";
import { TrainingError } from "../errors.ts";
import { BatchOrder, mix, type PlannedBatch } from "./batch-order.ts";
import { Collator, type Branches, type TrainingPair } from "./collate.ts";
import type { DatasetConfig, TrainConfig } from "./config.ts";
import { estimatedLength, readDataset, type Dataset } from "./datasets.ts";
import { TrainingLog, type LogRecord, type StepRecord } from "./log.ts";
import { Optimizer } from "./optimizer.ts";
import { PairSource } from "./pair-source.ts";
import { RationaleWriter, type WrittenRationale } from "./rationale-writer.ts";
import { writeReport } from "./report.ts";
import { dependsOn, differences, digest, prepareOutput, RUN_FILES } from "./run-folder.ts";
import { findCheckpoints, loadState, readStateFacts, saveCheckpoint, saveModel, type StateFacts } from "./save.ts";
import { learningRate, type Schedule } from "./schedule.ts";
import { StepRunner, type BatchLosses } from "./step.ts";
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

/** How a run ended. */
export interface TrainOutcome {
  /** Updates made in all. */
  readonly step: number;
  readonly finished: boolean;
  /** Folder of the finished model; `undefined` for a run that was stopped. */
  readonly model: string | undefined;
  readonly log: string;
  readonly report: string;
}

/** Batches prepared ahead of the step that wants them. */
const BATCHES_AHEAD = 2;

/**
 * Trains a model.
 * @param config settings, the model's folder resolved
 * @throws {UsageError} an output folder that holds another run
 * @throws {DatasetError} {CheckpointError} data or a model that cannot be used
 * @throws {TrainingError} a loss or gradient that is not finite, naming its batch; a checkpoint of other settings
 */
export async function train(config: TrainConfig, hooks: TrainHooks = {}): Promise<TrainOutcome> {
  await using run = await Run.open(config, hooks);
  return await run.go();
}

class Run implements AsyncDisposable {
  readonly #config: TrainConfig;
  readonly #hooks: TrainHooks;
  readonly #model: TrainingModel;
  readonly #data: readonly Dataset[];
  readonly #validation: readonly Dataset[];
  readonly #order: BatchOrder;
  readonly #optimizer: Optimizer;
  readonly #runner: StepRunner;
  readonly #writer: RationaleWriter | undefined;
  readonly #pairs: PairSource;
  readonly #log: TrainingLog;
  readonly #facts: Omit<StateFacts, "step">;
  readonly #stack: AsyncDisposableStack;
  readonly #schedule: Schedule;
  readonly #resumed: boolean;
  #step: number;

  private constructor(parts: {
    config: TrainConfig;
    hooks: TrainHooks;
    model: TrainingModel;
    data: readonly Dataset[];
    validation: readonly Dataset[];
    optimizer: Optimizer;
    runner: StepRunner;
    writer: RationaleWriter | undefined;
    pairs: PairSource;
    facts: Omit<StateFacts, "step">;
    order: BatchOrder;
    stack: AsyncDisposableStack;
    step: number;
    resumed: boolean;
  }) {
    const { config } = parts;
    this.#config = config;
    this.#hooks = parts.hooks;
    this.#model = parts.model;
    this.#data = parts.data;
    this.#validation = parts.validation;
    this.#optimizer = parts.optimizer;
    this.#runner = parts.runner;
    this.#writer = parts.writer;
    this.#pairs = parts.pairs;
    this.#facts = parts.facts;
    this.#stack = parts.stack;
    this.#step = parts.step;
    this.#log = new TrainingLog(join(config.output, RUN_FILES.log));
    this.#order = parts.order;
    this.#resumed = parts.resumed;
    this.#schedule = {
      peak: config.learningRate,
      warmupSteps: Math.round(config.warmup * config.steps),
      totalSteps: config.steps,
      decay: config.decay,
      final: config.finalRate,
    };
  }

  static async open(config: TrainConfig, hooks: TrainHooks): Promise<Run> {
    const { signal } = hooks;
    const last = prepareOutput(config.output, hooks);
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
    const runner = stack.use(
      new StepRunner(model, model.weights, new Collator(model, model.embId), objective, session),
    );
    const writes = config.mode === "rge" && config.embWeight > 0;
    const writing = {
      maxNewTokens: config.maxNewTokens,
      temperature: config.samplingTemperature,
      topP: config.samplingTopP,
      // Written as they will be when the model is used.
      repetitionPenalty: model.repetitionPenalty,
    };
    const writer = writes
      ? stack.use(await RationaleWriter.open(model, writing, config.batchSize, session))
      : undefined;
    const pairs = stack.use(new PairSource(config.model, config));
    return new Run({
      config,
      hooks,
      model,
      data,
      validation,
      optimizer,
      runner,
      writer,
      pairs,
      facts: { fingerprint, depends, threads },
      order,
      stack: stack.move(),
      step: found?.step ?? 0,
      resumed: found !== undefined,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  /** Steps until the end, or until the signal. */
  async go(): Promise<TrainOutcome> {
    const { steps, saveEvery, output } = this.#config;
    const validateEvery = this.#config.validateEvery ?? Math.max(1, Math.round(steps / 10));
    const { signal } = this.#hooks;
    const startedMs = performance.now();
    this.#begin();
    const ahead: Promise<readonly PreparedBatch[]>[] = [];
    let saved = this.#step;
    for (let next = this.#step; this.#step < steps && !signal?.aborted;) {
      for (; ahead.length <= BATCHES_AHEAD && next < steps; next++) {
        const prepared = this.#prepare(next);
        // A failure is told when its turn comes.
        prepared.catch(() => {});
        ahead.push(prepared);
      }
      await this.#take(await ahead.shift()!);
      const isLast = this.#step === steps;
      if (isLast || this.#step % validateEvery === 0) await this.#validate();
      if (isLast || this.#step % saveEvery === 0) saved = this.#save();
    }
    const finished = this.#step === steps;
    // Stopped in between: nothing of what was done is lost.
    if (saved < this.#step) this.#save();
    const model = join(output, RUN_FILES.model);
    if (finished) saveModel(model, this.#model, this.#config.saveAs, this.#optimizer.state.ema);
    const seconds = (performance.now() - startedMs) / 1000;
    this.#write({ type: "end", step: this.#step, seconds, reason: finished ? "finished" : "stopped" });
    const report = join(output, RUN_FILES.report);
    writeReport(this.#log.path, report);
    return { step: this.#step, finished, model: finished ? model : undefined, log: this.#log.path, report };
  }

  #begin(): void {
    const config = this.#config;
    const time = new Date().toISOString();
    if (this.#resumed) {
      this.#log.truncateAfter(this.#step);
      this.#write({ type: "resume", step: this.#step, time });
      return;
    }
    this.#write({
      type: "start",
      time,
      version: packageVersion(),
      model: config.model,
      modelHash: this.#model.baseHash,
      parameters: [...this.#model.storedNames.keys()].reduce(
        (sum, name) => sum + this.#model.weights.data(name).length,
        0,
      ),
      trained: this.#model.weights.trained.size,
      threads: this.#facts.threads,
      machine: `${cpus()[0]?.model.trim() ?? "unknown processor"}, Node ${process.versions.node}`,
      datasets: [...this.#data, ...this.#validation].map(({ config: { name }, rows, hash, problems }) => ({
        name,
        rows: rows.length,
        problems,
        hash,
      })),
      config,
    });
  }

  /** The batches of update `step`, prepared. */
  async #prepare(step: number): Promise<readonly PreparedBatch[]> {
    const { accumulate } = this.#config;
    const planned = Array.from({ length: accumulate }, (_, i) => this.#order.at(step * accumulate + i));
    return await Promise.all(
      planned.map(async (plan) => ({ plan, ...(await this.#pairsOf(this.#data[plan.source]!, plan.rows)) })),
    );
  }

  async #pairsOf(
    { rows }: Dataset,
    indexes: readonly number[],
  ): Promise<{ pairs: TrainingPair[]; problems: { place: string; reason: string }[] }> {
    const prepared = await this.#pairs.prepare(indexes.map((row) => rows[row]!));
    return {
      pairs: prepared.flatMap((row) => ("pair" in row ? [row.pair] : [])),
      problems: prepared.flatMap((row) => ("pair" in row ? [] : [row])),
    };
  }

  /** One update. */
  async #take(batches: readonly PreparedBatch[]): Promise<void> {
    const { batchSize, chunkSize, clipNorm, lora, seed } = this.#config;
    const startedMs = performance.now();
    const step = this.#step + 1;
    for (const { problems } of batches)
      for (const problem of problems) this.#write({ type: "problem", step, ...problem });
    const usable = batches.filter(({ pairs }) => pairs.length >= 2);
    if (usable.length === 0)
      throw new TrainingError(`step ${step}: no two rows of its batch can be used; the log names each with its reason`);
    const written: (readonly WrittenRationale[] | undefined)[] = [];
    for (const [i, { pairs }] of usable.entries()) written.push(await this.#rationales(pairs, mix(seed, step, i)));
    const generateSeconds = this.#writer === undefined ? 0 : (performance.now() - startedMs) / 1000;
    const work = usable.map(({ pairs }, i) => ({ pairs, branches: this.#branches(pairs, written[i]) }));
    const dropout = lora !== null && lora.dropout > 0 ? { share: lora.dropout, seed: mix(seed, step) } : undefined;
    const losses = await this.#runner.backward(work, chunkSize ?? batchSize, this.#optimizer, dropout);
    const rate = learningRate(this.#schedule, this.#step);
    losses.forEach((loss, i) => this.#checkFinite(loss, usable[i]!));
    const gradNorm = await this.#runner.update(this.#optimizer, rate, clipNorm ?? undefined);
    if (!Number.isFinite(gradNorm)) throw notFinite(`the gradients' norm is ${gradNorm}`, step, usable);
    this.#step = step;
    this.#write(
      this.#recordOf(
        usable,
        losses,
        written.flatMap((it) => it ?? []),
        {
          gradNorm,
          learningRate: rate,
          generateSeconds,
          seconds: (performance.now() - startedMs) / 1000,
        },
      ),
    );
  }

  #recordOf(
    batches: readonly PreparedBatch[],
    losses: readonly BatchLosses[],
    written: readonly WrittenRationale[],
    measured: Pick<StepRecord, "gradNorm" | "learningRate" | "generateSeconds" | "seconds">,
  ): StepRecord {
    const { arWeight, embWeight } = this.#config;
    const [lm, contrastive] = [meanOf(losses, "lm"), meanOf(losses, "contrastive")];
    const names = new Set(batches.map(({ plan }) => this.#data[plan.source]!.config.name));
    return {
      type: "step",
      step: this.#step,
      dataset: [...names].join(", "),
      lm,
      contrastive,
      loss: arWeight * (lm ?? 0) + embWeight * (contrastive ?? 0),
      hits: meanOf(losses, "hits"),
      pairs: batches.reduce((sum, { pairs }) => sum + pairs.length, 0),
      tokens: losses.reduce((sum, { rows }) => sum + rows, 0),
      ...measured,
      ...rationaleFacts(
        written,
        batches.flatMap(({ pairs }) => pairs),
      ),
      rssBytes: process.memoryUsage.rss(),
    };
  }

  async #rationales(pairs: readonly TrainingPair[], seed: number): Promise<readonly WrittenRationale[] | undefined> {
    if (this.#writer === undefined) return undefined;
    // A signal stops the run between steps: half a step is worth nothing.
    const never = new AbortController().signal;
    const seeds = pairs.map((_, i) => mix(seed, i));
    return await this.#writer.write(
      pairs.map(({ query }) => query),
      seeds,
      never,
    );
  }

  #branches(pairs: readonly TrainingPair[], written: readonly WrittenRationale[] | undefined): Branches[] {
    return pairs.map((pair, i) => branchesOf(pair, written?.[i], this.#config));
  }

  #checkFinite(loss: BatchLosses, batch: PreparedBatch): void {
    for (const [name, value] of Object.entries({ lm: loss.lm, contrastive: loss.contrastive }))
      if (value !== undefined && !Number.isFinite(value))
        throw notFinite(`the ${name} loss is ${value}`, this.#step + 1, [batch]);
  }

  async #validate(): Promise<void> {
    const { batchSize, validationPairs } = this.#config;
    for (const dataset of this.#validation) {
      const total = Math.min(dataset.rows.length, validationPairs);
      const losses: (BatchLosses & { pairs: number })[] = [];
      const facts: { written: WrittenRationale[]; pairs: TrainingPair[] } = { written: [], pairs: [] };
      for (let start = 0; start < total; start += batchSize) {
        const count = Math.min(batchSize, total - start);
        const { pairs } = await this.#pairsOf(
          dataset,
          Array.from({ length: count }, (_, i) => start + i),
        );
        if (pairs.length < 2) continue;
        const written = await this.#rationales(pairs, 0);
        const loss = await this.#runner.evaluate({ pairs, branches: this.#branches(pairs, written) });
        losses.push({ ...loss, pairs: pairs.length });
        facts.written.push(...(written ?? []));
        facts.pairs.push(...pairs);
      }
      const { endedShare, oracleShare } = rationaleFacts(facts.written, facts.pairs);
      this.#write({
        type: "validation",
        step: this.#step,
        dataset: dataset.config.name,
        lm: meanOf(losses, "lm"),
        contrastive: meanOf(losses, "contrastive"),
        p1: meanOf(losses, "hits"),
        endedShare,
        oracleShare,
        pairs: facts.pairs.length,
      });
    }
  }

  /** Writes a checkpoint, drops the oldest, and returns its step. */
  #save(): number {
    const { output, keep } = this.#config;
    const root = join(output, RUN_FILES.checkpoints);
    const folder = join(root, `step-${String(this.#step).padStart(8, "0")}`);
    saveCheckpoint(folder, this.#model, this.#optimizer.state, { ...this.#facts, step: this.#step });
    this.#write({ type: "checkpoint", step: this.#step, folder });
    writeReport(this.#log.path, join(output, RUN_FILES.report));
    for (const old of findCheckpoints(root).slice(0, -keep)) rmSync(old.folder, { recursive: true, force: true });
    return this.#step;
  }

  #write(record: LogRecord): void {
    this.#log.write(record);
    this.#hooks.onRecord?.(record);
  }
}

/** A batch with its rows ready. */
interface PreparedBatch {
  readonly plan: PlannedBatch;
  readonly pairs: readonly TrainingPair[];
  readonly problems: readonly { readonly place: string; readonly reason: string }[];
}

/** What follows a query in the mode of a run. */
export function branchesOf(
  { oracleIds }: Pick<TrainingPair, "oracleIds">,
  written: WrittenRationale | undefined,
  { mode, arWeight, embWeight }: Pick<TrainConfig, "mode" | "arWeight" | "embWeight">,
): Branches {
  const lm = arWeight > 0 ? oracleIds : undefined;
  if (embWeight === 0) return { lm, contrast: undefined };
  if (mode === "direct") return { lm, contrast: [] };
  const read = mode === "oracle" ? oracleIds! : written!.ids;
  // Word for word the oracle's: one branch serves both terms.
  const isOracle = lm !== undefined && read.length === lm.length && read.every((id, i) => id === lm[i]);
  return { lm, contrast: isOracle ? "lm" : read };
}

function rationaleFacts(
  written: readonly WrittenRationale[],
  pairs: readonly TrainingPair[],
): Pick<StepRecord, "endedShare" | "rationaleTokens" | "oracleShare"> {
  if (written.length === 0) return { endedShare: null, rationaleTokens: null, oracleShare: null };
  const isOracle = (ids: readonly number[], i: number): boolean => ids.join(",") === pairs[i]!.oracleIds?.join(",");
  return {
    endedShare: written.filter(({ ended }) => ended).length / written.length,
    rationaleTokens: written.reduce((sum, { ids }) => sum + ids.length, 0) / written.length,
    oracleShare: written.filter(({ ids }, i) => isOracle(ids, i)).length / written.length,
  };
}

function meanOf(losses: readonly BatchLosses[], key: "lm" | "contrastive" | "hits"): number | null {
  const values = losses.flatMap((loss) => (loss[key] === undefined ? [] : [loss[key]]));
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}

function notFinite(what: string, step: number, batches: readonly PreparedBatch[]): TrainingError {
  const places = batches.flatMap(({ pairs }) => pairs.map(({ place }) => place));
  const shown = places.slice(0, 8).join("; ");
  return new TrainingError(
    `step ${step}: ${what}, in the batch of ${shown}${places.length > 8 ? `; and ${places.length - 8} more` : ""}. Nothing was updated with it. Lower learningRate or clipNorm, or look at those rows.`,
  );
}

function packageVersion(): string {
  const manifest = new URL("../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version;
}
