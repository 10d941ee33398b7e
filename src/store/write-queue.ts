/** Writes to one table come one after another: two merges at a time would have one fail as a conflict. */
export class WriteQueue {
  #last: Promise<unknown> = Promise.resolve();

  async run<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#last;
    const done = (async () => {
      await before;
      return await work();
    })();
    this.#last = done.catch(() => undefined);
    return await done;
  }
}
