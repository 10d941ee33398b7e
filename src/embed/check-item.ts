import { InputError } from "../errors.ts";
import type { SamplingOptions } from "../runtime/sampler.ts";
import type { EmbedItem, ImageSource, ReasonOptions } from "./types.ts";

/** Most images in one item: far above any prompt that fits a context. */
const MAX_IMAGES = 64;
/** Most tokens a rationale may be asked for; the models' contexts end at 32,768 or later. */
const MAX_NEW_TOKENS = 16_384;
/** Longest rationale that can be given; BPE takes about a microsecond a character. */
const MAX_RATIONALE_CHARS = 500_000;
/** Longest shortest side, in pixels: a picture of one pixel's width must not become one of gigabytes. */
const MAX_MIN_SIDE = 1024;
/** Budget of the reference (method: `generate(max_new_tokens=128)`). */
const DEFAULT_MAX_NEW_TOKENS = 128;

/** An item with its defaults filled in; plain data that can be sent to a worker. */
export interface CheckedItem {
  readonly text: string;
  readonly images: readonly ImageSource[];
  readonly minPixels: number | undefined;
  readonly maxPixels: number | undefined;
  readonly minSide: number | undefined;
  readonly rationale: string | undefined;
  /** `undefined` embeds directly. */
  readonly reason: CheckedReason | undefined;
  /** Whether a yes or no is asked for rather than an embedding. */
  readonly judge?: boolean | undefined;
}

/** How a rationale is written, defaults filled in. */
interface CheckedReason extends SamplingOptions {
  readonly maxNewTokens: number;
  readonly onBudget: "pool-last" | "force-emb";
}

/**
 * Checks an item and fills in its defaults.
 * @param repetitionPenalty the checkpoint's
 * @throws {InputError} naming the field, what was expected and what was found
 */
export function checkItem(item: EmbedItem, repetitionPenalty: number): CheckedItem {
  if (typeof item !== "object" || item === null) throw new InputError(`an item is an object, got ${String(item)}`);
  const role = item.role ?? "query";
  if (role !== "query" && role !== "target")
    throw new InputError(`role is "query" or "target", got ${JSON.stringify(role)}`);
  for (const field of ["instruction", "text", "rationale"] as const)
    if (item[field] !== undefined && typeof item[field] !== "string") throw new InputError(`${field} is no text`);
  if ((item.rationale?.length ?? 0) > MAX_RATIONALE_CHARS)
    throw new InputError(`rationale has ${item.rationale!.length} characters, limit ${MAX_RATIONALE_CHARS}`);
  const images = item.images ?? [];
  if (!Array.isArray(images) || images.length > MAX_IMAGES)
    throw new InputError(`images is a list of at most ${MAX_IMAGES} paths or buffers`);
  for (const [i, image] of images.entries())
    if (typeof image !== "string" && !(image instanceof Uint8Array) && !(image instanceof ArrayBuffer))
      throw new InputError(`images[${i}] is a path, a data: URL or bytes, got ${describe(image)}`);
  const parts = [item.instruction, item.text].filter((part) => part !== undefined && part !== "");
  if (parts.length === 0 && images.length === 0) throw new InputError("the item is empty: give it text or images");
  const wants = item.reason ?? role === "query";
  if (item.rationale !== undefined && item.reason === false)
    throw new InputError("a rationale is given and reason is false: leave one of them out");
  return {
    text: parts.join("\n"),
    images: images.map(withoutSurroundings),
    minPixels: wholeNumber("minPixels", item.minPixels),
    maxPixels: wholeNumber("maxPixels", item.maxPixels),
    minSide: minSideOf(item.minSide),
    rationale: item.rationale,
    reason: wants === false ? undefined : checkReason(wants === true ? {} : wants, repetitionPenalty),
  };
}

function checkReason(reason: ReasonOptions, checkpointPenalty: number): CheckedReason {
  if (typeof reason !== "object" || reason === null)
    throw new InputError("reason is true, false or an object of options");
  const { maxNewTokens = DEFAULT_MAX_NEW_TOKENS, onBudget = "pool-last", seed = 0 } = reason;
  const { repetitionPenalty = checkpointPenalty, temperature = 0, topP = 1 } = reason;
  check(
    Number.isInteger(maxNewTokens) && maxNewTokens >= 1 && maxNewTokens <= MAX_NEW_TOKENS,
    `maxNewTokens is a whole number from 1 to ${MAX_NEW_TOKENS}, got ${maxNewTokens}. To embed without reasoning set reason: false.`,
  );
  check(
    onBudget === "pool-last" || onBudget === "force-emb",
    `onBudget is "pool-last" or "force-emb", got ${onBudget}`,
  );
  check(
    repetitionPenalty > 0 && Number.isFinite(repetitionPenalty),
    `repetitionPenalty is above 0, got ${repetitionPenalty}`,
  );
  check(temperature >= 0 && Number.isFinite(temperature), `temperature is 0 or above, got ${temperature}`);
  check(topP > 0 && topP <= 1, `topP is above 0 and at most 1, got ${topP}`);
  check(Number.isInteger(seed), `seed is a whole number, got ${seed}`);
  return { maxNewTokens, onBudget, repetitionPenalty, temperature, topP, seed };
}

/** A view that is part of a larger buffer as a copy: sending a view to a worker would copy all that it looks into. */
function withoutSurroundings(image: ImageSource): ImageSource {
  return image instanceof Uint8Array && image.byteLength < image.buffer.byteLength ? Uint8Array.from(image) : image;
}

function describe(value: unknown): string {
  return typeof value === "object" && value !== null ? `a ${value.constructor?.name ?? "object"}` : String(value);
}

function check(holds: boolean, message: string): void {
  if (!holds) throw new InputError(`reason.${message}`);
}

function minSideOf(value: number | undefined): number | undefined {
  if ((wholeNumber("minSide", value) ?? 1) > MAX_MIN_SIDE)
    throw new InputError(`minSide is at most ${MAX_MIN_SIDE} pixels, got ${value}`);
  return value;
}

function wholeNumber(name: string, value: number | undefined): number | undefined {
  if (value !== undefined && (!Number.isSafeInteger(value) || value < 1))
    throw new InputError(`${name} is a whole number of pixels, got ${value}`);
  return value;
}
