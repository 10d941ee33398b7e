/** From a row's raw text to what is embedded, as RGE's evaluation does it (method.md 1.3). */
import type { EvalSide } from "../dataset/eval-task.ts";
import { withBreak } from "../embed/line-break.ts";
import { IMAGE_PAD, VISION_END, VISION_START } from "../input/image-slots.ts";
import type { TextRule } from "./rules.ts";

const TRIPLE = `${VISION_START}${IMAGE_PAD}${VISION_END}`;
const SLOT = /<\|image_\d+\|>/g;

/** What a rule makes of a text, before line break and slots. */
export function rewritten(raw: string, rule: TextRule | undefined): string {
  if (rule === undefined) return raw;
  const { valueMap, original, replacement = "", prefix = "", suffix = "" } = rule;
  const mapped = valueMap?.get(raw) ?? raw;
  // A function: in a string, `$&` would mean something.
  const replaced = original === undefined ? mapped : mapped.replaceAll(original, () => replacement);
  return `${prefix}${replaced}${suffix}`;
}

/**
 * The final TEXT and its pictures: rewritten, ended by a line break, slots as the model's own marks. Slots that have no
 * picture go, and the line break after them stays: texts of EDIS and WebQA begin with it.
 */
export function finalSide({ text, images }: EvalSide, rule: TextRule | undefined): EvalSide {
  const marked = withBreak(rewritten(text, rule)).replace(SLOT, TRIPLE);
  let left = images.length;
  return { text: marked.replaceAll(TRIPLE, () => (left-- > 0 ? TRIPLE : "")), images };
}
