import { floats, type Feeds } from "../host-tensor.ts";

/** Sizes of a decoder's keys and values. */
export interface KvSizes {
  readonly layers: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

/** Keys and values of several rows, one array per layer, each `[rows, kvHeads, length, headDim]`. */
export interface KvBlock {
  readonly keys: readonly Float32Array[];
  readonly values: readonly Float32Array[];
  /** Tokens that each row has room for. */
  readonly length: number;
}

/** Added to the scores of empty slots: their share of the softmax is exactly zero. */
const EMPTY = -1e9;
/** Room grows by this many tokens, so that a step that outgrows it copies the cache seldom. */
const GROWTH = 64;

/**
 * Past keys and values of a batch whose rows come, grow and go at different times. The arrays belong to JavaScript and
 * are fed to the graph as they lie; a step writes only the new token's entries. Rows in use are always the first ones.
 */
export class KvCache implements KvBlock {
  readonly #sizes: KvSizes;
  readonly #maxRows: number;
  readonly #lengths: number[] = [];
  #bias: Float32Array;
  keys: Float32Array[];
  values: Float32Array[];
  length: number;

  /** @param length tokens per row to make room for at first */
  constructor(sizes: KvSizes, maxRows: number, length: number) {
    this.#sizes = sizes;
    this.#maxRows = maxRows;
    // An empty past still has one (masked) slot: ORT has no products over nothing.
    this.length = Math.max(1, length);
    this.#bias = new Float32Array(maxRows * this.length).fill(EMPTY);
    this.keys = this.#allocate();
    this.values = this.#allocate();
  }

  /** Rows in use. */
  get rows(): number {
    return this.#lengths.length;
  }

  /** Tokens of a row. */
  lengthOf(row: number): number {
    return this.#lengths[row]!;
  }

  /** Opens an empty row and returns its index. */
  addRow(): number {
    if (this.rows === this.#maxRows) throw new Error(`internal: all ${this.#maxRows} rows of the cache are taken`);
    return this.#lengths.push(0) - 1;
  }

  /** Makes room for `length` tokens in every row. */
  reserve(length: number): void {
    if (length <= this.length) return;
    const before: KvBlock & { bias: Float32Array } = {
      keys: this.keys,
      values: this.values,
      length: this.length,
      bias: this.#bias,
    };
    this.length = Math.ceil(length / GROWTH) * GROWTH;
    this.#bias = new Float32Array(this.#maxRows * this.length).fill(EMPTY);
    this.keys = this.#allocate();
    this.values = this.#allocate();
    for (let row = 0; row < this.rows; row++) {
      const count = this.#lengths[row]!;
      this.#lengths[row] = 0;
      this.append(row, before, row, count);
    }
  }

  /** Appends the first `count` tokens of row `from` of `block` to `row`. */
  append(row: number, block: KvBlock, from: number, count: number): void {
    const start = this.#lengths[row]!;
    this.reserve(start + count);
    const { layers, kvHeads, headDim } = this.#sizes;
    for (let layer = 0; layer < layers; layer++) {
      for (let head = 0; head < kvHeads; head++) {
        const source = (from * kvHeads + head) * block.length * headDim;
        const target = ((row * kvHeads + head) * this.length + start) * headDim;
        this.keys[layer]!.set(block.keys[layer]!.subarray(source, source + count * headDim), target);
        this.values[layer]!.set(block.values[layer]!.subarray(source, source + count * headDim), target);
      }
    }
    this.#bias.fill(0, row * this.length + start, row * this.length + start + count);
    this.#lengths[row] = start + count;
  }

  /** Frees a row; the last row takes its index. Returns the index that moved, which is `row` itself when it was last. */
  removeRow(row: number): number {
    const last = this.rows - 1;
    const { kvHeads, headDim } = this.#sizes;
    const width = kvHeads * this.length * headDim;
    if (row !== last) {
      for (const arrays of [this.keys, this.values])
        for (const array of arrays) array.copyWithin(row * width, last * width, (last + 1) * width);
      this.#bias.copyWithin(row * this.length, last * this.length, (last + 1) * this.length);
      this.#lengths[row] = this.#lengths[last]!;
    }
    this.#bias.fill(EMPTY, last * this.length, (last + 1) * this.length);
    this.#lengths.pop();
    return last;
  }

  /** Feeds of the rows in use: `past_key.i`, `past_value.i` `[rows, kvHeads, length, headDim]`, `past_bias [rows, 1, 1, 1, length]`. */
  feeds(): Feeds {
    const { layers, kvHeads, headDim } = this.#sizes;
    const shape = [this.rows, kvHeads, this.length, headDim];
    const size = this.rows * kvHeads * this.length * headDim;
    const feeds: Record<string, Feeds[string]> = {
      past_bias: floats(this.#bias.subarray(0, this.rows * this.length), [this.rows, 1, 1, 1, this.length]),
    };
    for (let layer = 0; layer < layers; layer++) {
      feeds[`past_key.${layer}`] = floats(this.keys[layer]!.subarray(0, size), shape);
      feeds[`past_value.${layer}`] = floats(this.values[layer]!.subarray(0, size), shape);
    }
    return feeds;
  }

  #allocate(): Float32Array[] {
    const { layers, kvHeads, headDim } = this.#sizes;
    return Array.from({ length: layers }, () => new Float32Array(this.#maxRows * kvHeads * this.length * headDim));
  }
}
