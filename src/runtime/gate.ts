/**
 * Lets a thread be ended only while it is outside onnxruntime-node, which makes JavaScript values in the middle of its
 * native calls: where that fails because the thread is being ended, it aborts the whole process ("terminate called
 * after throwing an instance of 'Napi::Error'", seen with 1.30.0).
 */

/** Cell that is 1 once the gate is shut. */
const SHUT = 0;
/** Cell that counts the native calls under way. */
const INSIDE = 1;
/** A native call takes seconds; a thread that died inside one must not keep the process for ever. */
const MAX_WAIT_MS = 60_000;

/** A gate between a thread and native code; the thread and its owner each hold one over the same memory. */
export class Gate {
  /** What the thread is to be given. */
  readonly memory: SharedArrayBuffer;
  readonly #cells: Int32Array<SharedArrayBuffer>;

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(8)) {
    this.memory = memory;
    this.#cells = new Int32Array(memory);
  }

  /** In the thread: does native work. Once the gate is shut, the thread stands still here until it is ended. */
  async pass<T>(work: () => Promise<T>): Promise<T> {
    Atomics.add(this.#cells, INSIDE, 1);
    try {
      if (Atomics.load(this.#cells, SHUT) === 1) this.#standStill();
      return await work();
    } finally {
      this.#leave();
    }
  }

  /** Shuts the gate and resolves when the thread can be ended. */
  async shut(): Promise<void> {
    Atomics.store(this.#cells, SHUT, 1);
    const endMs = performance.now() + MAX_WAIT_MS;
    for (let inside = this.#inside(); inside > 0 && performance.now() < endMs; inside = this.#inside())
      await Atomics.waitAsync(this.#cells, INSIDE, inside, endMs - performance.now()).value;
  }

  /** As `shut`, but blocks the calling thread: for the moment when a process exits. */
  shutNow(): void {
    Atomics.store(this.#cells, SHUT, 1);
    const endMs = performance.now() + MAX_WAIT_MS;
    for (let inside = this.#inside(); inside > 0 && performance.now() < endMs; inside = this.#inside())
      Atomics.wait(this.#cells, INSIDE, inside, endMs - performance.now());
  }

  #inside(): number {
    return Atomics.load(this.#cells, INSIDE);
  }

  #leave(): void {
    Atomics.sub(this.#cells, INSIDE, 1);
    Atomics.notify(this.#cells, INSIDE);
  }

  #standStill(): void {
    this.#leave();
    Atomics.wait(this.#cells, SHUT, 1);
  }
}
