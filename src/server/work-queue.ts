/** How much work the server takes on: what is beyond that is told when to come back. */
import { HttpError } from "./errors.ts";

/** Time over which the rate of work is measured: a large model may take that long for a few items. */
const WINDOW_MS = 60_000;
const LONGEST_WAIT_SECONDS = 60;
/** So many items are always taken on: they share a batch. */
const ALWAYS = 16;

/** Counts items that are under way; the Embedder does them in batches in the order they came. */
export class WorkQueue {
  readonly maxItems: number;
  readonly maxWaitSeconds: number;
  #items = 0;
  /** Milliseconds that there was work, until it last began or ended. */
  #busyMs = 0;
  #beganMs = 0;
  #closed = false;
  /** When the first of what is counted began. */
  #fromMs = 0;
  readonly #done: { atMs: number; items: number }[] = [];
  readonly #onIdle: (() => void)[] = [];

  /**
   * @param maxItems most items under way, waiting ones included
   * @param maxWaitSeconds longest that an item may have to wait, as far as the rate of the last minute tells
   */
  constructor(maxItems: number, maxWaitSeconds: number) {
    this.maxItems = maxItems;
    this.maxWaitSeconds = maxWaitSeconds;
  }

  /** Items under way. */
  get items(): number {
    return this.#items;
  }

  /**
   * Does work that counts as so many items.
   * @throws {HttpError} 429 with Retry-After when it would be too many, 503 when the server is stopping
   */
  async run<T>(items: number, work: () => Promise<T>): Promise<T> {
    if (this.#closed)
      throw new HttpError(503, "stopping", "the server is stopping", { headers: { "retry-after": "5" } });
    const all = this.#items + items;
    // What is accepted should be done before its client gives up; with nothing else to do, anything is tried.
    const inTime = this.#items === 0 ? Infinity : Math.max(ALWAYS, this.maxWaitSeconds * this.#rate());
    const excess = all - Math.min(this.maxItems, inTime);
    if (excess > 0) {
      const seconds = Math.min(LONGEST_WAIT_SECONDS, Math.max(1, Math.ceil(excess / this.#rate())));
      throw new HttpError(
        429,
        "too_busy",
        `${this.#items} items are under way, as many as this server takes on; try again in ${seconds} s`,
        { headers: { "retry-after": `${seconds}` } },
      );
    }
    if (this.#items === 0) this.#beganMs = performance.now();
    this.#items += items;
    try {
      return await work();
    } finally {
      this.#done.push({ atMs: this.#workedMs(), items });
      this.#items -= items;
      if (this.#items === 0) this.#busyMs += performance.now() - this.#beganMs;
      this.#forget();
      if (this.#items === 0) for (const tell of this.#onIdle.splice(0)) tell();
    }
  }

  /** Takes on no more, and resolves when what is under way is done. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#items > 0) await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }

  /** Items a second of late; Infinity before any was done. */
  #rate(): number {
    this.#forget();
    const done = this.#done.reduce((sum, part) => sum + part.items, 0);
    if (done === 0) return Infinity;
    return (1000 * done) / Math.max(1, this.#workedMs() - this.#fromMs);
  }

  /** Milliseconds that there was work until now: idle time says nothing about the rate. */
  #workedMs(): number {
    return this.#busyMs + (this.#items > 0 ? performance.now() - this.#beganMs : 0);
  }

  #forget(): void {
    const oldest = this.#workedMs() - WINDOW_MS;
    while (this.#done.length > 0 && this.#done[0]!.atMs < oldest) this.#fromMs = this.#done.shift()!.atMs;
  }
}
