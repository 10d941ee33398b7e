/** How much work the server takes on: what is beyond that is told when to come back. */
import { HttpError } from "./errors.ts";

/** Time over which the rate of work is measured. */
const WINDOW_MS = 10_000;
const LONGEST_WAIT_SECONDS = 60;

/** Counts items that are under way; the Embedder does them in batches in the order they came. */
export class WorkQueue {
  readonly maxItems: number;
  #items = 0;
  #closed = false;
  readonly #done: { atMs: number; items: number }[] = [];
  readonly #onIdle: (() => void)[] = [];

  /** @param maxItems most items under way, waiting ones included */
  constructor(maxItems: number) {
    this.maxItems = maxItems;
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
    if (this.#items + items > this.maxItems) {
      const seconds = this.#secondsFor(this.#items + items - this.maxItems);
      throw new HttpError(
        429,
        "too_busy",
        `${this.#items} items are under way, the most this server takes on; try again in ${seconds} s`,
        {
          headers: { "retry-after": `${seconds}` },
        },
      );
    }
    this.#items += items;
    try {
      return await work();
    } finally {
      this.#items -= items;
      this.#done.push({ atMs: performance.now(), items });
      this.#forget();
      if (this.#items === 0) for (const tell of this.#onIdle.splice(0)) tell();
    }
  }

  /** Takes on no more, and resolves when what is under way is done. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#items > 0) await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }

  /** Seconds until so many items will have been done, at the rate of the last seconds. */
  #secondsFor(items: number): number {
    this.#forget();
    const done = this.#done.reduce((sum, part) => sum + part.items, 0);
    if (done === 0) return 1;
    const spanMs = Math.max(1000, performance.now() - this.#done[0]!.atMs);
    return Math.min(LONGEST_WAIT_SECONDS, Math.max(1, Math.ceil((items * spanMs) / done / 1000)));
  }

  #forget(): void {
    const oldest = performance.now() - WINDOW_MS;
    while (this.#done.length > 0 && this.#done[0]!.atMs < oldest) this.#done.shift();
  }
}
