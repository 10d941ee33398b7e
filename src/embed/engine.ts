/**
 * Batched ragged generation: items of different lengths share a batch, each leaves when it has met its end, and new ones
 * take its place. What an item gets does not depend on its neighbours.
 */
import { setImmediate } from "node:timers/promises";
import { joinFloats } from "../host-tensor.ts";
import { Sampler } from "../runtime/sampler.ts";
import type { KvCache } from "../runtime/kv-cache.ts";
import type { CheckedItem } from "./check-item.ts";
import type { Ending } from "./ending.ts";
import { chanceOfYes } from "./judge.ts";
import type { ReadPrompt } from "./language-model.ts";
import type { OpenModel } from "./model.ts";
import { isWriting, type PreparedItem } from "./prepare.ts";
import type { EmbedResult } from "./types.ts";

/** What the engine asks of an item: whether it is to write, and how. */
export type EngineItem = Pick<CheckedItem, "reason" | "rationale">;

/** What it gives of an item. */
export interface EngineResult extends EmbedResult {
  /** Chance of a yes, of an item that was to be judged. */
  readonly yes?: number;
}

/** What the engine needs of a model. */
export type EngineModel = Pick<OpenModel, "vision" | "language" | "tokenizer">;

/** How an engine works. */
interface EngineOptions<Item extends EngineItem> {
  readonly batch: number;
  readonly prepare: (item: Item) => Promise<PreparedItem>;
  readonly embeds?: boolean;
}

/** An item on its way through the engine. */
interface Job<Item extends EngineItem = EngineItem> {
  readonly item: Item;
  /** Those that it shares a batch with, and nobody else; `undefined` shares with whoever is there. */
  readonly group: symbol | undefined;
  readonly signal: AbortSignal;
  readonly onRationale: ((text: string) => void) | undefined;
  readonly resolve: (result: EngineResult) => void;
  readonly reject: (error: unknown) => void;
  readonly spent: { prepareMs: number; visionMs: number; prefillMs: number; decodeMs: number };
}

/** A job whose prompt is ready. */
interface ReadyJob extends Job {
  readonly prepared: PreparedItem;
}

/** A job that is writing its rationale; its row in the cache is its index in the list of writers. */
interface Writer extends ReadyJob {
  readonly sampler: Sampler;
  readonly written: number[];
  /** The tokens that end it, once it has ended; the state of the last one is the embedding. */
  ending: { readonly tokens: readonly number[]; readonly finish: "emb" | "budget" } | undefined;
  readonly startedMs: number;
}

/** Embeds items one by one or many at once, in the order they come. */
export class Engine<Item extends EngineItem> {
  readonly #model: EngineModel;
  readonly #ending: Ending;
  readonly #batch: number;
  readonly #prepare: (item: Item) => Promise<PreparedItem>;
  readonly #embeds: boolean;
  readonly #queue: Job<Item>[] = [];
  readonly #writers: Writer[] = [];
  #cache: KvCache | undefined;
  #running = false;

  /**
   * @param options.batch items that write at the same time
   * @param options.prepare makes an item ready; may reject for one that cannot be embedded
   * @param options.embeds whether embeddings are wanted of items that write; without, theirs are empty. @default true
   */
  constructor(model: EngineModel, ending: Ending, { batch, prepare, embeds = true }: EngineOptions<Item>) {
    this.#model = model;
    this.#prepare = prepare;
    this.#embeds = embeds;
    this.#ending = ending;
    this.#batch = batch;
  }

  /**
   * Embeds one item together with whatever else is under way.
   * @param onRationale told what is written so far, with each token
   * @throws {InputError} for an item that cannot be embedded; the reason of `signal` when it is aborted
   */
  embed(item: Item, signal: AbortSignal, onRationale?: (text: string) => void): Promise<EngineResult> {
    return this.#add(item, signal, undefined, onRationale);
  }

  /**
   * Embeds items in a batch of their own: sums over a batch are split by its shape, so that only the same items together
   * give the same bits again.
   * @returns a promise per item, that rejects as those of `embed` do
   */
  embedTogether(items: readonly Item[], signals: readonly AbortSignal[]): Promise<EngineResult>[] {
    if (items.length > this.#batch)
      throw new Error(`internal: ${items.length} items together in an engine of ${this.#batch}`);
    const group = Symbol("items together");
    return items.map((item, i) => this.#add(item, signals[i]!, group));
  }

  #add(
    item: Item,
    signal: AbortSignal,
    group: symbol | undefined,
    onRationale?: (text: string) => void,
  ): Promise<EngineResult> {
    const { promise, resolve, reject } = Promise.withResolvers<EngineResult>();
    const spent = { prepareMs: 0, visionMs: 0, prefillMs: 0, decodeMs: 0 };
    this.#queue.push({ item, group, signal, onRationale, resolve, reject, spent });
    if (!this.#running) {
      this.#running = true;
      void this.#run();
    }
    return promise;
  }

  /** Never rejects: what goes wrong is told to the items it concerns. */
  async #run(): Promise<void> {
    while (this.#queue.length > 0 || this.#writers.length > 0) {
      // A run blocks the thread; between runs, messages (new items, aborts) get their turn.
      await setImmediate();
      this.#dropAborted();
      const admitted = this.#admit();
      try {
        await this.#start(admitted);
      } catch (error) {
        this.#drop(admitted, error);
      }
      try {
        if (this.#writers.length > 0) await this.#step();
      } catch (error) {
        for (const writer of this.#writers.splice(0)) writer.reject(error);
        this.#cache = undefined;
      }
    }
    this.#cache = undefined;
    this.#running = false;
  }

  /** Rejects jobs that failed together; those that had begun to write leave the batch. */
  #drop(jobs: readonly Job[], error: unknown): void {
    for (let row = this.#writers.length - 1; row >= 0; row--)
      if (jobs.some(({ resolve }) => resolve === this.#writers[row]!.resolve)) this.#leave(row);
    for (const job of jobs) job.reject(error);
  }

  #dropAborted(): void {
    for (let i = this.#queue.length - 1; i >= 0; i--)
      if (this.#queue[i]!.signal.aborted) rejectAborted(this.#queue.splice(i, 1)[0]!);
    for (let row = this.#writers.length - 1; row >= 0; row--)
      if (this.#writers[row]!.signal.aborted) rejectAborted(this.#leave(row));
  }

  /** The next items in order, as far as there is room: writers up to the batch, as many again that are read only. */
  #admit(): Job<Item>[] {
    const group = this.#queue[0]?.group;
    if (this.#writers.length > 0 && (group ?? this.#writers[0]!.group) !== undefined) return [];
    if (group !== undefined) {
      // A step reads all that the cache has room for, and the room that others needed would change its sums.
      this.#cache = undefined;
      const end = this.#queue.findIndex((job) => job.group !== group);
      return this.#queue.splice(0, end < 0 ? this.#queue.length : end);
    }
    let rows = this.#batch - this.#writers.length;
    let reads = this.#batch;
    const admitted: Job<Item>[] = [];
    while (this.#queue.length > 0) {
      const { item, group: next } = this.#queue[0]!;
      const writes = isWriting(item);
      if (next !== undefined || (writes ? rows : reads) === 0) break;
      if (writes) rows--;
      else reads--;
      admitted.push(this.#queue.shift()!);
    }
    return admitted;
  }

  /** Prepares items, runs the vision tower, reads the prompts; direct items are done then, the others join the writers. */
  async #start(jobs: readonly Job<Item>[]): Promise<void> {
    // Together: pictures are decoded on threads of their own.
    const ready = (await Promise.all(jobs.map((job) => this.#ready(job)))).filter((job) => job !== undefined);
    if (ready.length === 0) return;
    const seenMs = performance.now();
    const features = await this.#model.vision.encode(ready.flatMap(({ prepared }) => prepared.images));
    const readMs = performance.now();
    let image = 0;
    const prompts = ready.map(({ prepared }) => ({
      ...prepared.prompt,
      features: features.slice(image, (image += prepared.images.length)),
    }));
    const read = await this.#model.language.read(prompts);
    const doneMs = performance.now();
    for (const [i, job] of ready.entries()) {
      Object.assign(job.spent, { visionMs: readMs - seenMs, prefillMs: doneMs - readMs });
      if (!isWriting(job.item) && job.prepared.answers === undefined)
        this.#finish(job, read[i]!.hidden, job.prepared.givenIds, job.item.rationale === undefined ? "direct" : "emb");
    }
    await this.#judge(ready, read);
    await this.#join(ready, read);
  }

  /** The job with its prompt, or `undefined` where it was told why there is none. */
  async #ready(job: Job<Item>): Promise<ReadyJob | undefined> {
    const startedMs = performance.now();
    try {
      return { ...job, prepared: await this.#prepare(job.item) };
    } catch (error) {
      job.reject(error);
      return undefined;
    } finally {
      job.spent.prepareMs = performance.now() - startedMs;
    }
  }

  /** Compares what prompts that ask for a yes or a no would be answered with. */
  async #judge(ready: readonly ReadyJob[], read: readonly ReadPrompt[]): Promise<void> {
    const asked = [...ready.keys()].filter((i) => ready[i]!.prepared.answers !== undefined);
    if (asked.length === 0) return;
    const logits = await this.#model.language.logits(joinFloats(asked.map((i) => read[i]!.hidden)));
    const vocab = logits.length / asked.length;
    asked.forEach((i, at) => {
      const job = ready[i]!;
      const yes = chanceOfYes(logits.subarray(at * vocab, (at + 1) * vocab), job.prepared.answers!);
      this.#finish(job, read[i]!.hidden, [], "direct", { yes });
    });
  }

  /** Puts prompts that are to be continued into the cache and samples their first tokens. */
  async #join(ready: readonly ReadyJob[], read: readonly ReadPrompt[]): Promise<void> {
    const writing = [...ready.keys()].filter((i) => isWriting(ready[i]!.item));
    if (writing.length === 0) return;
    const startedMs = performance.now();
    const room = Math.max(...writing.map((i) => roomFor(ready[i]!)));
    this.#cache ??= this.#model.language.newCache(this.#batch, room);
    this.#cache.reserve(room);
    const joined = writing.map((i) => {
      const job = ready[i]!;
      const row = this.#cache!.addRow();
      for (const part of read[i]!.parts) this.#cache!.append(row, part.block, part.row, part.count);
      const sampler = new Sampler(job.item.reason!, job.prepared.prompt.ids);
      return { ...job, sampler, written: [], ending: undefined, startedMs } satisfies Writer;
    });
    this.#writers.push(...joined);
    await this.#sample(joined, joinFloats(writing.map((i) => read[i]!.hidden)));
  }

  /** Takes out the writers that have ended, and feeds the others their last token to choose another. */
  async #step(): Promise<void> {
    await this.#readOut();
    if (this.#writers.length === 0) return;
    const writers = this.#writers;
    const positions = writers.map((writer, row) => this.#positionAfter(writer, row));
    const tokens = writers.map(({ written }) => written.at(-1)!);
    await this.#sample(writers, await this.#model.language.step(this.#cache!, tokens, positions));
  }

  async #readOut(): Promise<void> {
    const rows = [...this.#writers.keys()].filter((row) => this.#writers[row]!.ending !== undefined);
    if (rows.length === 0) return;
    const endings = rows.map((row) => {
      const writer = this.#writers[row]!;
      return { row, tokens: writer.ending!.tokens, position: this.#positionAfter(writer, row) };
    });
    const states = this.#embeds
      ? await this.#model.language.readOut(this.#cache!, endings)
      : endings.map(() => new Float32Array(0));
    // From the last row down: a row that leaves is filled by the last one, which stays or has left already.
    for (let i = rows.length - 1; i >= 0; i--) {
      const writer = this.#leave(rows[i]!);
      writer.spent.decodeMs = performance.now() - writer.startedMs;
      this.#finish(writer, states[i]!, writer.written, writer.ending!.finish);
    }
  }

  /** Position of the token that comes after what the cache holds of a writer. */
  #positionAfter({ prepared }: Writer, row: number): number {
    return this.#cache!.lengthOf(row) + prepared.prompt.positions.delta;
  }

  /** Chooses the next token of each writer from its hidden state: `[writers, hidden]`. */
  async #sample(writers: readonly Writer[], hidden: Float32Array): Promise<void> {
    const logits = await this.#model.language.logits(hidden);
    const vocab = logits.length / writers.length;
    writers.forEach((writer, i) =>
      this.#take(writer, writer.sampler.next(logits.subarray(i * vocab, (i + 1) * vocab))),
    );
  }

  #take(writer: Writer, id: number): void {
    const { maxNewTokens, onBudget } = writer.item.reason!;
    const { mode, stopIds, closingIds } = this.#ending;
    writer.written.push(id);
    // Training-free: the end of the turn is not read; the closing prompt stands in its place.
    if (stopIds.has(id)) writer.ending = { tokens: closingIds, finish: "emb" };
    else if (writer.written.length === maxNewTokens) {
      const forced = onBudget === "force-emb" || mode === "training-free" ? closingIds : [];
      writer.ending = { tokens: [id, ...forced], finish: "budget" };
    }
    writer.onRationale?.(this.#textOf(writer.written));
  }

  /** Takes a writer out; the last one moves into its row. */
  #leave(row: number): Writer {
    const writer = this.#writers[row]!;
    this.#cache!.removeRow(row);
    const last = this.#writers.pop()!;
    if (last !== writer) this.#writers[row] = last;
    return writer;
  }

  /** What tokens say, without the one that ended them. */
  #textOf(ids: readonly number[]): string {
    const ended = ids.length > 0 && this.#ending.stopIds.has(ids.at(-1)!);
    return this.#model.tokenizer.decode(ended ? ids.slice(0, -1) : ids);
  }

  #finish(
    job: ReadyJob,
    state: Float32Array,
    ids: readonly number[],
    finish: EmbedResult["finish"],
    judged: Pick<EngineResult, "yes"> = {},
  ): void {
    job.resolve({
      ...judged,
      embedding: unitLength(state),
      rationale: this.#textOf(ids),
      rationaleIds: [...ids],
      rationaleTokens: ids.length,
      finish,
      promptTokens: job.prepared.promptTokens,
      timings: { ...job.spent },
    });
  }
}

function rejectAborted(job: Job): void {
  job.reject(job.signal.reason);
}

/** Tokens an item may come to hold in the cache; what ends it is read beside the cache. */
function roomFor({ prepared, item }: ReadyJob): number {
  return prepared.prompt.ids.length + item.reason!.maxNewTokens;
}

/** A copy at L2 length 1, summed in double precision. */
function unitLength(state: Float32Array): Float32Array {
  let square = 0;
  for (const value of state) square += value * value;
  const inverse = 1 / Math.sqrt(square);
  return Float32Array.from(state, (value) => value * inverse);
}
