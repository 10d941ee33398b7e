/** A training run from its settings to a finished model: steps, log, validation, checkpoints, going on after a stop. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { TrainingError } from "../errors.ts";
import { machineName, packageVersion } from "../provenance.ts";
import { mix, type PlannedBatch } from "./batch-order.ts";
import { branchesOf } from "./branches.ts";
import type { Branches, TrainingPair } from "./collate.ts";
import type { TrainConfig } from "./config.ts";
import type { Dataset } from "./datasets.ts";
import { TrainingLog, type LogRecord, type StepRecord } from "./log.ts";
import { openRun, type OpenRun, type TrainHooks } from "./open-run.ts";
import type { WrittenRationale } from "./rationale-writer.ts";
import { writeReport } from "./report.ts";
import { clearOutput, RUN_FILES } from "./run-folder.ts";
import { findCheckpoints, saveCheckpoint, saveModel } from "./save.ts";
import { learningRate, type Schedule } from "./schedule.ts";
import type { BatchLosses } from "./step.ts";
import { meanOf, notFinite, rationaleFacts } from "./step-record.ts";

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
  await using parts = await openRun(config, hooks);
  return await new Run(config, hooks, parts).go();
}

class Run {
  readonly #config: TrainConfig;
  readonly #hooks: TrainHooks;
  readonly #parts: OpenRun;
  readonly #log: TrainingLog;
  readonly #schedule: Schedule;
  #step: number;

  constructor(config: TrainConfig, hooks: TrainHooks, parts: OpenRun) {
    this.#config = config;
    this.#hooks = hooks;
    this.#parts = parts;
    this.#step = parts.step;
    this.#log = new TrainingLog(join(config.output, RUN_FILES.log));
    this.#schedule = {
      peak: config.learningRate,
      warmupSteps: Math.round(config.warmup * config.steps),
      totalSteps: config.steps,
      decay: config.decay,
      final: config.finalRate,
    };
  }

  /** Steps until the end, or until the signal. */
  async go(): Promise<TrainOutcome> {
    const { steps, saveEvery, output } = this.#config;
    const validateEvery = this.#config.validateEvery ?? Math.max(1, Math.round(steps / 10));
    const isStopped = (): boolean => this.#hooks.signal?.aborted ?? false;
    const startedMs = performance.now();
    this.#begin();
    // What training is to be measured by: the model as it was.
    if (this.#step === 0) await this.#validate();
    const ahead: Promise<readonly PreparedBatch[]>[] = [];
    let saved = this.#step;
    for (let next = this.#step; this.#step < steps && !isStopped();) {
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
    if (finished) saveModel(model, this.#parts.model, this.#config.saveAs, this.#parts.optimizer.state.ema);
    const seconds = (performance.now() - startedMs) / 1000;
    this.#write({ type: "end", step: this.#step, seconds, reason: finished ? "finished" : "stopped" });
    const report = join(output, RUN_FILES.report);
    writeReport(this.#log.path, report);
    return { step: this.#step, finished, model: finished ? model : undefined, log: this.#log.path, report };
  }

  #begin(): void {
    const config = this.#config;
    const time = new Date().toISOString();
    if (this.#parts.resumed) {
      this.#log.truncateAfter(this.#step);
      this.#write({ type: "resume", step: this.#step, time });
      return;
    }
    clearOutput(config.output);
    this.#write({
      type: "start",
      time,
      version: packageVersion(),
      model: config.model,
      modelHash: this.#parts.model.baseHash,
      parameters: [...this.#parts.model.storedNames.keys()].reduce(
        (sum, name) => sum + this.#parts.model.weights.data(name).length,
        0,
      ),
      trained: this.#parts.model.weights.trained.size,
      threads: this.#parts.facts.threads,
      machine: machineName(),
      datasets: [...this.#parts.data, ...this.#parts.validation].map(({ config: { name }, rows, hash, problems }) => ({
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
    const planned = Array.from({ length: accumulate }, (_, i) => this.#parts.order.at(step * accumulate + i));
    return await Promise.all(
      planned.map(async (plan) => ({ plan, ...(await this.#pairsOf(this.#parts.data[plan.source]!, plan.rows)) })),
    );
  }

  async #pairsOf(
    { rows }: Dataset,
    indexes: readonly number[],
  ): Promise<{ pairs: TrainingPair[]; problems: { place: string; reason: string }[] }> {
    const prepared = await this.#parts.pairs.prepare(indexes.map((row) => rows[row]!));
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
    const generateSeconds = this.#parts.writer === undefined ? 0 : (performance.now() - startedMs) / 1000;
    const work = usable.map(({ pairs }, i) => ({ pairs, branches: this.#branches(pairs, written[i]) }));
    const dropout = lora !== null && lora.dropout > 0 ? { share: lora.dropout, seed: mix(seed, step) } : undefined;
    const losses = await this.#parts.runner.backward(work, chunkSize ?? batchSize, this.#parts.optimizer, dropout);
    const rate = learningRate(this.#schedule, this.#step);
    losses.forEach((loss, i) => this.#checkFinite(loss, usable[i]!));
    const gradNorm = await this.#parts.runner.update(this.#parts.optimizer, rate, clipNorm ?? undefined);
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
    const names = new Set(batches.map(({ plan }) => this.#parts.data[plan.source]!.config.name));
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
    if (this.#parts.writer === undefined) return undefined;
    // A signal stops the run between steps: half a step is worth nothing.
    const never = new AbortController().signal;
    const seeds = pairs.map((_, i) => mix(seed, i));
    return await this.#parts.writer.write(
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
    for (const dataset of this.#parts.validation) {
      const total = Math.min(dataset.rows.length, validationPairs);
      const losses: BatchLosses[] = [];
      const facts: { written: WrittenRationale[]; pairs: TrainingPair[] } = { written: [], pairs: [] };
      for (let start = 0; start < total; start += batchSize) {
        const count = Math.min(batchSize, total - start);
        const { pairs } = await this.#pairsOf(
          dataset,
          Array.from({ length: count }, (_, i) => start + i),
        );
        if (pairs.length < 2) continue;
        const written = await this.#rationales(pairs, 0);
        losses.push(await this.#parts.runner.evaluate({ pairs, branches: this.#branches(pairs, written) }));
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
    saveCheckpoint(folder, this.#parts.model, this.#parts.optimizer.state, { ...this.#parts.facts, step: this.#step });
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
