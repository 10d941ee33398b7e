/** What OpenAI's and Cohere's requests share: parts of text and picture, the model's name, shorter vectors. */
import { z } from "zod";
import type { ImageSource } from "../embed/types.ts";
import { HttpError } from "./errors.ts";
import { imageOf, type ImagePolicy } from "./image-input.ts";

export const textPart: z.ZodString = z.string().max(100_000);
/** A text, or a picture by its URL. */
export type ContentPart =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "image_url"; readonly image_url: { readonly url: string } };
export const contentPart: z.ZodType<ContentPart> = z.discriminatedUnion("type", [
  z.object({ type: z.literal("text"), text: textPart }),
  z.object({ type: z.literal("image_url"), image_url: z.object({ url: z.string() }) }),
]);

/** Words with slots for the pictures among them. */
export interface Content {
  readonly words: string;
  readonly images: readonly ImageSource[];
}

/**
 * Parts in their order.
 * @throws {HttpError} 403 for a picture that is not allowed
 */
export async function contentOf(
  parts: readonly ContentPart[],
  policy: ImagePolicy,
  signal: AbortSignal,
): Promise<Content> {
  const images: ImageSource[] = [];
  let words = "";
  for (const it of parts) {
    if (it.type === "text") words += it.text;
    else {
      images.push(await imageOf(it.image_url.url, policy, signal));
      words += `<|image_${images.length}|>\n`;
    }
  }
  return { words, images };
}

/** @throws {HttpError} 404 where the model is none of those that there are; the first is named */
export function checkModel(model: string, known: readonly string[]): void {
  if (!known.includes(model))
    throw new HttpError(404, "model_not_found", `there is no model ${JSON.stringify(model)} here; it is ${known[0]}`, {
      param: "model",
    });
}

/** @throws {HttpError} 400 for more numbers than the model's vectors have */
export function checkDimension(wanted: number | undefined, most: number, param: string): void {
  if (wanted !== undefined && wanted > most)
    throw new HttpError(400, "invalid_request", `${param} is at most ${most}`, { param });
}
