/** The model that an evaluation measures: one copy, or one per core where it is small. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { hashSideFiles } from "../checkpoint/identity.ts";
import { NANO } from "../checkpoint/nano.ts";
import type { Embedder } from "../embed/embedder.ts";
import { WEIGHT_FORMATS } from "../embed/formats.ts";
import type { ModelInfo, WeightFormat } from "../embed/types.ts";
import type { EvalPlan } from "../eval/evaluate.ts";
import { ItemKeys } from "../eval/item-key.ts";
import type { Arguments } from "./arguments.ts";
import type { CommandContext } from "./command.ts";
import { loadModel, localFolder } from "./load-model.ts";

/** Models up to this size, in bytes, have too little to do in one operator for several threads. */
const SMALL_BYTES = 256 * 2 ** 20;
const BATCH = { small: 64, other: 16 };

/** A model that is loaded. */
export interface EvalModel extends AsyncDisposable {
  /** As the user named it; a folder with its whole path. */
  readonly name: string;
  readonly weights: WeightFormat;
  readonly info: ModelInfo;
  readonly plan: Omit<EvalPlan, "bounds">;
}

/**
 * Loads the model that the options name.
 * @param options.weights in place of what the options say
 * @throws {StatusError} whatever keeps it from loading
 * @throws {UsageError} options that the library refuses
 */
export async function loadEvalModel(
  args: Arguments,
  context: CommandContext,
  options: { readonly weights?: WeightFormat } = {},
): Promise<EvalModel> {
  const name = args.text("model") ?? NANO;
  const weights = options.weights ?? args.choice("weights", WEIGHT_FORMATS) ?? "fp32";
  const model = await localFolder(name, context);
  const isSmall = weightsBytes(model) < SMALL_BYTES;
  const cores = availableParallelism();
  const replicas = args.whole("replicas", 1) ?? (isSmall ? cores : 1);
  const batch = args.whole("batch", 1) ?? (isSmall ? BATCH.small : BATCH.other);
  const threads = args.whole("threads", 1) ?? Math.max(1, Math.floor(cores / replicas));
  const load = { weights, batch, threads, closingPrompt: undefined, cacheDir: undefined };
  const embedders: Embedder[] = [];
  const close = async (): Promise<void> => {
    for (const embedder of embedders) await embedder[Symbol.asyncDispose]();
  };
  try {
    for (let i = 0; i < replicas; i++)
      embedders.push(await loadModel({ model, adapter: args.text("adapter"), load }, context));
  } catch (error) {
    await close();
    throw error;
  }
  const { info } = embedders[0]!;
  const keys = new ItemKeys({ modelHash: info.hash, sideHash: hashSideFiles(model), weights });
  const isFolder = name !== NANO && existsSync(name);
  return {
    name: isFolder ? resolve(name) : name,
    weights,
    info,
    plan: { embedders, batch, keys },
    [Symbol.asyncDispose]: close,
  };
}

function weightsBytes(folder: string): number {
  const files = readdirSync(folder).filter((name) => name.endsWith(".safetensors"));
  return files.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}
