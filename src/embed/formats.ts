import type { LinearFormat } from "../nn/weights.ts";
import type { WeightFormat } from "./types.ts";

/** Which format each part of a model takes. */
export interface PartFormats {
  /** The vision tower: many rows at once. */
  readonly vision: LinearFormat;
  /** The decoder over a prompt: many rows at once. */
  readonly prefill: LinearFormat;
  /** The decoder for one token per item: as few bytes as accuracy allows. */
  readonly decode: LinearFormat;
  /** The output layer, whose errors change tokens at once. */
  readonly head: LinearFormat;
}

/**
 * The formats behind each choice of weights; docs/LOG.md has the measurements. Prompts and images want int8 products,
 * which run at two to four times the speed of any other format; single tokens want few bytes.
 */
export const PART_FORMATS: Readonly<Record<WeightFormat, PartFormats>> = {
  fp32: { vision: "float32", prefill: "float32", decode: "float32", head: "float32" },
  int8: { vision: "rows8", prefill: "rows8", decode: "rows8", head: "blocks8" },
  int4: { vision: "rows8", prefill: "rows8", decode: "blocks4", head: "blocks8" },
};

/** Every choice of weights, for those who list them. */
export const WEIGHT_FORMATS: readonly WeightFormat[] = Object.keys(PART_FORMATS) as WeightFormat[];
