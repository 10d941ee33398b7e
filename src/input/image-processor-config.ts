/** preprocessor_config.json of the Qwen-VL families, in the spellings that the hub holds. */
import { join } from "node:path";
import { z } from "zod";
import { CheckpointError } from "../errors.ts";
import { readJsonFile } from "../json.ts";
import type { PatchLayout } from "./patches.ts";

/** A processor's file has some dozen lines. */
const MAX_CONFIG_BYTES = 1 << 20;
/** Pillow's number for bicubic. */
const BICUBIC = 3;

/** What a checkpoint says about pictures. */
export interface ImageProcessorConfig extends PatchLayout {
  /** Fewest pixels after the resize. */
  readonly minPixels: number;
  /** Most pixels after the resize. */
  readonly maxPixels: number;
}

const pixels = z
  .number()
  .int()
  .min(1)
  .max(2 ** 31);
const side = z.number().int().min(1).max(256);
const channels = z.tuple([z.number(), z.number(), z.number()]);
const positiveChannels = z.tuple([z.number().positive(), z.number().positive(), z.number().positive()]);

/** Defaults are those of transformers' `Qwen2VLImageProcessor`, which older files leave out. */
const schema = z.object({
  do_resize: z.literal(true).default(true),
  do_rescale: z.literal(true).default(true),
  do_normalize: z.literal(true).default(true),
  do_convert_rgb: z.literal(true).default(true),
  resample: z.literal(BICUBIC).default(BICUBIC),
  rescale_factor: z
    .number()
    .positive()
    .default(1 / 255),
  image_mean: channels.default([0.48145466, 0.4578275, 0.40821073]),
  image_std: positiveChannels.default([0.26862954, 0.26130258, 0.27577711]),
  patch_size: side.default(14),
  temporal_patch_size: z.number().int().min(1).max(16).default(2),
  merge_size: z.number().int().min(1).max(16).default(2),
  min_pixels: pixels.nullish(),
  max_pixels: pixels.nullish(),
  size: z
    .object({
      shortest_edge: pixels.optional(),
      longest_edge: pixels.optional(),
      min_pixels: pixels.optional(),
      max_pixels: pixels.optional(),
    })
    .nullish(),
});

/**
 * Reads a checkpoint's preprocessor_config.json, or the `image_processor` of its processor_config.json.
 * @param folder a checkpoint in Hugging Face layout
 * @throws {CheckpointError} neither file is there, or one asks for something else than Qwen-VL's bicubic resize
 */
export function readImageProcessorConfig(folder: string): ImageProcessorConfig {
  const options = { maxBytes: MAX_CONFIG_BYTES, missing: "undefined" } as const;
  let file = join(folder, "preprocessor_config.json");
  let json = readJsonFile(file, options);
  if (json === undefined) {
    file = join(folder, "processor_config.json");
    const whole = readJsonFile(file, options);
    json = z.object({ image_processor: z.unknown() }).safeParse(whole).data?.image_processor;
  }
  if (json === undefined) {
    throw new CheckpointError(
      `${folder}: neither preprocessor_config.json nor an image_processor in processor_config.json. ` +
        "The checkpoint is incomplete, or not one that reads pictures.",
    );
  }
  return parseImageProcessorConfig(json, file);
}

/**
 * Checks the parsed file.
 * @param file names it in errors
 * @throws {CheckpointError} a field of another kind or value than the reference's processor takes
 */
export function parseImageProcessorConfig(json: unknown, file: string): ImageProcessorConfig {
  const parsed = schema.safeParse(json);
  if (!parsed.success) throw new CheckpointError(`${file}: ${z.prettifyError(parsed.error)}`);
  const { size, ...config } = parsed.data;
  const minPixels = config.min_pixels ?? size?.shortest_edge ?? size?.min_pixels ?? 56 * 56;
  const maxPixels = config.max_pixels ?? size?.longest_edge ?? size?.max_pixels ?? 28 * 28 * 1280;
  if (minPixels > maxPixels) throw new CheckpointError(`${file}: min_pixels ${minPixels} > max_pixels ${maxPixels}`);
  return {
    patchSize: config.patch_size,
    temporalPatchSize: config.temporal_patch_size,
    mergeSize: config.merge_size,
    imageMean: config.image_mean,
    imageStd: config.image_std,
    rescaleFactor: config.rescale_factor,
    minPixels,
    maxPixels,
  };
}
