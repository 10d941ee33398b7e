/** Prepared batches from a worker thread, a few ahead of the step. */
import type { Worker } from "node:worker_threads";
import type { TrainRow } from "../dataset/train-rows.ts";
import { TrainingError } from "../errors.ts";
import { startWorker } from "../runtime/start-worker.ts";
import type { PreparedRow, PrepareSettings } from "./prepare-pair.ts";
import type { PrepareReply, PrepareRequest, PrepareWorkerData } from "./prepare-worker.ts";

/** Prepares rows in a thread of its own. */
export class PairSource implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, PromiseWithResolvers<readonly PreparedRow[]>>();
  readonly #exited: Promise<void>;
  #nextId = 0;

  /** @param folder the checkpoint whose tokenizer, template and image settings are used */
  constructor(folder: string, settings: PrepareSettings) {
    const workerData: PrepareWorkerData = { folder, settings };
    this.#worker = startWorker(new URL("./prepare-worker.ts", import.meta.url), workerData);
    const fail = (error: Error): void => {
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    };
    this.#worker.on("message", ({ id, rows }: PrepareReply) => {
      this.#waiting.get(id)?.resolve(rows);
      this.#waiting.delete(id);
    });
    this.#worker.once("error", (error) =>
      fail(new TrainingError(`preparing rows failed: ${String(error)}`, { cause: error })),
    );
    this.#exited = new Promise((resolve) => {
      this.#worker.once("exit", () => {
        fail(new TrainingError("the thread that prepares rows ended"));
        resolve();
      });
    });
  }

  /** The rows in order, each ready or with what is wrong with it. */
  prepare(rows: readonly TrainRow[]): Promise<readonly PreparedRow[]> {
    const id = this.#nextId++;
    const waiting = Promise.withResolvers<readonly PreparedRow[]>();
    this.#waiting.set(id, waiting);
    const request: PrepareRequest = { id, rows };
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread has no origin
    this.#worker.postMessage(request);
    return waiting.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread has no origin
    this.#worker.postMessage("close");
    await this.#exited;
  }
}
