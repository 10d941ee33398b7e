/**
 * A model folder as one map from canonical tensor names to values, whatever its files and names on disk, with a PEFT
 * adapter merged in where one is given. Tensors are read when asked for; nothing is kept. Knows no model family.
 */
import { CheckpointError } from "../errors.ts";
import { Adapter } from "./adapter.ts";
import { ADAPTER_CONFIG_FILE, adapterConfigBytes, baseModelOf, isAdapter } from "./adapter-config.ts";
import { CONFIG_FILE, configBytes } from "./config.ts";
import { hashCheckpoint } from "./identity.ts";
import { quoted } from "./quoted.ts";
import type { SafetensorsFile } from "./safetensors.ts";
import { type StoredTensor, hasWeights, openWeights } from "./shards.ts";
import type { StoredDtype } from "./stored-dtype.ts";
import { nearestNames } from "./tensor-names.ts";

/** An open checkpoint. Close it, or declare it with `using`. */
export class Checkpoint {
  /** The model folder, as given. */
  readonly folder: string;
  /** Elements of all tensors of the base together. */
  readonly parameterCount: number;
  /** Size of the weights files in bytes, the adapter's among them. */
  readonly sizeBytes: number;
  readonly #tensors: ReadonlyMap<string, StoredTensor>;
  readonly #files: readonly SafetensorsFile[];
  readonly #adapter: Adapter | undefined;
  readonly #configs: readonly (readonly [string, Uint8Array])[];
  #hash: string | undefined;

  private constructor(
    folder: string,
    weights: ReturnType<typeof openWeights>,
    adapter: Adapter | undefined,
    configs: readonly (readonly [string, Uint8Array])[],
  ) {
    this.folder = folder;
    this.#tensors = weights.tensors;
    this.#files = adapter ? [...weights.files, adapter.file] : weights.files;
    this.#adapter = adapter;
    this.#configs = configs;
    this.parameterCount = sum([...weights.tensors.values()].map(({ entry }) => product(entry.shape)));
    this.sizeBytes = sum(this.#files.map((file) => file.sizeBytes));
  }

  /**
   * Opens a model folder with `model.safetensors`, or with `model.safetensors.index.json` and its shards.
   * @param options.adapter folder of a PEFT LoRA adapter, merged into each tensor it touches as that is read
   * @throws {CheckpointError} missing, damaged or hostile files, or an adapter that does not fit
   */
  static open(folder: string, options: { adapter?: string } = {}): Checkpoint {
    if (isAdapter(folder) && !hasWeights(folder)) {
      const base = baseModelOf(folder);
      throw new CheckpointError(
        `${folder}: a PEFT adapter, not a model. Load its base model${base === undefined ? "" : ` (${quoted(base)})`} and give this folder as its adapter (--adapter on the command line).`,
      );
    }
    const weights = openWeights(folder);
    let adapter: Adapter | undefined;
    try {
      const configs: [string, Uint8Array][] = [[CONFIG_FILE, configBytes(folder)]];
      if (options.adapter !== undefined) {
        adapter = Adapter.open(options.adapter, weights.tensors);
        configs.push([ADAPTER_CONFIG_FILE, adapterConfigBytes(options.adapter)]);
      }
      return new Checkpoint(folder, weights, adapter, configs);
    } catch (error) {
      for (const file of weights.files) file.close();
      adapter?.close();
      throw error;
    }
  }

  /** Whether there is a tensor of this canonical name; false for `lm_head.weight` where the embeddings are tied. */
  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  /** Every canonical name, in the order of the files. */
  names(): string[] {
    return [...this.#tensors.keys()];
  }

  /** The name that a tensor has in its file.
   * @throws {CheckpointError} unknown name */
  storedName(name: string): string {
    return this.#get(name).entry.name;
  }

  /** @throws {CheckpointError} unknown name */
  shape(name: string): readonly number[] {
    return this.#get(name).entry.shape;
  }

  /** The dtype that `readBytes` returns: as stored, or `F32` for a tensor that the adapter touches.
   * @throws {CheckpointError} unknown name */
  dtype(name: string): StoredDtype {
    return this.#adapter?.touches(name) ? "F32" : this.#get(name).entry.dtype;
  }

  /**
   * Reads one tensor as float32, row-major, without loading the rest of its file.
   * @param name canonical: `"model.language_model.layers.0.mlp.up_proj.weight"`
   * @throws {CheckpointError} unknown name (lists the nearest three), or a dtype other than F32, F16, BF16
   */
  read(name: string): Float32Array {
    return this.readRows(name, 0, this.#get(name).entry.shape[0] ?? 1);
  }

  /**
   * Reads `count` rows (indices of the first axis) from row `begin` as float32, row-major.
   * @throws {CheckpointError} unknown name, rows that the tensor lacks, or a dtype other than F32, F16, BF16
   */
  readRows(name: string, begin: number, count: number): Float32Array {
    const { file, entry } = this.#get(name);
    const rows = entry.shape[0] ?? 1;
    if (!Number.isInteger(begin) || !Number.isInteger(count) || begin < 0 || count < 0 || begin + count > rows) {
      throw new CheckpointError(`${file.path}: ${quoted(name)} has ${rows} rows, asked for ${count} from ${begin}.`);
    }
    const width = product(entry.shape.slice(1));
    const values = file.readFloats(entry, begin * width, count * width);
    this.#adapter?.merge(name, values, begin, width);
    return values;
  }

  /**
   * The bytes of one tensor, row-major, little-endian, of `dtype(name)`.
   * @throws {CheckpointError} unknown name
   */
  readBytes(name: string): Uint8Array {
    const { file, entry } = this.#get(name);
    if (this.#adapter?.touches(name)) return new Uint8Array(this.read(name).buffer);
    return file.readBytes(entry, 0, product(entry.shape));
  }

  /**
   * 64 hex digits that change when the weights, the configuration or the adapter change; how surely, and when a mere
   * copy changes them too, is written at `hashCheckpoint`. Taken on first use.
   */
  get hash(): string {
    this.#hash ??= hashCheckpoint(this.#configs, this.#files);
    return this.#hash;
  }

  /** Closes the files; reading afterwards throws. */
  close(): void {
    for (const file of this.#files) file.close();
    this.#adapter?.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #get(name: string): StoredTensor {
    const tensor = this.#tensors.get(name);
    if (tensor) return tensor;
    throw new CheckpointError(
      `${this.folder}: no tensor ${quoted(name)}; nearest are ${nearestNames(name, this.#tensors.keys(), 3).map(quoted).join(", ")}.`,
    );
  }
}

function product(shape: readonly number[]): number {
  return shape.reduce((result, dim) => result * dim, 1);
}

function sum(values: readonly number[]): number {
  return values.reduce((result, value) => result + value, 0);
}
