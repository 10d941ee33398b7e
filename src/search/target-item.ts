/** What of an item is embedded: its picture within the collection's bounds, or else its text. */
import { createHash } from "node:crypto";
import { withBreak } from "../embed/line-break.ts";
import type { EmbedItem, ImageSource } from "../embed/types.ts";
import type { VectorOrigin } from "../store/store.ts";

/** Bounds as items have them. */
export function boundsOf({
  minPixels,
  maxPixels,
}: Pick<VectorOrigin, "minPixels" | "maxPixels">): Pick<EmbedItem, "minPixels" | "maxPixels"> {
  return { minPixels: minPixels ?? undefined, maxPixels: maxPixels ?? undefined };
}

/** A picture is embedded without its caption; an item without one is its text. */
export function targetItemOf(text: string, image: ImageSource | undefined, origin: VectorOrigin): EmbedItem {
  if (image === undefined) return { role: "target", text: withBreak(text) };
  return { role: "target", text: `<|image_1|>\n${origin.instruction}\n`, images: [image], ...boundsOf(origin) };
}

/** Identity of what is embedded: a picture's bytes, or a text. */
export function contentHashOf(content: string | Uint8Array): string {
  return createHash("sha256")
    .update(typeof content === "string" ? `text ${content}` : content)
    .digest("hex");
}
