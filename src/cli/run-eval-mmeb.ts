/** `rge eval mmeb`: options, progress, the table and the files. */
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { inOrder } from "../embed/in-order.ts";
import { UsageError } from "../errors.ts";
import type { Benchmark } from "../eval/benchmark.ts";
import { isOfRun, meanResults, putAside, readResults, RESULTS_FILE, type RunIdentity } from "../eval/results.ts";
import { embedDataset, evaluateDataset, type BenchmarkRun } from "../eval/run-benchmark.ts";
import type { Shard } from "../eval/embed-items.ts";
import type { BenchmarkDataset, EvalResults } from "../eval/types.ts";
import { machineName, packageCommit, packageVersion } from "../provenance.ts";
import type { Arguments } from "./arguments.ts";
import type { CommandContext } from "./command.ts";
import { openData } from "./eval-data.ts";
import { embeddingsFolder, writeFiles } from "./eval-files.ts";
import { loadEvalModel } from "./eval-model.ts";
import { boundsOf, evalSettings, reasoningFrom } from "./eval-settings.ts";
import { resultsTable } from "./eval-table.ts";
import { EXIT } from "./exit-status.ts";
import { writeText } from "./output.ts";
import { formatDuration } from "./units.ts";

/**
 * Evaluates as the command line says.
 * @returns the exit status
 * @throws {UsageError} options that cannot be carried out
 */
export async function runEvalMmeb(args: Arguments, context: CommandContext): Promise<number> {
  const { messages } = context;
  if (args.positionals.length > 0)
    throw new UsageError(`eval mmeb takes no words beside its options, got "${args.positionals[0]}"`);
  const out = resolve(args.required("out", "the folder that results go to, and that a stopped run goes on from"));
  const shard = shardOf(args.text("shard"));
  const { benchmark, datasets, name, revision } = await openData(args, out, context);
  const startedMs = performance.now();
  await using model = await loadEvalModel(args, context);
  const chosen = evalSettings(args, benchmark, model.weights);
  const run: BenchmarkRun = {
    benchmark,
    plan: { ...model.plan, bounds: boundsOf(chosen.settings), shard },
    queryRules: chosen.queryRules,
    targetRules: chosen.targetRules,
    reasoning: reasoningFrom(chosen.settings),
    hidden: model.info.hidden,
    cacheFolder: embeddingsFolder(out, model.info),
    outFolder: out,
    limit: args.whole("limit", 1),
    onNotice: (text) => messages.notice(text),
  };
  if (benchmark.missing.length > 0)
    messages.notice(
      `the data has ${benchmark.datasets.length} of the benchmark's ${benchmark.datasets.length + benchmark.missing.length} datasets: means are over what is there`,
    );
  await mkdir(out, { recursive: true });
  try {
    const follow = await follower(benchmark, datasets, run.limit, context);
    if (shard !== undefined) {
      await inTurn(datasets, (dataset, signal) => embedDataset(run, dataset, { ...follow(dataset), signal }), context);
      messages.notice(
        `part ${shard.index} of ${shard.count} is embedded. When all are, run the same command without --shard to score them.`,
      );
      return EXIT.done;
    }
    const identity = { ...chosen, modelHash: model.info.hash, limit: run.limit ?? null };
    await putOthersAside(out, { ...identity, datasets: datasets.map((dataset) => dataset.name) }, context);
    const evaluated = await inTurn(
      datasets,
      (dataset, signal) => evaluateDataset(run, dataset, { ...follow(dataset), signal }),
      context,
    );
    messages.progress.clear();
    const results: EvalResults = {
      format: "rge-eval/1",
      benchmark: benchmark.name,
      provenance: {
        version: packageVersion(),
        commit: packageCommit(),
        machine: machineName(),
        time: new Date().toISOString(),
        seconds: Math.round((performance.now() - startedMs) / 100) / 10,
        model: model.name,
        modelHash: model.info.hash,
        embeddingDimension: model.info.hidden,
        data: name,
        dataRevision: revision,
        queryRules: { name: chosen.queryRules.name, hash: chosen.queryRules.hash },
        targetRules: { name: chosen.targetRules.name, hash: chosen.targetRules.hash },
        limit: run.limit ?? null,
      },
      settings: chosen.settings,
      datasets: evaluated.map(({ result }) => result),
      means: meanResults(evaluated),
    };
    await writeFiles(out, results);
    await writeText(process.stdout, args.has("json") ? `${JSON.stringify(results, null, 2)}\n` : resultsTable(results));
    messages.notice(`report: ${join(out, "report.html")}`);
    return EXIT.done;
  } finally {
    messages.progress.clear();
  }
}

function shardOf(text: string | undefined): Shard | undefined {
  if (text === undefined) return undefined;
  const [, index, count] = /^(\d+)\/(\d+)$/.exec(text)?.map(Number) ?? [];
  if (index !== undefined && count !== undefined && index >= 1 && index <= count && count <= 10_000)
    return { index, count };
  throw new UsageError(`--shard is K/N with K from 1 to N, such as 2/4; got ${JSON.stringify(text)}`);
}

/** Results of another checkpoint, of other settings or datasets, are kept; those of the same run are written again. */
async function putOthersAside(out: string, run: RunIdentity, { messages }: CommandContext): Promise<void> {
  if (!existsSync(join(out, RESULTS_FILE)) || isOfRun(readResults(out), run)) return;
  messages.notice(`results of another run are put aside, into ${await putAside(out)}`);
}

/** Datasets under way at a time: while one is read or scored, the other keeps the model busy. */
const AT_A_TIME = 2;

/**
 * Does `work` with each dataset, the next one beginning before the last one ends.
 * @returns what came of them, in their order
 * @throws what the first that fails throws; the others are stopped
 */
async function inTurn<T>(
  datasets: readonly BenchmarkDataset[],
  work: (dataset: BenchmarkDataset, signal: AbortSignal) => Promise<T>,
  { interrupt }: CommandContext,
): Promise<T[]> {
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, interrupt.signal]);
  const begun: Promise<unknown>[] = [];
  const begin = (dataset: BenchmarkDataset): Promise<{ value: T } | { error: unknown }> => {
    const outcome = work(dataset, signal).then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    );
    begun.push(outcome);
    return outcome;
  };
  const values: T[] = [];
  try {
    for await (const outcome of inOrder(datasets, begin, AT_A_TIME, interrupt.signal)) {
      if ("error" in outcome) throw outcome.error;
      values.push(outcome.value);
    }
    return values;
  } finally {
    stop.abort();
    await Promise.all(begun);
  }
}

/** Shows how far the first of the datasets under way is, and tells how long all will take. */
async function follower(
  benchmark: Benchmark,
  datasets: readonly BenchmarkDataset[],
  limit: number | undefined,
  { messages }: CommandContext,
): Promise<(dataset: BenchmarkDataset) => { onProgress: (done: number, total: number) => void }> {
  const counts: number[] = [];
  for (const dataset of datasets) counts.push(Math.min(await benchmark.count(dataset), limit ?? Infinity));
  const shares = counts.map(() => 0);
  // What an earlier run left is done at once, and says nothing about the pace.
  const found = counts.map(() => 0);
  const all = sum(counts);
  const startedMs = performance.now();
  return (dataset) => {
    const at = datasets.indexOf(dataset);
    let isFirst = true;
    return {
      onProgress: (done, total) => {
        shares[at] = (done / total) * counts[at]!;
        if (isFirst) found[at] = shares[at];
        isFirst = false;
        if (shares.some((share, i) => i < at && share < counts[i]!)) return;
        const perMs = (sum(shares) - sum(found)) / (performance.now() - startedMs);
        const left = all - sum(shares);
        messages.progress.update({
          what: `${dataset.name} (${at + 1} of ${datasets.length})`,
          done,
          total,
          unit: "items",
          ...(perMs > 0 && left > 0 && { note: `all: ${formatDuration(left / perMs)} left` }),
        });
      },
    };
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
