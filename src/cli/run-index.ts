/** `rge index`: options, progress, watching. */
import { statSync, watch } from "node:fs";
import { resolve } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { Embedder } from "../embed/embedder.ts";
import { messageOf, UsageError } from "../errors.ts";
import { countSource, readSource } from "../search/source.ts";
import { indexSource, type IndexCounts } from "../search/indexer.ts";
import type { Collection } from "../store/store.ts";
import type { Arguments } from "./arguments.ts";
import type { CommandContext } from "./command.ts";
import { EXIT } from "./exit-status.ts";
import { indexProgress, sentenceOf } from "./index-progress.ts";
import { loadModel } from "./load-model.ts";
import { modelPlan } from "./model-options.ts";
import { dropCollection, knownOrigin, openStore, storeFolder } from "./open-store.ts";
import { collectionFor, originFor } from "./origin.ts";
import { writeText } from "./output.ts";
import { formatCount, formatDuration } from "./units.ts";

/** Changes that come within this time are one. */
const SETTLE_MS = 500;

/** What a run came to. */
interface Outcome {
  readonly counts: IndexCounts;
  readonly seconds: number;
}

/**
 * Indexes as the command line says.
 * @returns the exit status
 * @throws {UsageError} options that cannot be carried out
 */
export async function runIndex(args: Arguments, context: CommandContext): Promise<number> {
  const [source, ...others] = args.positionals;
  if (source === undefined) throw new UsageError("index wants a source: a folder, or a .jsonl, .csv or .parquet file");
  if (others.length > 0) throw new UsageError(`index takes one source, got also "${others[0]}"`);
  const name = args.required("collection", "the collection that the source becomes");
  const folder = storeFolder(args.text("store"));
  await using store = await openStore(folder);
  const known = await knownOrigin(store, name);
  const model = args.text("model") ?? known?.model;
  if (model === undefined) throw new UsageError("--model is missing: a folder, or a name on the hub");
  await using embedder = await loadModel(modelPlan(args, model, { many: true }), context);
  const rebuilds = known !== undefined && args.has("rebuild");
  const origin = originFor(model, embedder, rebuilds ? undefined : known, {
    instruction: args.text("instruction"),
    minPixels: args.whole("min-pixels", 1),
    maxPixels: args.whole("max-pixels", 1),
  });
  if (rebuilds) await dropCollection(store, folder, name);
  const collection = await collectionFor(store, name, origin, rebuilds ? undefined : known);
  let outcome = await once(args, collection, embedder, source, context);
  if (args.has("watch"))
    for await (const _ of changesOf(source, context.interrupt.signal))
      outcome = await once(args, collection, embedder, source, context);
  return outcome.counts.failed > 0 ? EXIT.itemsFailed : EXIT.done;
}

async function once(
  args: Arguments,
  collection: Collection,
  embedder: Embedder,
  source: string,
  { messages, interrupt }: CommandContext,
): Promise<Outcome> {
  const { signal } = interrupt;
  const startedMs = performance.now();
  const total = await countSource(source, signal);
  try {
    const counts = await indexSource(collection, embedder, readSource(source, signal), {
      signal,
      removeGone: !args.has("keep-gone"),
      onProgress: (so) => messages.progress.update(indexProgress(so, total)),
      onProblem: (place, reason) => messages.notice(`${place}: ${reason}`),
    });
    await collection.optimize();
    const seconds = (performance.now() - startedMs) / 1000;
    messages.progress.clear();
    const count = await collection.count();
    if (args.has("json"))
      await writeText(
        process.stdout,
        `${JSON.stringify({ collection: collection.name, count, ...counts, seconds })}\n`,
      );
    else
      messages.notice(
        `${collection.name}: ${sentenceOf(counts)}; ${formatCount(count)} items (${formatDuration(1000 * seconds)})`,
      );
    return { counts, seconds };
  } finally {
    messages.progress.clear();
  }
}

/** Yields once for each stretch of changes under a folder, or of a file. */
async function* changesOf(source: string, signal: AbortSignal): AsyncGenerator<void, void, void> {
  const path = resolve(source);
  let changed = Promise.withResolvers<void>();
  const isFolder = statSync(path).isDirectory();
  const watcher = watch(path, { recursive: isFolder, signal }, () => changed.resolve());
  // The watcher ends with an error when it is aborted.
  watcher.on("error", (error) => (signal.aborted ? changed.resolve() : changed.reject(error)));
  signal.addEventListener("abort", () => changed.resolve(), { once: true });
  try {
    for (;;) {
      await changed.promise.catch((error: unknown) => {
        throw new UsageError(`${source} cannot be watched: ${messageOf(error)}`, { cause: error });
      });
      await wait(SETTLE_MS);
      if (signal.aborted) return;
      changed = Promise.withResolvers();
      yield;
    }
  } finally {
    watcher.close();
  }
}
