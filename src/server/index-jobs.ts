/** Folders and files being indexed while the server answers. */
import type { Embedder } from "../embed/embedder.ts";
import { indexSource, type IndexCounts } from "../search/indexer.ts";
import { countSource, readSource } from "../search/source.ts";
import { messageOf } from "../errors.ts";
import type { Collection } from "../store/store.ts";
import { HttpError } from "./errors.ts";

/** Reasons kept of one job. */
const MAX_PROBLEMS = 100;

/** How far a job has come. */
export interface JobStatus {
  readonly state: "running" | "done" | "failed" | "stopped";
  readonly counts: IndexCounts;
  /** Entries of the source, where counting them is cheap. */
  readonly total: number | undefined;
  readonly startedAt: string;
  readonly seconds: number;
  /** The first entries that could not be indexed. */
  readonly problems: readonly { readonly place: string; readonly reason: string }[];
  /** Why it failed. */
  readonly error: string | undefined;
}

interface Job {
  status: JobStatus;
  readonly stop: AbortController;
  readonly done: Promise<void>;
}

/** One job a collection. */
export class IndexJobs {
  readonly #embedder: Embedder;
  readonly #jobs = new Map<string, Job>();

  constructor(embedder: Embedder) {
    this.#embedder = embedder;
  }

  /** The last job of a collection. */
  statusOf(collection: string): JobStatus | undefined {
    return this.#jobs.get(collection)?.status;
  }

  /**
   * Starts to index a source.
   * @throws {HttpError} 409 while another is running
   */
  start(collection: Collection, path: string): JobStatus {
    if (this.#jobs.get(collection.name)?.status.state === "running")
      throw new HttpError(409, "indexing", `collection ${collection.name} is being indexed already`);
    const stop = new AbortController();
    const startMs = performance.now();
    const problems: { place: string; reason: string }[] = [];
    const job: Job = {
      stop,
      status: {
        state: "running",
        counts: { seen: 0, embedded: 0, unchanged: 0, moved: 0, failed: 0, removed: 0 },
        total: undefined,
        startedAt: new Date().toISOString(),
        seconds: 0,
        problems,
        error: undefined,
      },
      done: this.#run(collection, path, stop.signal, problems, (change) => {
        const seconds = (performance.now() - startMs) / 1000;
        job.status = { ...job.status, seconds, ...change };
      }),
    };
    this.#jobs.set(collection.name, job);
    return job.status;
  }

  /** Resolves when the last job of a collection has ended, however it did. */
  async ended(collection: string): Promise<void> {
    await this.#jobs.get(collection)?.done;
  }

  /** Stops what is running; what was embedded stays. */
  async close(): Promise<void> {
    for (const { stop } of this.#jobs.values()) stop.abort(new Error("the server is stopping"));
    await Promise.all([...this.#jobs.values()].map(({ done }) => done));
  }

  async #run(
    collection: Collection,
    path: string,
    signal: AbortSignal,
    problems: { place: string; reason: string }[],
    change: (status: Partial<JobStatus>) => void,
  ): Promise<void> {
    // Not before the job is in the table.
    await Promise.resolve();
    try {
      change({ total: await countSource(path, signal) });
      const counts = await indexSource(collection, this.#embedder, readSource(path, signal), {
        signal,
        onProgress: (so) => change({ counts: so }),
        onProblem: (place, reason) => {
          if (problems.length < MAX_PROBLEMS) problems.push({ place, reason });
        },
      });
      await collection.optimize();
      change({ state: "done", counts });
    } catch (error) {
      change(signal.aborted ? { state: "stopped" } : { state: "failed", error: messageOf(error) });
    }
  }
}
