import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { EMBEDDING_LAYER } from "../models/index.ts";

/** Rows kept in memory: those of a template and of common words; 32 MB at the 3B's width. */
const KEPT_ROWS = 4096;

/** Token embeddings read from the checkpoint row by row, so that the table is never held as floats. */
export class EmbeddingRows {
  readonly #checkpoint: Checkpoint;
  readonly #kept = new Map<number, Float32Array>();
  readonly #name = `${EMBEDDING_LAYER}.weight`;

  constructor(checkpoint: Checkpoint) {
    this.#checkpoint = checkpoint;
  }

  /** The row of `id`, `[hidden]`; not to be changed. */
  row(id: number): Float32Array {
    const known = this.#kept.get(id);
    if (known !== undefined) return known;
    const row = this.#checkpoint.readRows(this.#name, id, 1);
    if (this.#kept.size >= KEPT_ROWS) this.#kept.delete(this.#kept.keys().next().value!);
    this.#kept.set(id, row);
    return row;
  }
}
