/** Models and states on disk: folders in Hugging Face's layout that appear whole or not at all. */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  closeSync,
  fsyncSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { ADAPTER_CONFIG_FILE, ADAPTER_FILE } from "../checkpoint/adapter-config.ts";
import { CONFIG_FILE } from "../checkpoint/config.ts";
import { SafetensorsFile } from "../checkpoint/safetensors.ts";
import { writeSafetensors, type TensorToWrite } from "../checkpoint/safetensors-write.ts";
import { SINGLE_FILE } from "../checkpoint/shards.ts";
import { TrainingError, messageOf } from "../errors.ts";
import { headLayer } from "../models/index.ts";
import type { OptimizerState } from "./optimizer.ts";
import type { TrainingModel } from "./training-model.ts";

/** Number format of a saved model. */
export type SavedFormat = "float32" | "bfloat16" | "float16";

const STATE_FILE = "training_state.safetensors";
const STATE_FACTS_FILE = "training_state.json";
const DTYPES = { float32: "F32", bfloat16: "BF16", float16: "F16" } as const;
/** Everything of a checkpoint folder but its weights: configuration, tokenizer, processor, template. */
const COMPANION = /\.(json|jinja|txt|model)$/;
const NO_COMPANION = new Set(["model.safetensors.index.json", STATE_FACTS_FILE, ADAPTER_CONFIG_FILE]);
/** Largest companion copied, in bytes; tokenizers of large vocabularies reach 30 MB. */
const MAX_COMPANION_BYTES = 256 * 2 ** 20;

/** What of a run a checkpoint tells beside its numbers. */
export interface StateFacts {
  /** Updates made. */
  readonly step: number;
  /** Digest of everything that the numbers depend on. */
  readonly fingerprint: string;
  /** The settings behind it, to tell what differs. */
  readonly depends: Readonly<Record<string, unknown>>;
  readonly threads: number;
}

/**
 * Writes the model as it is now: a whole checkpoint, or a PEFT adapter where LoRA is trained.
 * @param flat trained weights to write in place of the current ones
 */
export function saveModel(folder: string, model: TrainingModel, format: SavedFormat, flat?: Float32Array): void {
  writeWhole(folder, (temporary) => writeModel(temporary, model, format, flat));
}

/** Writes a checkpoint that a run can go on from. */
export function saveCheckpoint(folder: string, model: TrainingModel, state: OptimizerState, facts: StateFacts): void {
  writeWhole(folder, (temporary) => {
    writeModel(temporary, model, "float32", undefined);
    const { trained } = model.weights;
    const tensors = Object.entries({ m: state.m, v: state.v, ema: state.ema, weights: trained.weights }).flatMap(
      ([name, data]): TensorToWrite[] =>
        data === undefined ? [] : [{ name, dtype: "F32", shape: [data.length], data }],
    );
    // Weights are in the model's files too, but a merged or renamed tensor there would not do for going on.
    writeSafetensors(join(temporary, STATE_FILE), tensors);
    writeFileSync(join(temporary, STATE_FACTS_FILE), `${JSON.stringify(facts, null, 2)}\n`);
  });
}

/** Folders of the checkpoints of a run with their steps, oldest first. */
export function findCheckpoints(folder: string): { folder: string; step: number }[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .flatMap((name) => {
      const step = /^step-(\d+)$/.exec(name)?.[1];
      return step === undefined ? [] : [{ folder: join(folder, name), step: Number(step) }];
    })
    .sort((a, b) => a.step - b.step);
}

/** What a checkpoint tells beside its numbers. @throws {TrainingError} a folder that is no checkpoint */
export function readStateFacts(folder: string): StateFacts {
  try {
    return JSON.parse(readFileSync(join(folder, STATE_FACTS_FILE), "utf8")) as StateFacts;
  } catch (error) {
    throw new TrainingError(`${folder}: no checkpoint of a run (${messageOf(error)})`, { cause: error });
  }
}

/**
 * Reads the numbers of a checkpoint into a model and an optimizer's state.
 * @throws {TrainingError} sizes that do not fit
 */
export function loadState(folder: string, model: TrainingModel, state: OptimizerState, step: number): void {
  const file = SafetensorsFile.open(join(folder, STATE_FILE));
  try {
    const into = { m: state.m, v: state.v, ema: state.ema, weights: model.weights.trained.weights };
    for (const [name, data] of Object.entries(into)) {
      if (data === undefined) continue;
      const entry = file.entries.get(name);
      if (entry === undefined || entry.dtype !== "F32" || entry.shape[0] !== data.length)
        throw new TrainingError(`${folder}: ${STATE_FILE}: "${name}" does not fit this model`);
      data.set(file.readFloats(entry, 0, data.length));
    }
    state.step = step;
  } finally {
    file.close();
  }
}

function writeModel(folder: string, model: TrainingModel, format: SavedFormat, flat: Float32Array | undefined): void {
  const { weights, storedNames, lora, tied } = model;
  const numbers = (name: string): Float32Array =>
    flat !== undefined && weights.trained.has(name) ? weights.trained.part(flat, name) : weights.data(name);
  if (lora !== undefined) {
    const tensors = weights.trained.shapes.map(({ name, shape }): TensorToWrite => ({
      name: `base_model.model.${name}`,
      dtype: DTYPES[format],
      shape,
      data: () => numbers(name),
    }));
    writeSafetensors(join(folder, ADAPTER_FILE), tensors);
    writeFileSync(join(folder, ADAPTER_CONFIG_FILE), `${JSON.stringify(adapterConfig(model), null, 2)}\n`);
    return;
  }
  // A copy of the table that a tied model carried as its output layer would no longer be one.
  const stored = [...storedNames].filter(([name]) => !(tied && name === `${headLayer(false)}.weight`));
  const tensors = stored.map(([name, onDisk]): TensorToWrite => ({
    name: onDisk,
    dtype: DTYPES[format],
    shape: weights.shape(name),
    data: () => numbers(name),
  }));
  writeSafetensors(join(folder, SINGLE_FILE), tensors);
  copyCompanions(model.folder, folder, format);
}

/** What PEFT needs to load the adapter. */
function adapterConfig({ folder, lora, weights }: TrainingModel): Record<string, unknown> {
  const ending = ".lora_A.weight";
  const layers = weights.trained.shapes.filter(({ name }) => name.endsWith(ending));
  return {
    peft_type: "LORA",
    task_type: null,
    base_model_name_or_path: folder,
    r: lora!.rank,
    lora_alpha: lora!.alpha,
    lora_dropout: lora!.dropout,
    target_modules: layers.map(({ name }) => name.slice(0, -ending.length)),
    bias: "none",
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    use_rslora: false,
    use_dora: false,
    modules_to_save: null,
  };
}

function copyCompanions(from: string, to: string, format: SavedFormat): void {
  for (const name of readdirSync(from)) {
    if (!COMPANION.test(name) || NO_COMPANION.has(name)) continue;
    const path = join(from, name);
    const stats = statSync(path);
    if (!stats.isFile() || stats.size > MAX_COMPANION_BYTES) continue;
    if (name !== CONFIG_FILE) copyFileSync(path, join(to, name));
    else writeFileSync(join(to, name), configWith(readFileSync(path, "utf8"), format));
  }
}

/** config.json with the dtype that the weights now have, wherever it names one. */
function configWith(text: string, format: SavedFormat): string {
  const config = JSON.parse(text) as Record<string, unknown>;
  const renamed = (value: unknown): unknown => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [
        key,
        (key === "dtype" || key === "torch_dtype") && typeof inner === "string" ? format : renamed(inner),
      ]),
    );
  };
  return `${JSON.stringify(renamed(config), null, 2)}\n`;
}

/** Writes a folder beside its place and moves it there, replacing what stood there. */
function writeWhole(folder: string, write: (temporary: string) => void): void {
  const parent = dirname(folder);
  mkdirSync(parent, { recursive: true });
  // What a killed process left half written.
  for (const name of readdirSync(parent))
    if (name.startsWith(`.${basename(folder)}.`)) rmSync(join(parent, name), { recursive: true, force: true });
  const temporary = join(parent, `.${basename(folder)}.${process.pid}.tmp`);
  mkdirSync(temporary);
  try {
    write(temporary);
    for (const name of readdirSync(temporary)) syncPath(join(temporary, name));
    rmSync(folder, { recursive: true, force: true });
    renameSync(temporary, folder);
    syncPath(parent);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw error;
  }
}

function syncPath(path: string): void {
  const file = openSync(path, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
