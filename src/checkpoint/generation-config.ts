/** Reads `generation_config.json`: how a model's authors want its text to be sampled. */
import { join } from "node:path";
import * as z from "zod";
import { CheckpointError } from "../errors.ts";
import { readJsonFile } from "../json.ts";
import { CONFIG_FILE, readConfig } from "./config.ts";

const GENERATION_CONFIG_FILE = "generation_config.json";
const MAX_BYTES = 256 * 1024;

/** Sampling settings; fields that the file leaves out have the defaults of transformers. */
export interface GenerationConfig {
  /** Sample, rather than take the likeliest token. */
  readonly doSample: boolean;
  readonly temperature: number;
  /** Keep the likeliest tokens up to this total probability; 1 keeps all. */
  readonly topP: number;
  /** Keep this many of the likeliest tokens; 0 keeps all. */
  readonly topK: number;
  /** Above 1, tokens that occurred before become less likely. */
  readonly repetitionPenalty: number;
  /** Tokens that end the text; empty where neither this file nor config.json names one. */
  readonly eosTokenIds: readonly number[];
}

const tokenIds = z
  .union([z.int().min(0), z.array(z.int().min(0)).max(1000)])
  .nullish()
  .transform((ids) => (typeof ids === "number" ? [ids] : (ids ?? undefined)));

const schema = z.object({
  do_sample: z.boolean().nullish(),
  temperature: z.number().min(0).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  top_k: z.int().min(0).nullish(),
  repetition_penalty: z.number().positive().nullish(),
  eos_token_id: tokenIds,
});

const modelSchema = z.object({
  eos_token_id: tokenIds,
  text_config: z.object({ eos_token_id: tokenIds }).nullish(),
});

/**
 * Reads the sampling settings in `folder`; without a file, those of transformers and the end tokens of config.json.
 * @throws {CheckpointError} a file that is not JSON, or a field out of range
 */
export function readGenerationConfig(folder: string): GenerationConfig {
  const path = join(folder, GENERATION_CONFIG_FILE);
  const parsed = schema.safeParse(readJsonFile(path, { maxBytes: MAX_BYTES, missing: "undefined" }) ?? {});
  if (!parsed.success) throw new CheckpointError(`${path}: ${z.prettifyError(parsed.error)}`);
  const { data } = parsed;
  return {
    doSample: data.do_sample ?? false,
    temperature: data.temperature ?? 1,
    topP: data.top_p ?? 1,
    topK: data.top_k ?? 50,
    repetitionPenalty: data.repetition_penalty ?? 1,
    eosTokenIds: data.eos_token_id ?? modelEosTokenIds(folder),
  };
}

function modelEosTokenIds(folder: string): readonly number[] {
  const parsed = modelSchema.safeParse(readConfig(folder));
  if (!parsed.success) throw new CheckpointError(`${join(folder, CONFIG_FILE)}: ${z.prettifyError(parsed.error)}`);
  return parsed.data.text_config?.eos_token_id ?? parsed.data.eos_token_id ?? [];
}
