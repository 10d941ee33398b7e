/** Where in a user's text the pictures go. */
import { InputError } from "../errors.ts";

/** Opens a picture's run of ids. */
export const VISION_START = "<|vision_start|>";
/** Stands once for every merged patch. */
export const IMAGE_PAD = "<|image_pad|>";
/** Closes the run. */
export const VISION_END = "<|vision_end|>";

/** A stretch of the user's own text, or the picture with this index (from 0). */
export type ContentPiece = { readonly plain: string } | { readonly image: number };

const SLOT = /<\|image_(\d+)\|>|<\|vision_start\|><\|image_pad\|><\|vision_end\|>/g;
const HOW_TO =
  "Mark each image once as <|image_1|>, <|image_2|>, ... (or each as <|vision_start|><|image_pad|><|vision_end|>), " +
  "or mark none: the images then come first.";

/**
 * Cuts a text at its image slots: `<|image_1|>` to `<|image_n|>` in any order, or the literal triple of a Qwen-VL
 * prompt, which takes the images in their order. Without a slot each image comes first, with a line break after it.
 * @param text as the user wrote it; all of it but the slots is handed back as plain
 * @param imageCount how many images the item has
 * @throws {InputError} slots that are more or fewer than the images, named twice, out of range, or of both kinds
 */
export function splitContent(text: string, imageCount: number): ContentPiece[] {
  const slots = [...text.matchAll(SLOT)];
  const numbers = slots.flatMap(([, number]) => (number === undefined ? [] : [number]));
  if (numbers.length > 0 && numbers.length < slots.length) {
    throw new InputError(`the text mixes <|image_k|> with ${VISION_START}${IMAGE_PAD}${VISION_END}. ${HOW_TO}`);
  }
  if (slots.length === 0) {
    const images = Array.from({ length: imageCount }, (_, image) => [{ image }, { plain: "\n" }]);
    return [...images.flat(), { plain: text }];
  }
  if (slots.length !== imageCount) {
    throw new InputError(`found ${count(slots.length, "image slot")} for ${count(imageCount, "image")}. ${HOW_TO}`);
  }
  const expected = new Set(Array.from({ length: imageCount }, (_, image) => String(image + 1)));
  for (const number of numbers) {
    // A repeated number is as wrong as one out of range: some image would be without a slot.
    if (expected.delete(number)) continue;
    throw new InputError(`unexpected slot <|image_${number}|> for ${count(imageCount, "image")}. ${HOW_TO}`);
  }
  const pieces: ContentPiece[] = [];
  let from = 0;
  for (const [order, { index, 0: slot, 1: number }] of slots.entries()) {
    pieces.push({ plain: text.slice(from, index) }, { image: number === undefined ? order : Number(number) - 1 });
    from = index + slot.length;
  }
  return [...pieces, { plain: text.slice(from) }];
}

function count(n: number, thing: string): string {
  return `${n} ${thing}${n === 1 ? "" : "s"}`;
}
