import { z } from "zod";
import { CheckpointError } from "../errors.ts";
import type { ModelConfig } from "../checkpoint/config.ts";

/** A size in a config file; the bound is far above any real model and keeps products exact. */
export const extent: z.ZodInt = z.int().positive().max(1_000_000);

/** `vision_config` checked against a family's schema. */
export function parseVisionConfig<T>(schema: z.ZodType<T>, config: ModelConfig): T {
  const parsed = schema.safeParse(config.vision);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new CheckpointError(
    `config.json: vision_config.${issue.path.join(".")}: ${issue.message}. The ${config.modelType} vision tower here cannot be built from it.`,
  );
}
