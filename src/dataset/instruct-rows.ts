/**
 * MMEB's newer packaging of images (`ziyjiang/MMEB_Test_Instruct`), which keeps instructions apart from texts:
 * `qry_inst`, `qry_text`, `qry_img_path`, `tgt_inst`, `tgt_text[]`, `tgt_img_path[]`.
 */

/** The fields that MMEB-v1 does not have. */
export const INSTRUCT_FIELDS: readonly string[] = ["qry_inst", "tgt_inst"];

const SLOT = "<|image_1|>";
/** VisDial's dialogues end in an empty line in v1, and in nothing here. */
const DIALOGUE = "Represent the given dialogue about an image";

/**
 * What MMEB-v1 writes for an instruction and its text, as VLM2Vec joins them "to stay consistent with v1":
 * the slot, where the instruction has one, on a line of its own, then both with a space between, then a line break.
 * @param instruction with or without a slot; where it is empty the text is v1's own, a label as a rule
 */
export function rawText(instruction: string, text: string): string {
  const words = instruction.replaceAll(SLOT, "").trim();
  const slot = instruction.includes(SLOT) ? `${SLOT}\n` : "";
  if (words === "") return `${slot}${text}`;
  // A target without a text of its own has an empty one, or blanks.
  const joined = text.trim() === "" ? words : `${words} ${text}`;
  if (words.startsWith(DIALOGUE)) return `${slot}${joined.trimEnd()}\n\n`;
  return `${slot}${joined}${joined.endsWith("\n") ? "" : "\n"}`;
}
