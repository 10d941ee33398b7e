import { availableParallelism } from "node:os";
import type { Worker } from "node:worker_threads";
import { resolveModel } from "../checkpoint/hub.ts";
import { NANO } from "../checkpoint/nano.ts";
import { InputError, RuntimeError } from "../errors.ts";
import { defaultCacheDir } from "../runtime/compile-cache.ts";
import { Gate } from "../runtime/gate.ts";
import { startWorker } from "../runtime/start-worker.ts";
import { checkItem, type CheckedItem } from "./check-item.ts";
import { PART_FORMATS, WEIGHT_FORMATS } from "./formats.ts";
import { inOrder } from "./in-order.ts";
import { unpackError, type FromWorker, type ToWorker, type WorkerRequest } from "./protocol.ts";
import type { EngineResult } from "./engine.ts";
import type { EmbedItem, EmbedOutcome, EmbedResult, JudgeItem, LoadOptions, ModelInfo } from "./types.ts";

/** Items handed to the worker ahead of the one awaited, in batches: enough that none waits for the caller. */
const BATCHES_AHEAD = 3;
/** Most items decoded together; the cache of keys and values grows with it. */
const MAX_BATCH = 256;

/** How a call is carried out. */
export interface CallOptions {
  /** Stops the items of this call; what they were doing ends at the next step. */
  readonly signal?: AbortSignal | undefined;
  /** Told what an item's rationale says so far, each time a token is added to it. */
  readonly onRationale?: ((index: number, text: string) => void) | undefined;
}

/** An item that the worker has. */
interface Waiting extends PromiseWithResolvers<EngineResult> {
  readonly onRationale: ((text: string) => void) | undefined;
}

/** What becomes of one item. */
type Outcome =
  | { readonly index: number; readonly result: EngineResult }
  | { readonly index: number; readonly error: Error };

/**
 * Embeds text and images with a multimodal LLM: queries after a rationale that the model writes, targets directly. The
 * model runs in a worker thread, so the caller's event loop stays free; calls made at the same time share batches.
 */
export class Embedder implements AsyncDisposable {
  /** What was loaded. */
  readonly info: ModelInfo;
  readonly #worker: Worker;
  readonly #batch: number;
  readonly #repetitionPenalty: number;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 0;
  #ended: Error | undefined;
  readonly #exited: Promise<void>;

  private constructor(worker: Worker, batch: number, ready: Extract<FromWorker, { type: "ready" }>) {
    this.#worker = worker;
    this.#batch = batch;
    this.info = ready.info;
    this.#repetitionPenalty = ready.repetitionPenalty;
    worker.on("message", (message: FromWorker) => this.#receive(message));
    this.#exited = new Promise((resolve) => {
      const end = (error: Error): void => {
        this.#end(error);
        resolve();
      };
      worker.once("error", (error) => end(new RuntimeError(`the worker failed: ${String(error)}`, { cause: error })));
      worker.once("exit", (code) => end(new RuntimeError(`the worker ended unexpectedly, exit code ${code}`)));
    });
  }

  /**
   * Loads a checkpoint: `nano`, which comes with the package and knows drawn scenes only; a folder; or
   * `owner/model[@revision]` from the Hugging Face hub.
   * @throws {CheckpointError} files that are missing, damaged or of an unknown family
   * @throws {HubError} a download that fails
   * @throws {RuntimeError} when graphs cannot be compiled or opened
   */
  static async load(model: string = NANO, options: LoadOptions = {}): Promise<Embedder> {
    const { weights = "int8", batch = 16, threads = availableParallelism(), onProgress, onNotice, signal } = options;
    if (!(weights in PART_FORMATS))
      throw new InputError(`weights is one of ${WEIGHT_FORMATS.join(", ")}, got ${JSON.stringify(weights)}`);
    if (!Number.isInteger(batch) || batch < 1 || batch > MAX_BATCH)
      throw new InputError(`batch is a whole number from 1 to ${MAX_BATCH}, got ${batch}`);
    if (!Number.isInteger(threads) || threads < 1)
      throw new InputError(`threads is a whole number above 0, got ${threads}`);
    const folder = await resolveModel(model, {
      ...(signal && { signal }),
      ...(onNotice && { onNotice }),
      onProgress: ({ file, receivedBytes, totalBytes }) =>
        onProgress?.({ stage: "download", file, doneBytes: receivedBytes, totalBytes }),
    });
    const adapter = options.adapter && (await resolveModel(options.adapter, signal ? { signal } : {}));
    signal?.throwIfAborted();
    const { closingPrompt, cacheDir = defaultCacheDir() } = options;
    const request: WorkerRequest = {
      folder,
      adapter,
      formats: PART_FORMATS[weights],
      threads,
      cacheDir,
      batch,
      closingPrompt,
    };
    return await start(request, options, (worker, ready) => new Embedder(worker, batch, ready));
  }

  /**
   * Embeds items and returns their results in order.
   * @throws {InputError} for the first item that cannot be embedded; the others are stopped
   */
  async embed(items: readonly EmbedItem[], options: CallOptions = {}): Promise<EmbedResult[]> {
    return await all(this.stream(items, options), items.length);
  }

  /**
   * Embeds items in one batch of their own, whatever else is under way: the same items with the same number of threads
   * give the same bits again, which `embed` does not promise.
   * @param items at most `batch` of them
   * @param options.nameOf how errors name an item. @default "item 3"
   * @throws {InputError} for the first item that cannot be embedded; the others are stopped
   */
  async embedTogether(
    items: readonly EmbedItem[],
    options: Pick<CallOptions, "signal"> & { readonly nameOf?: ((index: number) => string) | undefined } = {},
  ): Promise<EmbedResult[]> {
    const { signal, nameOf = (index) => `item ${index}` } = options;
    if (items.length > this.#batch)
      throw new InputError(`${items.length} items together, and the batch is ${this.#batch}`);
    signal?.throwIfAborted();
    if (this.#ended !== undefined) throw this.#ended;
    const naming = async <T>(index: number, work: () => T | Promise<T>): Promise<T> => {
      try {
        return await work();
      } catch (error) {
        throw signal?.aborted ? signal.reason : withPlace(error as Error, nameOf(index));
      }
    };
    const checked = await Promise.all(items.map((item, i) => naming(i, () => this.#check(item))));
    const ids = items.map(() => this.#nextId++);
    const results = ids.map((id, i) => naming(i, () => this.#wait(id)));
    this.#post({ type: "embed-together", ids, items: checked });
    const abort = (): void => this.#abort(ids);
    signal?.addEventListener("abort", abort, { once: true });
    try {
      return await Promise.all(results);
    } finally {
      signal?.removeEventListener("abort", abort);
      abort();
    }
  }

  /**
   * Chances, 0 to 1 and in order, that the model would answer a question with yes rather than no.
   * @throws {InputError} for the first item that cannot be read; the others are stopped
   */
  async judge(items: readonly JudgeItem[], { signal }: Pick<CallOptions, "signal"> = {}): Promise<number[]> {
    const judged = items.map((item): CheckedItem => ({ ...this.#check({ ...item, role: "target" }), judge: true }));
    const results = await all(
      this.#outcomes(judged, (item) => item, { signal }),
      items.length,
    );
    return results.map(({ yes }) => yes!);
  }

  /**
   * Embeds items as they come and yields an outcome for each, in their order; an item that fails does not stop the
   * others. Only a few batches are taken from `items` ahead of the reader.
   */
  async *stream(
    items: Iterable<EmbedItem> | AsyncIterable<EmbedItem>,
    options: CallOptions = {},
  ): AsyncGenerator<EmbedOutcome, void, void> {
    yield* this.#outcomes(items, (item) => this.#check(item), options);
  }

  /** Frees the model. Items under way are stopped. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended === undefined) this.#post({ type: "close" });
    this.#end(new RuntimeError("the Embedder is closed"));
    await this.#exited;
  }

  async *#outcomes<Item>(
    items: Iterable<Item> | AsyncIterable<Item>,
    check: (item: Item) => CheckedItem,
    { signal, onRationale }: CallOptions,
  ): AsyncGenerator<Outcome, void, void> {
    const open = new Set<number>();
    let index = 0;
    const submit = async (item: Item): Promise<Outcome> => {
      const place = index++;
      const id = this.#nextId++;
      open.add(id);
      try {
        return { index: place, result: await this.#send(id, check(item), onRationale?.bind(undefined, place)) };
      } catch (error) {
        return { index: place, error: error instanceof Error ? error : new RuntimeError(String(error)) };
      } finally {
        open.delete(id);
      }
    };
    try {
      yield* inOrder(items, submit, BATCHES_AHEAD * this.#batch, signal);
    } finally {
      this.#abort([...open]);
    }
  }

  #check(item: EmbedItem): CheckedItem {
    return checkItem(item, this.#repetitionPenalty);
  }

  async #send(id: number, item: CheckedItem, onRationale?: (text: string) => void): Promise<EngineResult> {
    if (this.#ended !== undefined) throw this.#ended;
    const result = this.#wait(id, onRationale);
    this.#post({ type: "embed", id, item, follow: onRationale !== undefined });
    return await result;
  }

  #wait(id: number, onRationale?: (text: string) => void): Promise<EngineResult> {
    const waiting = { ...Promise.withResolvers<EngineResult>(), onRationale };
    this.#waiting.set(id, waiting);
    return waiting.promise;
  }

  #abort(ids: readonly number[]): void {
    const open = ids.filter((id) => this.#waiting.has(id));
    if (open.length > 0 && this.#ended === undefined) this.#post({ type: "abort", ids: open });
  }

  #post(message: ToWorker): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread has no origin
    this.#worker.postMessage(message);
  }

  #receive(message: FromWorker): void {
    if (message.type === "rationale") this.#waiting.get(message.id)?.onRationale?.(message.text);
    if (message.type === "result") this.#settle(message.id)?.resolve(message.result);
    if (message.type === "error") this.#settle(message.id)?.reject(unpackError(message.error));
  }

  #settle(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }

  #end(error: Error): void {
    this.#ended ??= error;
    for (const id of this.#waiting.keys()) this.#settle(id)!.reject(this.#ended);
  }
}

/** Starts the worker and waits until its model is open. */
async function start<T>(
  request: WorkerRequest,
  { onProgress, signal }: LoadOptions,
  open: (worker: Worker, ready: Extract<FromWorker, { type: "ready" }>) => T,
): Promise<T> {
  const gate = new Gate();
  const workerData: WorkerRequest = { ...request, gate: gate.memory };
  const worker = startWorker(new URL("./worker.ts", import.meta.url), workerData);
  shutAtExit(worker, gate);
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const listen = (message: FromWorker): void => {
    if (message.type === "progress") onProgress?.(message.progress);
    if (message.type === "failed") reject(unpackError(message.error));
    if (message.type === "ready") resolve(open(worker, message));
  };
  const fail = (error: unknown): void =>
    reject(new RuntimeError(`the worker failed: ${String(error)}`, { cause: error }));
  const exit = (): void => reject(new RuntimeError("the worker ended while it was loading"));
  const abort = (): void => reject(signal!.reason);
  worker.on("message", listen).once("error", fail).once("exit", exit);
  signal?.addEventListener("abort", abort);
  try {
    return await promise;
  } catch (error) {
    await gate.shut();
    await worker.terminate();
    throw error;
  } finally {
    worker.off("message", listen).off("error", fail).off("exit", exit);
    signal?.removeEventListener("abort", abort);
  }
}

/** Gates of the workers that are alive. */
const gates = new Set<Gate>();

/** An exit of the process ends its workers wherever they are. */
function shutAtExit(worker: Worker, gate: Gate): void {
  if (gates.size === 0) process.on("exit", shutGates);
  gates.add(gate);
  worker.once("exit", () => {
    gates.delete(gate);
    if (gates.size === 0) process.off("exit", shutGates);
  });
}

function shutGates(): void {
  for (const gate of gates) gate.shutNow();
}

/** The results in order; the first error is thrown, naming its item where there are several. */
async function all(outcomes: AsyncIterable<Outcome>, count: number): Promise<EngineResult[]> {
  const results: EngineResult[] = [];
  for await (const outcome of outcomes) {
    if ("error" in outcome) throw count > 1 ? withPlace(outcome.error, `item ${outcome.index}`) : outcome.error;
    results.push(outcome.result);
  }
  return results;
}

/** Says which item of several an error is about, keeping its class. */
function withPlace(error: Error, name: string): Error {
  error.message = `${name}: ${error.message}`;
  return error;
}
