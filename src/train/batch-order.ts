/** Which rows make up each batch: a function of the seed and the batch's number, so that a resumed run sees the same. */
import { InputError } from "../errors.ts";
import { seededRandom, type Random } from "../random.ts";

/** A dataset as far as batches depend on it. */
export interface BatchSource {
  readonly name: string;
  /** Relative share of batches. */
  readonly weight: number;
  /** A length per row, estimated, by which rows of one batch are alike. */
  readonly lengths: ArrayLike<number>;
}

/** How batches are made. */
export interface BatchOrderOptions {
  readonly batchSize: number;
  readonly seed: number;
  /** Batches whose rows are sorted by length together; 1 sorts none. */
  readonly bucketBatches: number;
}

/** One batch. */
export interface PlannedBatch {
  /** Index of its source. */
  readonly source: number;
  /** Passes over the source that were complete when it began. */
  readonly epoch: number;
  readonly rows: readonly number[];
}

/** Where one source stands. */
interface Progress {
  /** Batches taken in all. */
  count: number;
  /** The permutation in use, counted from 0. */
  epoch: number;
  /** Batches of the epoch, in the order they are taken. */
  batches: readonly (readonly number[])[];
  /** Of those, how many were taken. */
  taken: number;
  /** Rows that did not fill a batch and begin the next epoch's. */
  left: readonly number[];
}

/**
 * Batches from one source each, sources taken by their weights as evenly as whole numbers allow (the source furthest
 * behind its share goes next), so that a short run has seen every task: draws by chance would need hundreds of batches
 * to come as close. Every row of a source comes once per pass; rows that do not fill a batch open the next pass's first,
 * so none is dropped, and no batch has a row twice.
 */
export class BatchOrder {
  readonly #sources: readonly BatchSource[];
  readonly #options: BatchOrderOptions;
  #progress: Progress[] = [];
  #planned = 0;
  #last: PlannedBatch | undefined;

  /** @throws {InputError} no source, a source with fewer rows than a batch, a weight or size that is not positive */
  constructor(sources: readonly BatchSource[], options: BatchOrderOptions) {
    for (const [name, value] of Object.entries({
      batchSize: options.batchSize,
      bucketBatches: options.bucketBatches,
    }))
      if (!Number.isInteger(value) || value < 1)
        throw new InputError(`${name} is ${value}; it must be a whole number from 1`);
    if (sources.length === 0) throw new InputError("no dataset to take batches from: give at least one");
    for (const { name, weight, lengths } of sources) {
      if (!(weight > 0 && weight < Infinity))
        throw new InputError(`${name}: weight ${weight} is not a positive number. Leave the dataset out instead.`);
      if (lengths.length < options.batchSize)
        throw new InputError(
          `${name}: ${lengths.length} rows are too few for batches of ${options.batchSize}: a row would be its own negative. Lower batchSize or join datasets.`,
        );
    }
    this.#sources = sources;
    this.#options = options;
  }

  /**
   * Batches of one pass over every source, whole ones: rows that do not fill a batch belong to the next pass. With
   * unequal weights so many batches pass some sources more than once and others not in full.
   */
  get batchesPerPass(): number {
    const { batchSize } = this.#options;
    return this.#sources.reduce((sum, { lengths }) => sum + Math.floor(lengths.length / batchSize), 0);
  }

  /**
   * Batch `index`, counted from 0; the same whatever was asked before. The next one costs next to nothing, going back
   * plans again from the start.
   */
  at(index: number): PlannedBatch {
    if (!Number.isInteger(index) || index < 0) throw new Error(`internal: batch ${index} was asked for`);
    if (this.#last === undefined || index < this.#planned - 1) {
      this.#progress = this.#sources.map(() => ({ count: 0, epoch: -1, batches: [], taken: 0, left: [] }));
      this.#planned = 0;
      this.#last = this.#next();
    }
    while (this.#planned <= index) this.#last = this.#next();
    return this.#last;
  }

  #next(): PlannedBatch {
    const source = this.#furthestBehind();
    const progress = this.#progress[source]!;
    // A batch that begins with rows left over still belongs to the pass that they end.
    const epoch = Math.floor((progress.count * this.#options.batchSize) / this.#sources[source]!.lengths.length);
    if (progress.taken === progress.batches.length) this.#startEpoch(source, progress);
    progress.count++;
    this.#planned++;
    return { source, epoch, rows: progress.batches[progress.taken++]! };
  }

  /** The source whose count is furthest below its share; the first of equals. */
  #furthestBehind(): number {
    const total = this.#sources.reduce((sum, { weight }) => sum + weight, 0);
    const behind = this.#sources.map(
      ({ weight }, i) => (weight / total) * (this.#planned + 1) - this.#progress[i]!.count,
    );
    return behind.indexOf(Math.max(...behind));
  }

  #startEpoch(source: number, progress: Progress): void {
    const { batchSize, seed, bucketBatches } = this.#options;
    const { lengths } = this.#sources[source]!;
    progress.epoch++;
    progress.taken = 0;
    const random = seededRandom(mix(seed, source, progress.epoch));
    // Rows left over come first, filled up with others of the new pass, so that none is in the batch twice.
    const fresh = shuffled(
      Array.from({ length: lengths.length }, (_, row) => row),
      random,
    );
    const carried = new Set(progress.left);
    const first = fresh.filter((row) => !carried.has(row));
    const rows = [...progress.left, ...first.slice(0, batchSize - carried.size)];
    const opening = carried.size > 0 ? [rows] : [];
    const filling = new Set(carried.size > 0 ? rows.slice(carried.size) : []);
    const rest = fresh.filter((row) => !filling.has(row));
    const batches: number[][] = [];
    const window = batchSize * bucketBatches;
    const whole = rest.length - (rest.length % batchSize);
    for (let start = 0; start < whole; start += window) {
      const bucket = rest.slice(start, Math.min(whole, start + window));
      if (bucketBatches > 1) bucket.sort((a, b) => lengths[a]! - lengths[b]!);
      for (let at = 0; at < bucket.length; at += batchSize) batches.push(bucket.slice(at, at + batchSize));
    }
    progress.left = rest.slice(whole);
    progress.batches = [...opening, ...(bucketBatches > 1 ? shuffled(batches, random) : batches)];
  }
}

/** A number from several, spread over 32 bits. */
export function mix(...parts: readonly number[]): number {
  let hash = 0x9e3779b9;
  for (const part of parts) {
    hash = Math.imul(hash ^ (part | 0), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    hash ^= hash >>> 16;
  }
  return hash >>> 0;
}

/** A copy in random order. Fisher and Yates. */
function shuffled<T>(values: readonly T[], random: Random): T[] {
  const copy = [...values];
  for (let i = copy.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [copy[i], copy[j]] = [copy[j]!, copy[i]!];
  }
  return copy;
}
