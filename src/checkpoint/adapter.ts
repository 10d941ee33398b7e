/**
 * A PEFT adapter laid over a checkpoint: which tensors it touches, and the merge of one of them, row by row.
 * LoRA: Hu et al. 2021, arXiv:2106.09685; DoRA: Liu et al. 2024, arXiv:2402.09353; names and scaling as PEFT 0.21.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { CheckpointError } from "../errors.ts";
import { ADAPTER_FILE, type AdapterConfig, readAdapterConfig } from "./adapter-config.ts";
import { quoted } from "./quoted.ts";
import { SafetensorsFile, type TensorEntry } from "./safetensors.ts";
import type { StoredTensor } from "./shards.ts";
import { canonicalName, nearestNames } from "./tensor-names.ts";

const PEFT_PREFIX = "base_model.model.";

/** `<module>.<part>`, with the adapter's name ("default") in it where a state dict was saved without PEFT's clean-up. */
const PART =
  /^(.+)\.(lora_A|lora_B|lora_embedding_A|lora_embedding_B|lora_magnitude_vector)(?:\.default)?(?:\.weight)?$/;

type Part = "lora_A" | "lora_B" | "lora_embedding_A" | "lora_embedding_B" | "lora_magnitude_vector";

/** How one tensor of the base is changed. */
type Change =
  | { readonly kind: "replace"; readonly entry: TensorEntry }
  | {
      readonly kind: "low-rank";
      /** `[rank, in]` and `[out, rank]`; the base tensor is `[out, in]`, or `[in, out]` with `transposed`. */
      readonly a: TensorEntry;
      readonly b: TensorEntry;
      readonly transposed: boolean;
      readonly scaling: number;
      /** `[out]`, with DoRA. */
      readonly magnitude: TensorEntry | undefined;
    };

/** An open adapter, checked against the base it is laid over. */
export class Adapter {
  readonly file: SafetensorsFile;
  readonly #changes: ReadonlyMap<string, Change>;
  #factors: { name: string; left: Float32Array; right: Float32Array } | undefined;

  private constructor(file: SafetensorsFile, changes: ReadonlyMap<string, Change>) {
    this.file = file;
    this.#changes = changes;
  }

  /**
   * Opens the adapter in `folder` for a base whose tensors are `base`, by canonical name.
   * @throws {CheckpointError} an unsupported kind of adapter, a tensor that no base tensor matches, shapes that do not fit
   */
  static open(folder: string, base: ReadonlyMap<string, StoredTensor>): Adapter {
    const config = readAdapterConfig(folder);
    const path = join(folder, ADAPTER_FILE);
    if (!existsSync(path)) {
      throw new CheckpointError(`${path}: missing. Save the adapter as safetensors, or download it again.`);
    }
    const file = SafetensorsFile.open(path);
    try {
      const changes = readChanges(file, config, base);
      refuseTiedEmbedding(path, changes, base);
      return new Adapter(file, changes);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Whether the tensor of this canonical name is changed. */
  touches(name: string): boolean {
    return this.#changes.has(name);
  }

  /**
   * Merges into `rows`, which holds rows `begin`, `begin + 1`, ... of the base tensor `name`, in place:
   * `W' = W + scaling * B A`, with DoRA `W' = m / ||W + scaling * B A|| * (W + scaling * B A)` row by row.
   * @param width elements per row
   */
  merge(name: string, rows: Float32Array, begin: number, width: number): void {
    const change = this.#changes.get(name);
    if (!change) return;
    if (change.kind === "replace") {
      rows.set(this.file.readFloats(change.entry, begin * width, rows.length));
      return;
    }
    const { left, right } = this.#lowRankFactors(name, change);
    const rank = change.a.shape[0]!;
    const magnitude = change.magnitude && this.file.readFloats(change.magnitude, begin, rows.length / width);
    const sums = new Float64Array(width);
    for (let row = 0; row * width < rows.length; row++) {
      const values = rows.subarray(row * width, (row + 1) * width);
      addProduct(values, left.subarray((begin + row) * rank, (begin + row + 1) * rank), right, change.scaling, sums);
      if (magnitude) scaleToNorm(values, magnitude[row]!);
    }
  }

  /** Closes the adapter's file. */
  close(): void {
    this.file.close();
    this.#factors = undefined;
  }

  /** `left [rows, rank]` and `right [rank, width]` with `delta = left right`; kept while one tensor is read in parts. */
  #lowRankFactors(
    name: string,
    change: Extract<Change, { kind: "low-rank" }>,
  ): { left: Float32Array; right: Float32Array } {
    if (this.#factors?.name === name) return this.#factors;
    const a = readAll(this.file, change.a);
    const b = readAll(this.file, change.b);
    const [rank, inputs] = change.a.shape as [number, number];
    const outputs = change.b.shape[0]!;
    // (B A)^T = A^T B^T
    this.#factors = change.transposed
      ? { name, left: transpose(a, rank, inputs), right: transpose(b, outputs, rank) }
      : { name, left: b, right: a };
    return this.#factors;
  }
}

function readChanges(
  file: SafetensorsFile,
  config: AdapterConfig,
  base: ReadonlyMap<string, StoredTensor>,
): Map<string, Change> {
  const changes = new Map<string, Change>();
  const modules = new Map<string, Map<Part, TensorEntry>>();
  for (const entry of file.entries.values()) {
    if (!entry.name.startsWith(PEFT_PREFIX)) {
      throw new CheckpointError(
        `${file.path}: ${quoted(entry.name)} does not begin with ${quoted(PEFT_PREFIX)}. Not a PEFT adapter.`,
      );
    }
    const name = entry.name.slice(PEFT_PREFIX.length);
    const [, module, part] = PART.exec(name) ?? [];
    if (module === undefined) {
      const saved = name.replace(/\.modules_to_save(?:\.default)?(?=\.)/, "");
      if (changes.has(canonicalName(saved))) throw changedTwice(file.path, name);
      changes.set(canonicalName(saved), readReplacement(entry, saved, config, base));
    } else {
      const parts = modules.get(module) ?? new Map<Part, TensorEntry>();
      if (parts.has(part as Part)) throw changedTwice(file.path, name);
      parts.set(part as Part, entry);
      modules.set(module, parts);
    }
  }
  for (const [module, parts] of modules) {
    const name = canonicalName(`${module}.weight`);
    if (changes.has(name)) throw changedTwice(file.path, name);
    changes.set(name, readLowRank(file.path, module, parts, config, baseTensor(file.path, name, base)));
  }
  return changes;
}

function changedTwice(path: string, name: string): CheckpointError {
  return new CheckpointError(`${path}: changes ${quoted(name)} twice. The file is damaged or hostile.`);
}

function readReplacement(
  entry: TensorEntry,
  name: string,
  config: AdapterConfig,
  base: ReadonlyMap<string, StoredTensor>,
): Change {
  const module = name.slice(0, name.lastIndexOf("."));
  if (!config.modulesToSave.some((saved) => module === saved || `.${module}.`.includes(`.${saved}.`))) {
    throw new CheckpointError(
      `${entry.path}: ${quoted(entry.name)} is neither a LoRA tensor nor in modules_to_save. Not an adapter that this version reads.`,
    );
  }
  const { entry: replaced } = baseTensor(entry.path, canonicalName(name), base);
  expectShape(entry, replaced.shape, `the base's ${quoted(replaced.name)}`);
  return { kind: "replace", entry };
}

function readLowRank(
  path: string,
  module: string,
  parts: ReadonlyMap<Part, TensorEntry>,
  config: AdapterConfig,
  base: StoredTensor,
): Change {
  const transposed = parts.has("lora_embedding_A");
  const a = parts.get(transposed ? "lora_embedding_A" : "lora_A");
  const b = parts.get(transposed ? "lora_embedding_B" : "lora_B");
  const magnitude = parts.get("lora_magnitude_vector");
  const extra = parts.size !== 2 + (magnitude ? 1 : 0);
  if (!a || !b || extra || (magnitude !== undefined) !== config.dora || (transposed && config.dora)) {
    throw new CheckpointError(
      `${path}: module ${quoted(module)} has ${[...parts.keys()].join(", ")}, expected lora_A and lora_B${config.dora ? ", lora_magnitude_vector (DoRA on embeddings is not supported)" : ""}. Merge it with PEFT and open the result.`,
    );
  }
  const { shape } = base.entry;
  if (shape.length !== 2) {
    throw new CheckpointError(
      `${path}: module ${quoted(module)} has the weight ${quoted(shape)}; LoRA is merged into matrices only. Merge it with PEFT and open the result.`,
    );
  }
  // `fan_in_fan_out` is for GPT-2's Conv1D; PEFT itself ignores it on Linear, which every module of these models is.
  const [outputs, inputs] = (transposed ? [shape[1], shape[0]] : shape) as [number, number];
  const rank = config.rankVaries ? (a.shape[0] ?? 0) : config.rank;
  expectShape(a, [rank, inputs], `rank ${rank} and base ${quoted(shape)}`);
  expectShape(b, [outputs, rank], `rank ${rank} and base ${quoted(shape)}`);
  if (magnitude) expectShape(magnitude, [outputs], `base ${quoted(shape)}`);
  return { kind: "low-rank", a, b, transposed, magnitude, scaling: config.scaling(module, rank) };
}

function baseTensor(path: string, name: string, base: ReadonlyMap<string, StoredTensor>): StoredTensor {
  const tensor = base.get(name);
  if (tensor) return tensor;
  throw new CheckpointError(
    `${path}: changes ${quoted(name)}, which the base lacks; nearest are ${nearestNames(name, base.keys(), 3).join(", ")}. Open it with the base it was trained on.`,
  );
}

/** With tied embeddings one stored matrix is both ends of the model, but an adapter changes only the input end. */
function refuseTiedEmbedding(
  path: string,
  changes: ReadonlyMap<string, Change>,
  base: ReadonlyMap<string, StoredTensor>,
): void {
  const name = "model.language_model.embed_tokens.weight";
  if (changes.has(name) && !base.has("lm_head.weight")) {
    throw new CheckpointError(
      `${path}: changes ${quoted(name)}, but the base has no lm_head.weight of its own (tied), so a merge would change the output as well. Untie the base first.`,
    );
  }
}

function expectShape({ path, name, shape }: TensorEntry, expected: readonly number[], reason: string): void {
  if (shape.length === expected.length && shape.every((dim, axis) => dim === expected[axis])) return;
  throw new CheckpointError(
    `${path}: ${quoted(name)} is ${quoted(shape)}, expected ${quoted(expected)} from ${reason}. Open it with the base it was trained on.`,
  );
}

/** `values += scaling * left right`, summed in float64 in the scratch space `sums`. */
function addProduct(
  values: Float32Array,
  left: Float32Array,
  right: Float32Array,
  scaling: number,
  sums: Float64Array,
): void {
  const width = values.length;
  sums.fill(0);
  let k = 0;
  // Four rows of `right` per pass over `sums`: 1.7 instead of 0.9 billion products a second, and adapters have many.
  for (; k + 4 <= left.length; k += 4) {
    const f0 = left[k]! * scaling;
    const f1 = left[k + 1]! * scaling;
    const f2 = left[k + 2]! * scaling;
    const f3 = left[k + 3]! * scaling;
    const r0 = k * width;
    const r1 = r0 + width;
    const r2 = r1 + width;
    const r3 = r2 + width;
    for (let i = 0; i < width; i++) {
      sums[i]! += f0 * right[r0 + i]! + f1 * right[r1 + i]! + f2 * right[r2 + i]! + f3 * right[r3 + i]!;
    }
  }
  for (; k < left.length; k++) {
    const factor = left[k]! * scaling;
    const offset = k * width;
    for (let i = 0; i < width; i++) sums[i]! += factor * right[offset + i]!;
  }
  for (let i = 0; i < width; i++) values[i]! += sums[i]!;
}

function scaleToNorm(values: Float32Array, norm: number): void {
  let squares = 0;
  for (const value of values) squares += value * value;
  const factor = norm / Math.sqrt(squares);
  for (let i = 0; i < values.length; i++) values[i]! *= factor;
}

function transpose(matrix: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(matrix.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) out[column * rows + row] = matrix[row * columns + column]!;
  }
  return out;
}

function readAll(file: SafetensorsFile, entry: TensorEntry): Float32Array {
  return file.readFloats(
    entry,
    0,
    entry.shape.reduce((product, dim) => product * dim, 1),
  );
}
