/** Reads `adapter_config.json` of a PEFT adapter and refuses every setting whose merge is not written here. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { CheckpointError } from "../errors.ts";
import { readBoundedFile, readJsonFile } from "../json.ts";
import { quoted } from "./quoted.ts";

/** Name of the file that makes a folder a PEFT adapter. */
export const ADAPTER_CONFIG_FILE = "adapter_config.json";
/** Name of an adapter's weights file. */
export const ADAPTER_FILE = "adapter_model.safetensors";

/** Largest adapter configuration accepted, in bytes; long lists of target modules reach some 100 KB. */
const MAX_CONFIG_BYTES = 4 * 1024 * 1024;

/** Longest key of `alpha_pattern` accepted, in characters; module names stay under 100. */
const MAX_PATTERN_LENGTH = 200;

/** Settings that change what the stored tensors mean; each must be absent, null, false or empty. */
const REFUSED = [
  "lora_bias",
  "use_qalora",
  "use_bdlora",
  "layer_replication",
  "alora_invocation_tokens",
  "trainable_token_indices",
  "target_parameters",
  "arrow_config",
  "kasa_config",
  "velora_config",
  "monteclora_config",
] as const;

/** Initialisations that leave the base weights alone; the others (pissa, olora, corda, loftq, ...) change them. */
const HARMLESS_INITIALISATIONS = new Set<unknown>([true, false, null, undefined, "gaussian", "eva", "orthogonal"]);

const schema = z.looseObject({
  peft_type: z.string(),
  base_model_name_or_path: z.string().nullish(),
  r: z.int().positive().default(8),
  lora_alpha: z.number().default(8),
  use_rslora: z.boolean().nullish(),
  use_dora: z.boolean().nullish(),
  bias: z.string().default("none"),
  rank_pattern: z.record(z.string(), z.int().positive()).nullish(),
  alpha_pattern: z.record(z.string(), z.number()).nullish(),
  modules_to_save: z.array(z.string()).nullish(),
});

/** What a merge needs of an adapter's configuration. */
export interface AdapterConfig {
  /** Rank of every module, unless `rankVaries`. */
  readonly rank: number;
  readonly rankVaries: boolean;
  readonly dora: boolean;
  /** Names of the modules stored whole, as PEFT has them: each a module name or the end of one. */
  readonly modulesToSave: readonly string[];
  /** `alpha / r`, or with rsLoRA `alpha / sqrt(r)`, for a module as the adapter names it and its own rank. */
  scaling(module: string, rank: number): number;
}

/** Whether `folder` is a PEFT adapter. */
export function isAdapter(folder: string): boolean {
  return existsSync(join(folder, ADAPTER_CONFIG_FILE));
}

/**
 * The model that an adapter was trained on, as its configuration has it: a folder or a hub name; `undefined` where it
 * says nothing or `folder` is no adapter.
 * @throws {CheckpointError} a configuration that cannot be read
 */
export function baseModelOf(folder: string): string | undefined {
  return isAdapter(folder) ? (parse(folder).base_model_name_or_path ?? undefined) : undefined;
}

/** The bytes of the configuration, for the checkpoint's hash; empty where there is none. */
export function adapterConfigBytes(folder: string): Uint8Array {
  return readBoundedFile(join(folder, ADAPTER_CONFIG_FILE), MAX_CONFIG_BYTES) ?? new Uint8Array();
}

/**
 * Reads and checks an adapter's configuration.
 * @throws {CheckpointError} anything but LoRA or DoRA without biases, or a setting that changes the merge
 */
export function readAdapterConfig(folder: string): AdapterConfig {
  const path = join(folder, ADAPTER_CONFIG_FILE);
  const config = parse(folder);
  const refuse = (field: string, supported: string): never => {
    throw new CheckpointError(
      `${path}: ${field} is ${quoted(config[field])}, supported is ${supported}. Merge it with PEFT (merge_and_unload) and open the result.`,
    );
  };
  if (config.peft_type !== "LORA") refuse("peft_type", '"LORA"');
  if (config.bias !== "none") refuse("bias", '"none"');
  for (const field of REFUSED) if (!isOff(config[field])) refuse(field, "none");
  if (!HARMLESS_INITIALISATIONS.has(config["init_lora_weights"])) {
    refuse("init_lora_weights", "one that leaves the base weights as they are");
  }
  const patterns = Object.entries(config.alpha_pattern ?? {}).map(
    ([pattern, alpha]) => [moduleMatcher(path, pattern), alpha] as const,
  );
  return {
    rank: config.r,
    rankVaries: Object.keys(config.rank_pattern ?? {}).length > 0,
    dora: config.use_dora === true,
    modulesToSave: config.modules_to_save ?? [],
    scaling(module, rank) {
      const alpha = patterns.find(([matcher]) => matcher.test(module))?.[1] ?? config.lora_alpha;
      return alpha / (config.use_rslora ? Math.sqrt(rank) : rank);
    },
  };
}

function parse(folder: string): z.infer<typeof schema> {
  const path = join(folder, ADAPTER_CONFIG_FILE);
  const parsed = schema.safeParse(readJsonFile(path, { maxBytes: MAX_CONFIG_BYTES }));
  if (parsed.success) return parsed.data;
  throw new CheckpointError(`${path}: ${z.prettifyError(parsed.error)}. Not a PEFT adapter that this version reads.`);
}

function isOff(value: unknown): boolean {
  if (value === undefined || value === null || value === false) return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}

/** PEFT takes the keys of `alpha_pattern` as regular expressions: `re.match(rf"(.*\.)?({key})$", module)`. */
function moduleMatcher(path: string, pattern: string): RegExp {
  // Two quantifiers are what exponential or cubic backtracking needs; real patterns are names, or have one `.*`.
  const quantifiers = pattern.match(/[*+?{]/g)?.length ?? 0;
  if (pattern.length > MAX_PATTERN_LENGTH || quantifiers > 1) {
    throw new CheckpointError(
      `${path}: alpha_pattern ${quoted(pattern)} has ${quantifiers} quantifiers and ${pattern.length} characters, at most 1 and ${MAX_PATTERN_LENGTH} are accepted. Spell the module names out.`,
    );
  }
  try {
    return new RegExp(`^(?:.*\\.)?(?:${pattern})$`);
  } catch (error) {
    throw new CheckpointError(`${path}: alpha_pattern ${quoted(pattern)} is no regular expression.`, { cause: error });
  }
}
